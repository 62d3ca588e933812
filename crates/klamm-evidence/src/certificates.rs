//! Certificates that TLS listeners show, and those in PEM files. They are read, not judged: an expired one is evidence.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use klamm_rules::Seen;
use klamm_rules::evidence::{Broker, Certificate, Live};
use klamm_wire::{Security, Tls, peer_certificates};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

/// Longest time to connect to a listener, and as long for its handshake.
const LIMIT: Duration = Duration::from_secs(10);
/// Listeners that are looked at at once.
const AT_ONCE: usize = 16;
/// Most certificates that are read from one file. Bundles of authorities hold some 150.
const IN_ONE_FILE: usize = 1_000;

/// The certificate of every broker that `live` has seen, at its advertised address. Only the handshake is made. When the
/// cluster is reached in clear, nobody asked for certificates.
pub async fn collect(live: &Live, security: &Security) -> Seen<Vec<Certificate>> {
    let Some(tls) = &security.tls else { return Seen::NotAsked };
    let (brokers, mut missing) = match &live.brokers {
        Seen::Full(brokers) => (brokers, Vec::new()),
        Seen::Partial { value, missing } => (value, missing.clone()),
        Seen::NotAsked => return Seen::NotAsked,
        Seen::Denied { permission } => return Seen::Denied { permission: permission.clone() },
        Seen::Failed { why } => return Seen::Failed { why: why.clone() },
    };
    let looks = stream::iter(brokers.iter().map(|broker| look(broker, tls)));
    let mut certificates = Vec::new();
    for seen in looks.buffered(AT_ONCE).collect::<Vec<_>>().await {
        match seen {
            Ok(certificate) => certificates.push(certificate),
            Err(why) => missing.push(why),
        }
    }
    Seen::from_parts(certificates, missing)
}

async fn look(broker: &Broker, tls: &Tls) -> Result<Certificate, String> {
    let host = match broker.host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => broker.host.clone(),
    };
    let at = format!("{host}:{}", broker.port);
    let failed = |why: String| format!("certificate of broker {}: {why}", broker.id);
    let chain = peer_certificates(&at, tls, LIMIT).await.map_err(|error| failed(error.to_string()))?;
    let own = chain.first().ok_or_else(|| failed(format!("none is shown at {at}")))?;
    let read = from_der(&at, &broker.host, own);
    read.ok_or_else(|| failed(format!("the one shown at {at} cannot be read")))
}

/// The certificates in a PEM file. What is none of them, a key for example, is passed over, as is what cannot be read.
pub fn from_pem(path: &str, text: &str) -> Vec<Certificate> {
    let blocks = Pem::iter_from_buffer(text.as_bytes()).take(IN_ONE_FILE);
    let certificates = blocks.map_while(Result::ok).filter(|block| block.label.ends_with("CERTIFICATE"));
    certificates.filter_map(|block| from_der(path, "", &block.contents)).collect()
}

fn from_der(at: &str, host: &str, der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Certificate {
        at: at.to_owned(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names(&certificate),
        not_after_ms: certificate.validity().not_after.timestamp().saturating_mul(1_000),
        host: host.to_owned(),
    })
}

/// Alternative names of hosts and addresses; without any the common name, as clients take it then.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    let names: Vec<String> = alternatives.iter().filter_map(name).collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    common.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn pem(names: &[&str], common: &str) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_after = date_time_ymd(2021, 3, 4);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("signs").pem()
    }

    #[test]
    fn certificates_in_a_file_are_read_beside_other_things() {
        let key = KeyPair::generate().expect("a key").serialize_pem();
        let text = format!(
            "Bag Attributes\n{}{key}{}",
            pem(&["b1.example.org", "10.0.0.1", "::1"], "b1"),
            pem(&[], "b2.example.org")
        );
        let found = from_pem("certs/b1.pem", &text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].names, ["b1.example.org", "10.0.0.1", "::1"]);
        assert_eq!((found[0].at.as_str(), found[0].host.as_str()), ("certs/b1.pem", ""));
        assert_eq!(found[0].not_after_ms, 1_614_816_000_000);
        assert!(found[0].subject.contains("CN=b1") && found[0].issuer.contains("CN=b1"), "{found:?}");
        assert_eq!(found[1].names, ["b2.example.org"]);
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        assert!(from_pem("a", "").is_empty());
        assert!(from_pem("a", "-----BEGIN CERTIFICATE-----\nnonsense").is_empty());
        assert!(from_pem("a", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_empty());
    }

    proptest! {
        #[test]
        fn no_damage_breaks_reading(at in 0..800_usize, byte: u8) {
            let mut bytes = pem(&["b1"], "b1").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = from_pem("a", &String::from_utf8_lossy(&bytes));
        }
    }
}
