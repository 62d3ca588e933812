//! Why a service may not start, and why a send failed.

use std::error::Error;
use std::fmt;

use klamm_admin::AdminError;
use klamm_client::{ClientError, Effect, ProduceError};
use klamm_contract::Breach;

/// A producer or consumer may not start.
#[derive(Debug)]
pub struct ConnectError {
    // Boxed: the breaches make it large, and the other outcome is small.
    kind: Box<ConnectErrorKind>,
}

/// Why it may not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The cluster could not be reached, or would not say what is needed.
    Cluster(AdminError),
    /// The topic does not exist.
    TopicMissing {
        /// Its name.
        topic: String,
    },
    /// The cluster does not keep the topic's contract.
    Weak {
        /// The topic.
        topic: String,
        /// Each place where it is not kept.
        breaches: Vec<Breach>,
    },
    /// The contract asks for something that this release does not do.
    Unsupported {
        /// What it asks for.
        what: String,
    },
    /// The client could not be opened.
    Client(ClientError),
}

impl ConnectError {
    pub(crate) fn new(kind: ConnectErrorKind) -> ConnectError {
        ConnectError { kind: Box::new(kind) }
    }

    /// Why it may not start.
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.kind
    }

    /// Whether trying again may do better without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match &*self.kind {
            ConnectErrorKind::Cluster(error) => error.is_retryable(),
            ConnectErrorKind::Client(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            ConnectErrorKind::Cluster(error) => error.fmt(f),
            ConnectErrorKind::TopicMissing { topic } => write!(f, "topic {topic} does not exist"),
            ConnectErrorKind::Weak { topic, breaches } => {
                write!(f, "the cluster does not keep the contract of topic {topic}")?;
                for (index, breach) in breaches.iter().enumerate() {
                    f.write_str(if index == 0 { ": " } else { "; " })?;
                    let Breach { layer, setting, value, needed, consequence, .. } = breach;
                    write!(f, "{layer} {setting} is {value}, needed is {needed} ({consequence})")?;
                }
                Ok(())
            }
            ConnectErrorKind::Unsupported { what } => write!(f, "{what} is not supported by this release"),
            ConnectErrorKind::Client(error) => error.fmt(f),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.kind {
            ConnectErrorKind::Cluster(error) => error.source(),
            ConnectErrorKind::Client(error) => error.source(),
            _ => None,
        }
    }
}

impl From<AdminError> for ConnectError {
    fn from(error: AdminError) -> ConnectError {
        ConnectError::new(ConnectErrorKind::Cluster(error))
    }
}

impl From<ClientError> for ConnectError {
    fn from(error: ClientError) -> ConnectError {
        ConnectError::new(ConnectErrorKind::Client(error))
    }
}

/// A record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    kind: SendErrorKind,
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The record is for another topic than the contract.
    WrongTopic {
        /// The record's topic.
        topic: String,
        /// The contract's topic.
        contract: String,
    },
    /// The client or the broker refused it, or gave up on it.
    Produce(ProduceError),
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind) -> SendError {
        SendError { kind }
    }

    /// Why it was not acknowledged.
    pub fn kind(&self) -> &SendErrorKind {
        &self.kind
    }

    /// Whether sending it again may do better. Look at [`effect`](SendError::effect) first.
    pub fn is_retryable(&self) -> bool {
        matches!(&self.kind, SendErrorKind::Produce(error) if error.is_retryable())
    }

    /// Whether the record may be in the log: only with `None` does a second send make no second copy.
    pub fn effect(&self) -> Effect {
        match &self.kind {
            SendErrorKind::WrongTopic { .. } => Effect::None,
            SendErrorKind::Produce(error) => error.effect(),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SendErrorKind::WrongTopic { topic, contract } => {
                write!(f, "the record is for topic {topic}, and this producer's contract is for {contract}")
            }
            SendErrorKind::Produce(error) => error.fmt(f),
        }
    }
}

impl Error for SendError {}

impl From<ProduceError> for SendError {
    fn from(error: ProduceError) -> SendError {
        SendError::new(SendErrorKind::Produce(error))
    }
}
