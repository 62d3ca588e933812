//! SASL mechanisms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// SASL mechanisms that klamm speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mechanism {
    /// RFC 4616: the password itself; use it inside TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 5802 with SHA-512, as Kafka has it (KIP-84).
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    const ALL: [Mechanism; 3] = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];

    /// The registered name, as in `sasl.mechanism`.
    pub const fn name(self) -> &'static str {
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
        let named = |mechanism: &Mechanism| mechanism.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownMechanism { text: text.to_owned() })
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
    fn mechanisms_parse_by_their_registered_names() {
        assert_eq!("scram-sha-512".parse(), Ok(Mechanism::ScramSha512));
        assert!("GSSAPI".parse::<Mechanism>().is_err());
    }

    #[test]
    fn files_name_mechanisms_as_the_registry_does() {
        for mechanism in Mechanism::ALL {
            let written = serde_json::to_string(&mechanism).expect("a string");
            assert_eq!(written, format!("{:?}", mechanism.name()));
            assert_eq!(serde_json::from_str::<Mechanism>(&written).expect("read back"), mechanism);
        }
    }
}
