//! librdkafka's errors as ours.

use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::answers::{Answers, Heard};
use crate::{CommitError, CommitErrorKind, ConsumeError, ConsumeErrorKind, ProduceErrorKind};

/// How long a record was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    /// No attempt is older.
    pub(super) since: Instant,
    /// The delivery timeout.
    pub(super) limit: Duration,
}

/// A failed delivery. `answers` explains a timeout.
pub(super) fn produce(
    code: Code,
    topic: &str,
    partition: i32,
    tried: Tried,
    answers: &Answers,
) -> ProduceErrorKind {
    use ProduceErrorKind as K;
    let message = || code.to_string();
    let heard = || answers.last(topic, partition, tried.since);
    match code {
        // The message sat in the queue or was retried for all of its time.
        Code::MessageTimedOut => match heard() {
            Some(Heard { code: Some(Code::NotEnoughReplicas), in_doubt, .. }) => {
                K::NotEnoughReplicas { waited: Some(tried.limit), in_doubt }
            }
            Some(Heard { code: Some(Code::NotEnoughReplicasAfterAppend), .. }) => {
                K::NotEnoughReplicas { waited: Some(tried.limit), in_doubt: true }
            }
            heard => {
                let last_answer = heard.map(|heard| heard.text);
                K::TimedOut { after: tried.limit, last_answer, in_doubt: true }
            }
        },
        Code::NotEnoughReplicas => {
            K::NotEnoughReplicas { waited: None, in_doubt: heard().is_some_and(|heard| heard.in_doubt) }
        }
        Code::NotEnoughReplicasAfterAppend => K::NotEnoughReplicas { waited: None, in_doubt: true },
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => K::TooLarge {
            bytes: None,
            limit: "max.message.bytes of the topic or max.request.size".to_owned(),
        },
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => K::UnknownTopic,
        Code::UnknownPartition => K::UnknownPartition,
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => K::Denied,
        Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidMessage
        | Code::UnsupportedCompressionType => K::Invalid { message: message() },
        Code::InvalidProducerEpoch | Code::ProducerFenced | Code::Fenced => K::Fenced { message: message() },
        Code::Fatal | Code::GaplessGuarantee | Code::OutOfOrderSequenceNumber | Code::UnknownProducerId => {
            K::Fatal { message: message() }
        }
        Code::PurgeQueue | Code::PurgeInflight | Code::DestroyBroker => K::Closed,
        other => broker(other),
    }
}

/// A failed look at a topic's partitions.
pub(super) fn metadata(error: &KafkaError, after: Duration, answers: &Answers) -> ProduceErrorKind {
    let tried = Tried { since: Instant::now(), limit: after };
    match error.rdkafka_error_code() {
        Some(code @ (Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic)) => {
            produce(code, "", -1, tried, answers)
        }
        Some(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
            produce(code, "", -1, tried, answers)
        }
        _ => {
            let last_answer = answers.complaint().or_else(|| Some(error.to_string()));
            ProduceErrorKind::TimedOut { after, last_answer, in_doubt: true }
        }
    }
}

/// An error from polling a consumer; `reason` is what librdkafka said beside the code.
pub(super) fn consume(error: &KafkaError, reason: Option<&str>) -> ConsumeError {
    use ConsumeErrorKind as K;
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    let code = error.rdkafka_error_code();
    let kind = match code {
        _ if fatal => K::Fatal,
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset) => K::OffsetOutOfRange,
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => K::UnknownTopic,
        Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => K::Denied,
        Some(Code::PollExceeded | Code::UnknownMemberId | Code::IllegalGeneration) => K::LeftBehind,
        Some(Code::Fatal | Code::Fenced | Code::FencedInstanceId) => K::Fatal,
        Some(Code::BadMessage | Code::BadCompression | Code::InvalidMessage) => K::Unreadable,
        Some(
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::SSL,
        ) => K::Connection,
        _ => K::Other,
    };
    let text = code.map_or_else(|| error.to_string(), |code| code.to_string());
    let message = match reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    };
    ConsumeError { kind, message }
}

/// A failed commit.
pub(super) fn commit(error: &KafkaError) -> CommitError {
    use CommitErrorKind as K;
    let kind = match error.rdkafka_error_code() {
        Some(
            Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::RebalanceInProgress
            | Code::FencedInstanceId
            | Code::AssignmentLost,
        ) => K::NotMember,
        Some(
            Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::RequestTimedOut
            | Code::OperationTimedOut
            | Code::BrokerTransportFailure
            | Code::NetworkException
            | Code::TimedOutQueue,
        ) => K::Coordinator,
        Some(Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed) => K::Denied,
        Some(Code::DestroyBroker | Code::State) => K::Closed,
        _ => K::Other,
    };
    let message = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
    CommitError { kind, message }
}

fn broker(code: Code) -> ProduceErrorKind {
    // Codes from -1 up are Kafka's own; below are librdkafka's.
    match i16::try_from(code as i32) {
        Ok(number) if number >= -1 => {
            let known = ErrorCode::from(number);
            ProduceErrorKind::Broker {
                name: known.name().to_owned(),
                message: known.meaning().to_owned(),
                retriable: known.is_retriable(),
            }
        }
        _ => ProduceErrorKind::Broker {
            name: format!("{code:?}"),
            message: code.to_string(),
            retriable: matches!(
                code,
                Code::QueueFull | Code::BrokerTransportFailure | Code::OperationTimedOut
            ),
        },
    }
}
