//! Security: listeners, who a client is, and what it may do.
//!
//! [`connection`] takes a connection from its first byte to a principal, [`sasl`] checks credentials, [`authorizer`] decides,
//! and [`store`] keeps what the APIs change.

pub(crate) mod authorizer;
pub(crate) mod config;
mod connection;
mod distinguished_name;
mod greeting;
mod listeners;
mod mapping;
mod principal;
pub(crate) mod sasl;
pub(crate) mod store;

use std::path::Path;

use klamm_kafka::{Operation, ResourceType};
use klamm_wire::TlsAcceptor;
use klamm_wire::sasl::{Hash, ScramCredential};
use rand::RngCore;

use crate::error::{BrokerError, BrokerErrorKind};
use crate::journal::Durability;
use authorizer::Asker;
use config::{SaslMechanism, SecurityConfig, SecurityProtocol};
pub(crate) use connection::{Gate, Session};
pub(crate) use greeting::{Greeting, greet};
pub(crate) use listeners::{Bound, ListenerTexts, accept, bind, bootstrap};
use mapping::PrincipalMapping;
pub(crate) use principal::Principal;
use sasl::KeySet;
use store::{Change, Store};

/// Iterations of users that the configuration names: Kafka's default and least.
const ITERATIONS: u32 = 4096;

/// Everything about security that connections share.
#[derive(Debug)]
pub(crate) struct Security {
    pub config: SecurityConfig,
    pub store: Store,
    /// Of SSL listeners, which may ask for certificates.
    tls: Option<TlsAcceptor>,
    /// Of SASL_SSL listeners, which do not.
    sasl_tls: Option<TlsAcceptor>,
    mapping: PrincipalMapping,
    keys: Option<KeySet>,
}

impl Security {
    /// Reads the files that the configuration names, and what was made before. Blocks.
    pub fn open(
        config: SecurityConfig,
        data_dir: &Path,
        durability: Durability,
    ) -> Result<Self, BrokerError> {
        let wrong = |what: String| BrokerError::from(BrokerErrorKind::Config { what });
        let acceptor =
            |tls: &klamm_wire::ServerTls| TlsAcceptor::new(tls).map_err(|error| wrong(error.to_string()));
        let without = config
            .tls
            .clone()
            .map(|tls| klamm_wire::ServerTls { client_auth: klamm_wire::ClientAuth::None, ..tls });
        let mapping = PrincipalMapping::parse(&config.principal_mapping_rules)
            .map_err(|error| wrong(format!("ssl.principal.mapping.rules: {error}")))?;
        let security = Self {
            store: Store::open(data_dir, durability)?,
            tls: config.tls.as_ref().map(acceptor).transpose()?,
            sasl_tls: without.as_ref().map(acceptor).transpose()?,
            mapping,
            keys: config.sasl.oauth.jwks.as_deref().map(KeySet::read).transpose().map_err(wrong)?,
            config,
        };
        security.add_scram_users().map_err(|error| BrokerError::io("writing", data_dir, error))?;
        Ok(security)
    }

    pub fn is_enabled(&self, mechanism: SaslMechanism) -> bool {
        self.config.sasl.mechanisms.contains(&mechanism)
    }

    pub fn scram_credential(&self, user: &str, hash: Hash) -> Option<ScramCredential> {
        let key = (user.to_owned(), mechanism_code(hash));
        self.store.read().credentials.get(&key).cloned().map(ScramCredential::from)
    }

    /// Whether there is an authorizer at all.
    pub fn has_authorizer(&self) -> bool {
        self.config.authorizer.is_some()
    }

    pub fn may(&self, asker: Asker<'_>, operation: Operation, resource: (ResourceType, &str)) -> bool {
        let Some(config) = &self.config.authorizer else { return true };
        authorizer::may(config, &self.store.read().acls, asker, operation, resource)
    }

    pub fn may_on_any(&self, asker: Asker<'_>, operation: Operation, resource_type: ResourceType) -> bool {
        let Some(config) = &self.config.authorizer else { return true };
        authorizer::may_on_any(config, &self.store.read().acls, asker, operation, resource_type)
    }

    fn acceptor(&self, protocol: SecurityProtocol) -> Option<&TlsAcceptor> {
        match protocol {
            SecurityProtocol::Ssl => self.tls.as_ref(),
            SecurityProtocol::SaslSsl => self.sasl_tls.as_ref(),
            SecurityProtocol::Plaintext | SecurityProtocol::SaslPlaintext => None,
        }
    }

    /// Users of the configuration; one that is there already keeps its password only if it is the same.
    fn add_scram_users(&self) -> std::io::Result<()> {
        for (user, password) in &self.config.sasl.scram_users {
            for hash in [Hash::Sha256, Hash::Sha512] {
                let known = self.scram_credential(user, hash).is_some_and(|known| {
                    let salt = known.salt.clone();
                    ScramCredential::from_password(hash, password, salt, known.iterations) == known
                });
                if known {
                    continue;
                }
                let mut salt = vec![0; 24];
                rand::rng().fill_bytes(&mut salt);
                let credential = ScramCredential::from_password(hash, password, salt, ITERATIONS).into();
                let set =
                    Change::ScramSet { user: user.clone(), mechanism: mechanism_code(hash), credential };
                self.store.change(|_| (vec![set], ()))?;
            }
        }
        Ok(())
    }
}

/// Kafka's number of a mechanism (`ScramMechanism`).
pub(crate) fn mechanism_code(hash: Hash) -> i8 {
    match hash {
        Hash::Sha256 => 1,
        Hash::Sha512 => 2,
    }
}
