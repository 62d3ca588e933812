//! How a connection is protected: TLS, SASL, both or neither.

use std::fmt;
use std::path::PathBuf;

use klamm_kafka::Mechanism;

/// Protection of a connection. The default is plaintext without authentication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// TLS, when the listener speaks it. Host names are always verified.
    pub tls: Option<Tls>,
    /// Authentication, when the listener asks for it.
    pub sasl: Option<Sasl>,
}

impl Security {
    /// `security.protocol` in Kafka's words.
    pub fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}

/// TLS settings of the connecting side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities that are trusted; `None` trusts those of the operating system.
    pub ca_pem: Option<PathBuf>,
    /// Certificate that the client shows (mutual TLS).
    pub client: Option<ClientCertificate>,
}

/// A client's certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM file of the chain, the client's own certificate first.
    pub chain_pem: PathBuf,
    /// PEM file of the private key, unencrypted.
    pub key_pem: PathBuf,
}

/// SASL credentials. `Debug` never prints the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// Mechanism.
    pub mechanism: Mechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .field("password", &"…")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let sasl = Sasl { mechanism: Mechanism::Plain, username: "ann".into(), password: "hunter2".into() };
        let security = Security { tls: None, sasl: Some(sasl) };
        assert!(!format!("{security:?}").contains("hunter2"));
    }
}
