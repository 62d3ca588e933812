//! What can go wrong, told apart by what the caller can do about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use klamm_admin::AdminError;
use klamm_wire::Effect;

/// A client could not be opened.
#[derive(Debug)]
pub struct ClientError {
    kind: ClientErrorKind,
}

/// Why a client could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The cluster could not be reached, or refused this client.
    Connect(Box<AdminError>),
    /// A setting has a value that cannot be used.
    Setting {
        /// Name in Kafka's words.
        name: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The data path could not be started.
    Start {
        /// What it said.
        message: String,
    },
}

impl ClientError {
    pub(crate) fn new(kind: ClientErrorKind) -> ClientError {
        ClientError { kind }
    }

    pub(crate) fn setting(
        name: impl Into<String>,
        value: impl fmt::Display,
        problem: impl Into<String>,
    ) -> ClientError {
        let (name, value, problem) = (name.into(), value.to_string(), problem.into());
        ClientError { kind: ClientErrorKind::Setting { name, value, problem } }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ClientErrorKind {
        &self.kind
    }

    /// Whether trying again may do better without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(&self.kind, ClientErrorKind::Connect(error) if error.is_retryable())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ClientErrorKind::Connect(error) => error.fmt(f),
            ClientErrorKind::Setting { name, value, problem } => write!(f, "{name}={value}: {problem}"),
            ClientErrorKind::Start { message } => write!(f, "cannot start the data path: {message}"),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ClientErrorKind::Connect(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<AdminError> for ClientError {
    fn from(error: AdminError) -> ClientError {
        ClientError { kind: ClientErrorKind::Connect(Box::new(error)) }
    }
}

/// A record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceError {
    // Boxed so that the outcome of the usual case, a receipt, stays small.
    inner: Box<ProduceFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ProduceFailure {
    topic: String,
    partition: Option<i32>,
    kind: ProduceErrorKind,
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceErrorKind {
    /// Fewer replicas are in sync than `min.insync.replicas` asks: the leader did not append the record.
    NotEnoughReplicas {
        /// How long it was tried, when it was given up at the delivery timeout.
        waited: Option<Duration>,
        /// An earlier attempt ended without an answer, or was appended before the replicas fell away.
        in_doubt: bool,
    },
    /// Not acknowledged within the delivery timeout.
    TimedOut {
        /// The delivery timeout.
        after: Duration,
        /// The last thing that a broker or the connection to it said, if anything.
        last_answer: Option<String>,
        /// It was on its way to a broker that did not say what became of it.
        in_doubt: bool,
    },
    /// The record is larger than a limit.
    TooLarge {
        /// Bytes of the record, where they are known.
        bytes: Option<usize>,
        /// The setting that limits it, and where it is set.
        limit: String,
    },
    /// The cluster has no such topic.
    UnknownTopic,
    /// The topic has no such partition.
    UnknownPartition,
    /// This client may not write to the topic.
    Denied,
    /// The broker refused the record itself (a record without a key for a compacted topic, a timestamp out of range).
    Invalid {
        /// What the broker said.
        message: String,
    },
    /// Another producer took over this one's identity; it cannot go on.
    Fenced {
        /// What the client said.
        message: String,
    },
    /// The producer is in a state that it cannot leave; a new one is needed.
    Fatal {
        /// What the client said.
        message: String,
    },
    /// The producer was closed before the record was acknowledged.
    Closed,
    /// Any other answer.
    Broker {
        /// Kafka's name for it, or the client's.
        name: String,
        /// What it means.
        message: String,
        /// Whether Kafka calls it retriable.
        retriable: bool,
    },
}

impl ProduceError {
    pub(crate) fn new(
        topic: impl Into<String>,
        partition: Option<i32>,
        kind: ProduceErrorKind,
    ) -> ProduceError {
        ProduceError { inner: Box::new(ProduceFailure { topic: topic.into(), partition, kind }) }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ProduceErrorKind {
        &self.inner.kind
    }

    /// Topic of the record.
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// Partition of the record, once it was chosen.
    pub fn partition(&self) -> Option<i32> {
        self.inner.partition
    }

    /// Whether sending the record again may do better. Look at [`effect`](ProduceError::effect) first: when it is
    /// unknown, a second send can leave two copies.
    pub fn is_retryable(&self) -> bool {
        use ProduceErrorKind as K;
        match self.kind() {
            K::NotEnoughReplicas { .. } | K::TimedOut { .. } => true,
            K::Broker { retriable, .. } => *retriable,
            K::TooLarge { .. }
            | K::UnknownTopic
            | K::UnknownPartition
            | K::Denied
            | K::Invalid { .. }
            | K::Fenced { .. }
            | K::Fatal { .. }
            | K::Closed => false,
        }
    }

    /// Whether the record may be in the log.
    pub fn effect(&self) -> Effect {
        use ProduceErrorKind as K;
        match self.kind() {
            K::NotEnoughReplicas { in_doubt: false, .. }
            | K::TimedOut { in_doubt: false, .. }
            | K::TooLarge { .. }
            | K::UnknownTopic
            | K::UnknownPartition
            | K::Denied
            | K::Invalid { .. } => Effect::None,
            K::NotEnoughReplicas { .. }
            | K::TimedOut { .. }
            | K::Fenced { .. }
            | K::Fatal { .. }
            | K::Closed
            | K::Broker { .. } => Effect::Unknown,
        }
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProduceErrorKind as K;
        write!(f, "{}", self.topic())?;
        if let Some(partition) = self.partition() {
            write!(f, "-{partition}")?;
        }
        f.write_str(": ")?;
        match self.kind() {
            K::NotEnoughReplicas { waited, in_doubt } => {
                f.write_str("NOT_ENOUGH_REPLICAS: fewer replicas are in sync than min.insync.replicas asks")?;
                if let Some(waited) = waited {
                    write!(f, ", for all of delivery.timeout.ms={}", waited.as_millis())?;
                }
                if *in_doubt { f.write_str("; an earlier attempt may have been appended") } else { Ok(()) }
            }
            K::TimedOut { after, last_answer, .. } => {
                write!(f, "not acknowledged within delivery.timeout.ms={}", after.as_millis())?;
                match last_answer {
                    Some(answer) => write!(f, "; last: {answer}"),
                    None => f.write_str("; no broker answered"),
                }
            }
            K::TooLarge { bytes: Some(bytes), limit } => {
                write!(f, "record of {bytes} bytes is larger than {limit}")
            }
            K::TooLarge { bytes: None, limit } => write!(f, "record is larger than {limit}"),
            K::UnknownTopic => f.write_str("the cluster has no such topic"),
            K::UnknownPartition => f.write_str("the topic has no such partition"),
            K::Denied => f.write_str("this client may not write to the topic (WRITE)"),
            K::Invalid { message } => write!(f, "the broker refused the record: {message}"),
            K::Fenced { message } => write!(f, "another producer took over: {message}"),
            K::Fatal { message } => write!(f, "the producer cannot go on: {message}"),
            K::Closed => f.write_str("the producer was closed before the record was acknowledged"),
            K::Broker { name, message, .. } => write!(f, "{name}: {message}"),
        }
    }
}

impl Error for ProduceError {}

/// A flush or close reached its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushError {
    /// The deadline.
    pub after: Duration,
    /// Records without an outcome by then.
    pub outstanding: usize,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records are not acknowledged after {} ms", self.outstanding, self.after.as_millis())
    }
}

impl Error for FlushError {}

/// Something that a consumer met while it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumeError {
    pub(crate) kind: ConsumeErrorKind,
    pub(crate) message: String,
}

/// What a consumer met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumeErrorKind {
    /// The connection to brokers was lost; the client goes on trying.
    Connection,
    /// No offset is committed, or it is not in the log, and the reset policy is to stop.
    OffsetOutOfRange,
    /// Records that this consumer had read are not in the log of the partition's new leader (KIP-320): somebody elected an unclean
    /// leader. It goes on where the log ends, or stops if the reset policy is to stop.
    Truncated,
    /// A topic does not exist.
    UnknownTopic,
    /// This client may not read the topic or use the group.
    Denied,
    /// Polling or heartbeats stopped for too long and the group went on without this member.
    LeftBehind,
    /// A record cannot be read (a header's name is not UTF-8, a batch is corrupt); the partition stops here.
    Unreadable,
    /// The consumer is in a state that it cannot leave (fenced by a member with the same `group.instance.id`).
    Fatal,
    /// Anything else.
    Other,
}

impl ConsumeError {
    /// The reading task is gone.
    pub(crate) fn ended() -> ConsumeError {
        ConsumeError { kind: ConsumeErrorKind::Fatal, message: "reading has ended".to_owned() }
    }

