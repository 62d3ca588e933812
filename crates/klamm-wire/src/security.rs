//! How a connection is protected: TLS, SASL, both or neither.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

/// SASL mechanisms that both sides of klamm speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616: the password itself; use it inside TLS.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512, as Kafka has it (KIP-84).
    ScramSha512,
}

impl Mechanism {
    /// The registered name, as in `sasl.mechanism`.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(text: &str) -> Result<Self, UnknownMechanism> {
        [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownMechanism { text: text.to_owned() })
    }
}

/// A mechanism that klamm does not speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMechanism {
    /// As it was written.
    pub text: String,
}

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown SASL mechanism {:?}: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", self.text)
    }
}

impl std::error::Error for UnknownMechanism {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let sasl = Sasl { mechanism: Mechanism::Plain, username: "ann".into(), password: "hunter2".into() };
        let security = Security { tls: None, sasl: Some(sasl) };
        assert!(!format!("{security:?}").contains("hunter2"));
    }

    #[test]
    fn mechanisms_parse_by_their_registered_names() {
        assert_eq!("scram-sha-512".parse(), Ok(Mechanism::ScramSha512));
        assert!("GSSAPI".parse::<Mechanism>().is_err());
    }
}
