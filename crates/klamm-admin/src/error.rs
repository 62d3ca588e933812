//! What can go wrong with an administrative call.

use std::fmt;
use std::time::Duration;

use klamm_kafka::{ErrorClass, ErrorCode};
use klamm_wire::batch::BatchError;
use klamm_wire::{Api, Effect, WireError, WireErrorKind};

/// A failed administrative call.
#[derive(Debug, Clone)]
pub struct AdminError {
    kind: Box<AdminErrorKind>,
    effect: Effect,
}

/// What went wrong.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AdminErrorKind {
    /// No broker answers at any bootstrap address.
    Unreachable {
        /// Each address that was tried, with what happened there.
        tried: Vec<WireError>,
    },
    /// The cluster answers, but not at an address that it advertises itself.
    ListenerUnreachable {
        /// Node id of the broker.
        broker: i32,
        /// Advertised host.
        host: String,
        /// Advertised port.
        port: u16,
        /// What happened there.
        source: WireError,
    },
    /// The connection failed in a way that its own error tells best.
    Wire(WireError),
    /// A permission is missing.
    Denied {
        /// What was tried, as `create topic`.
        operation: String,
        /// On what, as `topic orders.events`.
        resource: String,
        /// What Kafka said.
        message: String,
    },
    /// Kafka refused.
    Kafka {
        /// Its error code.
        code: ErrorCode,
        /// Its words, or the code's meaning when it said nothing.
        message: String,
        /// On what, as `topic orders.events`.
        resource: String,
    },
    /// The broker has left the cluster.
    BrokerGone {
        /// Its node id.
        broker: i32,
    },
    /// Not done in time, retries included.
    Timeout {
        /// What was to be done.
        what: String,
        /// After how long it was given up.
        after: Duration,
        /// Why the last try failed, when it did.
        last: Option<String>,
    },
    /// Stored records cannot be read.
    Corrupt {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset at which reading had arrived.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
    /// The answer does not fit the question.
    Unexpected {
        /// What is missing or wrong.
        message: String,
    },
}

/// How long a failure is worth trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// A few seconds: it may be news that still travels, more often it is a mistake that somebody waits to hear of.
    Short,
    /// As long as the cluster may take to notice that a broker has died.
    Outage,
    /// Until the call's deadline.
    Full,
}

impl AdminError {
    pub(crate) fn new(kind: AdminErrorKind) -> Self {
        AdminError { kind: Box::new(kind), effect: Effect::None }
    }

    /// Kafka's refusal of `operation` on `resource`.
    pub(crate) fn kafka(code: ErrorCode, message: Option<&str>, operation: &str, resource: &str) -> Self {
        let message = match message {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ => code.meaning().to_owned(),
        };
        let resource = resource.to_owned();
        let kind = match code.class() {
            ErrorClass::Authorization => {
                AdminErrorKind::Denied { operation: operation.to_owned(), resource, message }
            }
            _ => AdminErrorKind::Kafka { code, message, resource },
        };
        // The broker gave up waiting for its own work, which may yet be done.
        let effect = if code == ErrorCode::REQUEST_TIMED_OUT { Effect::Unknown } else { Effect::None };
        AdminError { kind: Box::new(kind), effect }
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        AdminError::new(AdminErrorKind::Unexpected { message: message.into() })
    }

    pub(crate) fn timeout(what: &str, after: Duration, last: Option<&AdminError>) -> Self {
        let kind =
            AdminErrorKind::Timeout { what: what.to_owned(), after, last: last.map(ToString::to_string) };
        AdminError { kind: Box::new(kind), effect: Effect::Unknown }
    }

    /// What went wrong.
    pub fn kind(&self) -> &AdminErrorKind {
        &self.kind
    }

    /// Whether the cluster may have carried the request out.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Kafka's error code, when Kafka refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match &*self.kind {
            AdminErrorKind::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// A permission is missing.
    pub fn is_denied(&self) -> bool {
        matches!(*self.kind, AdminErrorKind::Denied { .. })
    }

