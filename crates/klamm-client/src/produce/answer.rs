//! What an answer means for a batch.

use std::time::Duration;

use klamm_kafka::ErrorCode as Code;

use crate::ProduceErrorKind as Kind;

/// What a broker answered for one partition of a produce request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    /// -1 if the broker did not say.
    pub(crate) base_offset: i64,
    /// The broker's time, if the topic has `message.timestamp.type=LogAppendTime`.
    pub(crate) append_time_ms: Option<i64>,
    pub(crate) message: Option<String>,
    /// Index in the batch and reason of each record that the broker refused (KIP-467).
    pub(crate) refused: Vec<(u32, Option<String>)>,
}

impl Answer {
    /// An answer with nothing but a code.
    #[cfg(test)]
    pub(crate) fn code(code: Code) -> Answer {
        Answer { code, base_offset: -1, append_time_ms: None, message: None, refused: Vec::new() }
    }

    pub(crate) fn text(&self) -> String {
        match &self.message {
            Some(message) => format!("{}: {message}", self.code),
            None => self.code.to_string(),
        }
    }
}

/// How a request ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing of it was written to a socket.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log.
    Stored,
    /// This attempt may have been appended all the same; again.
    AgainInDoubt,
    /// This attempt was not appended; again.
    Again,
    /// The broker misses what comes before it.
    OutOfOrder,
    /// It is too large as a whole.
    TooLarge,
    /// Never, and this attempt was not appended.
    Refused,
    /// Never, and nobody knows whether this attempt was appended.
    Unclear,
    /// Nothing of this producer is taken any more.
    Fenced,
}

pub(super) fn verdict(code: Code) -> Verdict {
    match code {
        Code::NONE | Code::DUPLICATE_SEQUENCE_NUMBER => Verdict::Stored,
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER | Code::UNKNOWN_PRODUCER_ID => Verdict::OutOfOrder,
        Code::MESSAGE_TOO_LARGE => Verdict::TooLarge,
        Code::INVALID_PRODUCER_EPOCH | Code::PRODUCER_FENCED => Verdict::Fenced,
        // Refused before anything is appended. NOT_LEADER_OR_FOLLOWER is not among them: a leader that is deposed while it waits for
        // the replicas of a batch answers so, and the next leader may have it.
        Code::NOT_ENOUGH_REPLICAS
        | Code::CORRUPT_MESSAGE
        | Code::UNKNOWN_TOPIC_ID
        | Code::INCONSISTENT_TOPIC_ID => Verdict::Again,
        Code::TOPIC_AUTHORIZATION_FAILED
        | Code::CLUSTER_AUTHORIZATION_FAILED
        | Code::INVALID_RECORD
        | Code::INVALID_TIMESTAMP
        | Code::INVALID_TOPIC_EXCEPTION
        | Code::RECORD_LIST_TOO_LARGE
        | Code::INVALID_REQUIRED_ACKS
        | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | Code::UNSUPPORTED_COMPRESSION_TYPE
        | Code::UNSUPPORTED_VERSION
        | Code::INVALID_REQUEST
        | Code::POLICY_VIOLATION => Verdict::Refused,
        other if other.is_retriable() => Verdict::AgainInDoubt,
        _ => Verdict::Unclear,
    }
}

/// Whether newer metadata may help.
pub(super) fn is_routing(code: Code) -> bool {
    code.class() == klamm_kafka::ErrorClass::Routing || code == Code::KAFKA_STORAGE_ERROR
}

/// The error of a batch that the broker will never take. With `in_doubt` an earlier attempt may be in the log.
pub(crate) fn refusal(code: Code, message: Option<&str>, in_doubt: bool) -> Kind {
    let text = message.unwrap_or(code.meaning());
    if verdict(code) == Verdict::Fenced {
        return Kind::Fenced { message: text.to_owned() };
    }
    if in_doubt {
        let name = code.name().to_owned();
        let message = format!("{text}; an earlier attempt may have been appended");
        return Kind::Broker { name, message, retriable: false };
    }
    match code {
        Code::TOPIC_AUTHORIZATION_FAILED | Code::CLUSTER_AUTHORIZATION_FAILED => Kind::Denied,
        Code::MESSAGE_TOO_LARGE => too_large("max.message.bytes of the topic"),
        Code::RECORD_LIST_TOO_LARGE => too_large("segment.bytes of the topic"),
        Code::INVALID_TOPIC_EXCEPTION | Code::UNKNOWN_TOPIC_OR_PARTITION | Code::UNKNOWN_TOPIC_ID => {
            Kind::UnknownTopic
        }
        _ if verdict(code) == Verdict::Refused => Kind::Invalid { message: text.to_owned() },
        _ => Kind::Broker {
            name: code.name().to_owned(),
            message: text.to_owned(),
            retriable: code.is_retriable(),
        },
    }
}

fn too_large(limit: &str) -> Kind {
    Kind::TooLarge { bytes: None, limit: limit.to_owned() }
}

/// What was heard instead of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) code: Option<Code>,
    pub(super) text: String,
}

/// The error of a batch whose delivery timeout is over.
pub(super) fn expired(after: Duration, heard: Option<&Heard>, in_doubt: bool) -> Kind {
    match heard.and_then(|heard| heard.code) {
        Some(Code::NOT_ENOUGH_REPLICAS | Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND) => {
            Kind::NotEnoughReplicas { waited: Some(after), in_doubt }
        }
        _ => Kind::TimedOut { after, last_answer: heard.map(|heard| heard.text.clone()), in_doubt },
    }
}
