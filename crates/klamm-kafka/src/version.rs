//! Versions of Apache Kafka, as far as settings depend on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release of Apache Kafka: `4.3`. Patches change no setting, so they are read and not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Before the first point.
    pub major: u16,
    /// After it.
    pub minor: u16,
}

impl Version {
    /// The oldest release that is planned for: the last with ZooKeeper, run here with KRaft.
    pub const OLDEST: Version = Version::new(3, 9);
    /// The newest release whose settings are known.
    pub const NEWEST: Version = Version::new(4, 4);
    /// What is assumed when nobody says.
    pub const ASSUMED: Version = Version::new(4, 3);

    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Version { major, minor }
    }

    /// Eligible leader replicas (KIP-966) are on in new clusters from 4.1.
    pub fn has_elr(self) -> bool {
        self >= Version::new(4, 1)
    }

    /// Groups whose assignment the broker makes (KIP-848) are ready for production from 4.0.
    pub fn has_consumer_protocol(self) -> bool {
        self >= Version::new(4, 0)
    }

    /// Share groups (KIP-932) and streams groups (KIP-1071) are ready for production from 4.2.
    pub fn has_streams_protocol(self) -> bool {
        self >= Version::new(4, 2)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `4.3` and `4.3.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u16>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major, minor] | [major, minor, _]) => Ok(Version::new(*major, *minor)),
            _ => Err(format!("{text:?} is no version of Kafka: write it like 4.3")),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_not_by_letter() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(read("4.3.1"), Ok(Version::new(4, 3)));
        assert!(Version::new(4, 10) > Version::NEWEST && Version::OLDEST < Version::ASSUMED);
        for bad in ["", "4", "4.x", "v4.3", "4.3.1.2", "-1.2"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