    /// The request that the broker does not know, in any version that is spoken here.
    pub fn unsupported(&self) -> Option<Api> {
        match &*self.kind {
            AdminErrorKind::Wire(error) => match error.kind() {
                WireErrorKind::UnsupportedVersion { api, .. } => Some(*api),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(*self.kind, AdminErrorKind::Timeout { .. }) || self.patience() != Patience::None
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match &*self.kind {
            AdminErrorKind::Unreachable { tried } => tried.last()?.hint()?.to_owned(),
            // A broker that just died is in the metadata for a while, and looks like this.
            AdminErrorKind::ListenerUnreachable { broker, host, port, .. } => format!(
                "is broker {broker} up? if it is, its advertised.listeners tells clients to use {host}:{port}, which \
                 this machine must be able to reach"
            ),
            AdminErrorKind::Wire(error) => error.hint()?.to_owned(),
            AdminErrorKind::Denied { operation, resource, .. } => {
                format!("grant the right to {operation} on {resource} (kafka-acls.sh --add)")
            }
            AdminErrorKind::Corrupt { .. } => {
                "check the broker's disks; kafka-dump-log.sh shows the batch".to_owned()
            }
            AdminErrorKind::Kafka { .. }
            | AdminErrorKind::BrokerGone { .. }
            | AdminErrorKind::Timeout { .. }
            | AdminErrorKind::Unexpected { .. } => return None,
        })
    }

    pub(crate) fn patience(&self) -> Patience {
        match &*self.kind {
            AdminErrorKind::Unreachable { tried } => match tried.iter().any(WireError::is_retryable) {
                true => Patience::Full,
                false => Patience::None,
            },
            AdminErrorKind::ListenerUnreachable { source, .. } if source.is_retryable() => Patience::Outage,
            AdminErrorKind::Wire(error) if error.is_retryable() => Patience::Full,
            AdminErrorKind::BrokerGone { .. } => Patience::Full,
            // A topic that was just created is not yet known to every broker.
            AdminErrorKind::Kafka { code, .. } if *code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                Patience::Short
            }
            AdminErrorKind::Kafka { code, .. } if code.is_retriable() => Patience::Full,
            _ => Patience::None,
        }
    }
}

impl From<WireError> for AdminError {
    fn from(error: WireError) -> Self {
        let effect = error.effect();
        AdminError { kind: Box::new(AdminErrorKind::Wire(error)), effect }
    }
}

impl std::error::Error for AdminError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.kind {
            AdminErrorKind::ListenerUnreachable { source, .. } => Some(source),
            AdminErrorKind::Corrupt { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            AdminErrorKind::Unreachable { tried } => {
                f.write_str("no broker answers")?;
                for (index, error) in tried.iter().enumerate() {
                    write!(f, "{} {error}", if index == 0 { " at" } else { ";" })?;
                }
                Ok(())
            }
            AdminErrorKind::ListenerUnreachable { broker, host, port, source } => {
                let why = source.kind();
                write!(f, "broker {broker} advertises {host}:{port}, which cannot be used from here: {why}")
            }
            AdminErrorKind::Wire(error) => error.fmt(f),
            AdminErrorKind::Denied { operation, resource, message } => {
                write!(f, "not allowed to {operation} on {resource}: {message}")
            }
            AdminErrorKind::Kafka { code, message, resource } => write!(f, "{resource}: {code}: {message}"),
            AdminErrorKind::BrokerGone { broker } => write!(f, "broker {broker} has left the cluster"),
            AdminErrorKind::Timeout { what, after, last } => {
                write!(f, "{what}: not done within {} ms", after.as_millis())?;
                last.as_ref().map_or(Ok(()), |last| write!(f, "; last: {last}"))
            }
            AdminErrorKind::Corrupt { topic, partition, offset, source } => {
                write!(f, "topic {topic} partition {partition} at offset {offset}: {source}")
            }
            AdminErrorKind::Unexpected { message } => f.write_str(message),
        }
    }
}
