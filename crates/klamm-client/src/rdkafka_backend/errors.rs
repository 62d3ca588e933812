//! librdkafka's errors as ours.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::{CommitError, CommitErrorKind, ConsumeError, ConsumeErrorKind};

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
