//! Test certificates in PEM: an authority, one for the brokers, one for a client.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde::{Deserialize, Serialize};

/// The common name of the client's certificate; brokers know its owner as `User:CN=klamm-client`.
pub const CLIENT_NAME: &str = "klamm-client";

/// Where the PEM files are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Certificates {
    /// The certificate authority that signed the others.
    pub ca: PathBuf,
    /// A client's certificate.
    pub client: PathBuf,
    /// The key of the client's certificate (PKCS 8).
    pub client_key: PathBuf,
    /// Key and certificate of the brokers in one file, the way Kafka wants a PEM key store.
    pub broker: PathBuf,
}

impl Certificates {
    /// Makes a new authority and what it signs, for `localhost` and 127.0.0.1.
    pub fn generate(dir: &Path) -> Result<Certificates> {
        fs::create_dir_all(dir)?;
        let files = Certificates {
            ca: dir.join("ca.pem"),
            client: dir.join("client.pem"),
            client_key: dir.join("client-key.pem"),
            broker: dir.join("broker.pem"),
        };

        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "klamm test authority");
        let authority_key = KeyPair::generate()?;
        write(&files.ca, &authority.self_signed(&authority_key)?.pem())?;
        let issuer = Issuer::new(authority, authority_key);

        let (broker, broker_key) = signed(&issuer, "klamm-broker", &["localhost", "127.0.0.1"])?;
        write(&files.broker, &format!("{broker_key}{broker}"))?;
        let (client, client_key) = signed(&issuer, CLIENT_NAME, &[])?;
        write(&files.client, &client)?;
        write(&files.client_key, &client_key)?;
        Ok(files)
    }
}

fn signed(issuer: &Issuer<'_, KeyPair>, name: &str, hosts: &[&str]) -> Result<(String, String)> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut parameters = CertificateParams::new(hosts)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
