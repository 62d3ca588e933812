//! Why a broker does not start.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A broker that could not be started or stopped cleanly.
#[derive(Debug)]
pub struct BrokerError {
    kind: BrokerErrorKind,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum BrokerErrorKind {
    /// Something else listens on the address.
    PortTaken {
        /// The address.
        addr: SocketAddr,
    },
    /// Another broker uses the data directory.
    DataDirLocked {
        /// The directory.
        path: PathBuf,
        /// Process id of its owner, if it could be read.
        pid: Option<u32>,
    },
    /// No space is left where the data is kept.
    DiskFull {
        /// The directory.
        path: PathBuf,
    },
    /// The data was written by a version that this one cannot read, or is not a broker's.
    DataDirVersion {
        /// The directory.
        path: PathBuf,
        /// What was found there.
        found: String,
    },
    /// A file of the data directory contradicts its own checksums beyond a torn end.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The configuration contradicts itself, or names something that cannot be used.
    Config {
        /// What is wrong.
        what: String,
    },
    /// Any other failure of the file system or the network.
    Io {
        /// What was attempted, and on what.
        what: String,
        /// The failure.
        source: io::Error,
    },
}

impl BrokerError {
    /// What went wrong.
    pub fn kind(&self) -> &BrokerErrorKind {
        &self.kind
    }

    /// Sorts an IO error at `path` into its kind.
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BrokerErrorKind::DiskFull { path: path.to_owned() }
            }
            _ => BrokerErrorKind::Io { what: format!("{what} {}", path.display()), source },
        };
        kind.into()
    }
}

impl From<BrokerErrorKind> for BrokerError {
    fn from(kind: BrokerErrorKind) -> Self {
        Self { kind }
    }
}

impl std::fmt::Display for BrokerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            BrokerErrorKind::PortTaken { addr } => write!(f, "something else listens on {addr}"),
            BrokerErrorKind::DataDirLocked { path, pid: Some(pid) } => {
                write!(f, "data directory {} is in use by process {pid}", path.display())
            }
            BrokerErrorKind::DataDirLocked { path, pid: None } => {
                write!(f, "data directory {} is in use by another process", path.display())
            }
            BrokerErrorKind::DiskFull { path } => write!(f, "no space is left for {}", path.display()),
            BrokerErrorKind::DataDirVersion { path, found } => {
                write!(f, "data directory {} cannot be used: {found}", path.display())
            }
            BrokerErrorKind::Corrupt { path, what } => write!(f, "{} is corrupt: {what}", path.display()),
            BrokerErrorKind::Config { what } => f.write_str(what),
            BrokerErrorKind::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for BrokerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            BrokerErrorKind::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// An error as an answer carries it: Kafka's code, and a message where the response has room for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: klamm_kafka::ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: klamm_kafka::ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(klamm_kafka::ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}