    /// What was met.
    pub fn kind(&self) -> ConsumeErrorKind {
        self.kind
    }

    /// Whether the consumer goes on by itself.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ConsumeErrorKind::Connection | ConsumeErrorKind::LeftBehind | ConsumeErrorKind::Other
        )
    }
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ConsumeError {}

/// Offsets were not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitError {
    pub(crate) kind: CommitErrorKind,
    pub(crate) message: String,
}

/// Why offsets were not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitErrorKind {
    /// The group went on without this member: the partitions belong to others now.
    NotMember,
    /// The coordinator did not answer, or is moving.
    Coordinator,
    /// This client may not use the group.
    Denied,
    /// The consumer was closed.
    Closed,
    /// Anything else.
    Other,
}

impl CommitError {
    /// A failed commit; `message` says why, lowercase and without a final dot.
    pub fn new(kind: CommitErrorKind, message: impl Into<String>) -> CommitError {
        CommitError { kind, message: message.into() }
    }

    /// What went wrong.
    pub fn kind(&self) -> CommitErrorKind {
        self.kind
    }

    /// Whether committing again may do better.
    pub fn is_retryable(&self) -> bool {
        self.kind == CommitErrorKind::Coordinator
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offsets were not committed: {}", self.message)
    }
}

impl Error for CommitError {}
