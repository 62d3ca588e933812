//! The error codes of the Kafka protocol, as of Apache Kafka 4.3.
//!
//! Codes, names and the retriable flag are those of `org.apache.kafka.common.protocol.Errors`; a test compares the
//! table with what that class answers. The class and the meaning are Klamm's own words.

use std::fmt;

/// One error code of the protocol. Codes that this table does not know keep their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(i16);

/// What an error is about, and so who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No error.
    None,
    /// The client asked the wrong broker: refresh metadata and ask again.
    Routing,
    /// The coordinator moved or is loading: find it again.
    Coordinator,
    /// It may work next time.
    Transient,
    /// Too few replicas are in sync.
    Replication,
    /// The member's place in its group has changed.
    Group,
    /// Idempotent or transactional state of a producer.
    Transaction,
    /// A permission is missing.
    Authorization,
    /// Who the client is could not be established.
    Authentication,
    /// The request itself is wrong; the same request fails again.
    Request,
    /// The records or the offset are the trouble.
    Data,
    /// What was asked for is so already, or not possible now.
    State,
    /// One side is too old or too new for the other.
    Version,
    /// A quota is used up.
    Quota,
    /// The cluster's own affairs.
    Server,
    /// A code that this table does not know.
    Unknown,
}

/// Everything that is known about one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorInfo {
    /// The number on the wire.
    pub code: i16,
    /// Kafka's name.
    pub name: &'static str,
    /// Java's clients would try again.
    pub retriable: bool,
    /// What it is about.
    pub class: ErrorClass,
    /// What it means, in plain words.
    pub meaning: &'static str,
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self.0
    }

    /// No error.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// `Ok` for code 0, else the code as the error.
    pub const fn ok(self) -> Result<(), ErrorCode> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// The table's row; `None` for a code that a newer Kafka has added.
    pub fn info(self) -> Option<&'static ErrorInfo> {
        // The table starts at -1 and has no gaps (tested).
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        ERRORS.get(index)
    }

    /// Kafka's name, `UNKNOWN` for a code that this table does not know.
    pub fn name(self) -> &'static str {
        self.info().map_or("UNKNOWN", |info| info.name)
    }

    /// May the same request succeed later? Unknown codes are not retried: nobody knows what they mean.
    pub fn is_retriable(self) -> bool {
        self.info().is_some_and(|info| info.retriable)
    }

    /// What it is about.
    pub fn class(self) -> ErrorClass {
        self.info().map_or(ErrorClass::Unknown, |info| info.class)
    }

    /// What it means, in plain words.
    pub fn meaning(self) -> &'static str {
        self.info().map_or("an error that this version of klamm does not know", |info| info.meaning)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        ErrorCode(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl std::error::Error for ErrorCode {}

macro_rules! errors {
    (@retriable retriable) => { true };
    (@retriable final) => { false };
    ($($code:literal $name:ident $retriable:ident $class:ident $meaning:literal;)*) => {
        /// All codes, from -1 upwards without a gap.
        pub static ERRORS: &[ErrorInfo] = &[$(ErrorInfo {
            code: $code,
            name: stringify!($name),
            retriable: errors!(@retriable $retriable),
            class: ErrorClass::$class,
            meaning: $meaning,
        }),*];

        impl ErrorCode {
            $(#[doc = concat!("`", stringify!($name), "`: ", $meaning, ".")]
            pub const $name: ErrorCode = ErrorCode($code);)*
        }
    };
}

errors! {
    -1 UNKNOWN_SERVER_ERROR final Server "the broker failed for a reason that it does not name; its log has the cause";
    0 NONE final None "no error";
    1 OFFSET_OUT_OF_RANGE final Data "the offset asked for is not in the log: expired, deleted, or not written yet";
    2 CORRUPT_MESSAGE retriable Data "the batch is damaged (checksum, size) or has a null key on a compacted topic";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable Routing "the broker does not host this partition, or the topic does not exist (yet)";
    4 INVALID_FETCH_SIZE final Request "the fetch size asked for is not valid";
    5 LEADER_NOT_AVAILABLE retriable Routing "the partition has no leader at the moment";
    6 NOT_LEADER_OR_FOLLOWER retriable Routing "the broker asked is no longer the leader, or no replica, of the partition";
    7 REQUEST_TIMED_OUT retriable Transient "the broker did not finish in the time that the request allowed";
    8 BROKER_NOT_AVAILABLE final Transient "the broker is not available";
    9 REPLICA_NOT_AVAILABLE retriable Routing "the replica is not available on the broker asked";
    10 MESSAGE_TOO_LARGE final Data "a record or batch is larger than the topic or the broker accepts";
    11 STALE_CONTROLLER_EPOCH final Server "a request of an old controller was refused";
    12 OFFSET_METADATA_TOO_LARGE final Request "the metadata that goes with an offset commit is too long";
    13 NETWORK_EXCEPTION retriable Transient "the connection broke before the answer came";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable Coordinator "the coordinator is still loading its state";
    15 COORDINATOR_NOT_AVAILABLE retriable Coordinator "there is no coordinator for this group or transactional id at the moment";
    16 NOT_COORDINATOR retriable Coordinator "the broker asked is no longer the coordinator";
    17 INVALID_TOPIC_EXCEPTION final Request "the topic name is not valid, or the topic may not be used in this way";
    18 RECORD_LIST_TOO_LARGE final Data "the batch is larger than the segment size of the topic";
    19 NOT_ENOUGH_REPLICAS retriable Replication "fewer replicas are in sync than min.insync.replicas asks: nothing was written";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable Replication "the batch was written but fewer replicas are in sync than min.insync.replicas asks";
    21 INVALID_REQUIRED_ACKS final Request "acks must be 0, 1 or all";
    22 ILLEGAL_GENERATION final Group "the member speaks for a generation of the group that is over";
    23 INCONSISTENT_GROUP_PROTOCOL final Group "the members of the group share no assignment protocol";
    24 INVALID_GROUP_ID final Request "the group id is not valid";
    25 UNKNOWN_MEMBER_ID final Group "the coordinator does not know this member";
    26 INVALID_SESSION_TIMEOUT final Request "the session timeout is outside the range that the broker allows";
    27 REBALANCE_IN_PROGRESS final Group "the group is rebalancing: rejoin";
    28 INVALID_COMMIT_OFFSET_SIZE final Request "the offset commit is too large";
    29 TOPIC_AUTHORIZATION_FAILED final Authorization "no permission for the topic";
    30 GROUP_AUTHORIZATION_FAILED final Authorization "no permission for the group";
    31 CLUSTER_AUTHORIZATION_FAILED final Authorization "no permission for the cluster operation";
    32 INVALID_TIMESTAMP final Data "the record's timestamp is too far from the broker's clock";
    33 UNSUPPORTED_SASL_MECHANISM final Authentication "the broker does not offer this SASL mechanism";
    34 ILLEGAL_SASL_STATE final Authentication "the request does not fit the state of the SASL exchange";
    35 UNSUPPORTED_VERSION final Version "the broker does not speak this version of the request";
    36 TOPIC_ALREADY_EXISTS final State "a topic of this name exists already";
    37 INVALID_PARTITIONS final Request "the number of partitions is not valid";
    38 INVALID_REPLICATION_FACTOR final Request "the replication factor is below 1 or above the number of live brokers";
    39 INVALID_REPLICA_ASSIGNMENT final Request "the replica assignment is not valid";
    40 INVALID_CONFIG final Request "a configuration value is not valid";
    41 NOT_CONTROLLER retriable Routing "the broker asked is not the active controller";
    42 INVALID_REQUEST final Request "the request makes no sense to the broker";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT final Version "the log's message format cannot do what was asked";
    44 POLICY_VIOLATION final Request "a policy or limit of the cluster refuses the request";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER final Transaction "a batch arrived out of sequence: an earlier one of this producer is missing";
    46 DUPLICATE_SEQUENCE_NUMBER final Transaction "the batch was written before";
    47 INVALID_PRODUCER_EPOCH final Transaction "a newer instance of the producer has taken over";
    48 INVALID_TXN_STATE final Transaction "the transaction is not in a state that allows this";
    49 INVALID_PRODUCER_ID_MAPPING final Transaction "the producer id does not belong to this transactional id";
    50 INVALID_TRANSACTION_TIMEOUT final Request "the transaction timeout is above what the broker allows";
    51 CONCURRENT_TRANSACTIONS retriable Transaction "another operation of this transaction is still going on";
    52 TRANSACTION_COORDINATOR_FENCED final Transaction "the transaction coordinator was replaced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED final Authorization "no permission for the transactional id";
    54 SECURITY_DISABLED final Authentication "the cluster has no authorizer";
    55 OPERATION_NOT_ATTEMPTED final Request "the operation was not tried because another one of the batch failed";
    56 KAFKA_STORAGE_ERROR retriable Transient "the disk of the broker failed for this partition";
    57 LOG_DIR_NOT_FOUND final Request "the log directory does not exist on the broker";
    58 SASL_AUTHENTICATION_FAILED final Authentication "the credentials were refused";
    59 UNKNOWN_PRODUCER_ID final Transaction "the broker has no state of this producer any more";
    60 REASSIGNMENT_IN_PROGRESS final State "a reassignment of the partition is in progress";
    61 DELEGATION_TOKEN_AUTH_DISABLED final Authentication "delegation tokens are switched off";
    62 DELEGATION_TOKEN_NOT_FOUND final Authentication "the delegation token does not exist";
    63 DELEGATION_TOKEN_OWNER_MISMATCH final Authorization "the delegation token belongs to somebody else";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED final Authentication "delegation tokens cannot be requested over this connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED final Authorization "no permission for the delegation token";
    66 DELEGATION_TOKEN_EXPIRED final Authentication "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE final Request "the principal type is not known";
    68 NON_EMPTY_GROUP final Group "the group still has members";
    69 GROUP_ID_NOT_FOUND final Group "the group does not exist";
    70 FETCH_SESSION_ID_NOT_FOUND retriable Transient "the broker has dropped the fetch session";
    71 INVALID_FETCH_SESSION_EPOCH retriable Transient "the fetch session is out of step";
    72 LISTENER_NOT_FOUND retriable Routing "the leader has no listener of the name that the client uses";
    73 TOPIC_DELETION_DISABLED final Request "topic deletion is switched off";
    74 FENCED_LEADER_EPOCH retriable Routing "the client's leader epoch is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH retriable Routing "the client's leader epoch is newer than the broker's";
    76 UNSUPPORTED_COMPRESSION_TYPE final Version "the client or broker does not support the compression of the batch";
    77 STALE_BROKER_EPOCH final Server "the broker's registration is an old one";
    78 OFFSET_NOT_AVAILABLE retriable Routing "the new leader does not know the high watermark yet";
    79 MEMBER_ID_REQUIRED final Group "join again with the member id that was handed out";
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable Routing "the preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED final Group "the group has as many members as the broker allows";
    82 FENCED_INSTANCE_ID final Group "another member with the same group.instance.id has taken over";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable Routing "no replica may become leader";
    84 ELECTION_NOT_NEEDED retriable State "the leader is the right one already";
    85 NO_REASSIGNMENT_IN_PROGRESS final State "there is no reassignment to cancel";
    86 GROUP_SUBSCRIBED_TO_TOPIC final Group "the group is subscribed to the topic";
    87 INVALID_RECORD final Data "the broker refuses the record (for instance a null key on a compacted topic)";
    88 UNSTABLE_OFFSET_COMMIT retriable Transaction "offsets of an open transaction are in the way";
    89 THROTTLING_QUOTA_EXCEEDED retriable Quota "a quota is used up: wait";
    90 PRODUCER_FENCED final Transaction "a newer producer with the same transactional id has taken over";
    91 RESOURCE_NOT_FOUND final Request "the resource does not exist";
    92 DUPLICATE_RESOURCE final Request "the request names one resource twice";
    93 UNACCEPTABLE_CREDENTIAL final Authentication "the credential does not meet the broker's demands";
    94 INCONSISTENT_VOTER_SET final Server "the voters of the metadata quorum do not agree";
    95 INVALID_UPDATE_VERSION final Request "the feature version is not valid";
    96 FEATURE_UPDATE_FAILED final Server "the feature could not be changed";
    97 PRINCIPAL_DESERIALIZATION_FAILURE final Authentication "the principal could not be read while forwarding";
    98 SNAPSHOT_NOT_FOUND final Server "the metadata snapshot does not exist";
    99 POSITION_OUT_OF_RANGE final Server "the position in the snapshot is out of range";
    100 UNKNOWN_TOPIC_ID retriable Routing "the broker does not know this topic id (yet): the topic may have been deleted and made anew";
    101 DUPLICATE_BROKER_REGISTRATION final Server "another broker uses this node id";
    102 BROKER_ID_NOT_REGISTERED final Server "the broker is not registered";
    103 INCONSISTENT_TOPIC_ID retriable Routing "the topic id does not belong to the topic name";
    104 INCONSISTENT_CLUSTER_ID final Request "the request is for another cluster";
    105 TRANSACTIONAL_ID_NOT_FOUND final Transaction "the transactional id does not exist";
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable Transient "the fetch session mixed topic ids and names";
    107 INELIGIBLE_REPLICA final Server "a replica may not enter the in-sync set";
    108 NEW_LEADER_ELECTED final Server "the change of the in-sync set brought a new leader";
    109 OFFSET_MOVED_TO_TIERED_STORAGE final Data "the records are in tiered storage";
    110 FENCED_MEMBER_EPOCH final Group "the member's epoch is over: give up the partitions and rejoin";
    111 UNRELEASED_INSTANCE_ID final Group "the group.instance.id is still in use by another member";
    112 UNSUPPORTED_ASSIGNOR final Group "the group does not support this assignor";
    113 STALE_MEMBER_EPOCH final Group "the member's epoch is old: heartbeat first";
    114 MISMATCHED_ENDPOINT_TYPE final Request "the request went to the wrong kind of node (broker or controller)";
    115 UNSUPPORTED_ENDPOINT_TYPE final Request "the kind of node is not supported";
    116 UNKNOWN_CONTROLLER_ID final Request "the controller id is not known";
    117 UNKNOWN_SUBSCRIPTION_ID final Request "the telemetry subscription is old";
    118 TELEMETRY_TOO_LARGE final Request "the telemetry is larger than the broker accepts";
    119 INVALID_REGISTRATION final Server "the controller refuses the broker's registration";
    120 TRANSACTION_ABORTABLE final Transaction "the transaction failed and must be aborted; then it can be tried again";
    121 INVALID_RECORD_STATE final Group "the acknowledgement does not fit the record's state";
    122 SHARE_SESSION_NOT_FOUND retriable Transient "the broker has dropped the share session";
    123 INVALID_SHARE_SESSION_EPOCH retriable Transient "the share session is out of step";
    124 FENCED_STATE_EPOCH final Server "the share coordinator has newer state";
    125 INVALID_VOTER_KEY final Server "the voter's directory id does not match";
    126 DUPLICATE_VOTER final Server "the voter is in the set already";
    127 VOTER_NOT_FOUND final Server "the voter is not in the set";
    128 INVALID_REGULAR_EXPRESSION final Request "the regular expression is not valid";
    129 REBOOTSTRAP_REQUIRED final Routing "the client's metadata is too old: start from the bootstrap servers";
    130 STREAMS_INVALID_TOPOLOGY final Group "the topology is not valid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH final Group "the topology epoch is not valid";
    132 STREAMS_TOPOLOGY_FENCED final Group "the topology is an old one";
    133 SHARE_SESSION_LIMIT_REACHED retriable Transient "the broker holds as many share sessions as it allows";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_apache_kafka() {
        let golden = include_str!("../tests/golden/errors-4.3.1.tsv");
        let ours: Vec<String> =
            ERRORS.iter().map(|info| format!("{}\t{}\t{}", info.code, info.name, info.retriable)).collect();
        let theirs: Vec<&str> = golden.lines().collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn every_code_finds_its_own_row() {
        for info in ERRORS {
            assert_eq!(ErrorCode::from(info.code).info(), Some(info));
        }
    }

    #[test]
    fn a_code_of_a_newer_kafka_keeps_its_number_and_is_not_retried() {
        for code in [i16::MIN, -2, 134, i16::MAX] {
            let unknown = ErrorCode::from(code);
            assert_eq!(
                (unknown.code(), unknown.class(), unknown.is_retriable()),
                (code, ErrorClass::Unknown, false)
            );
            assert_eq!(unknown.to_string(), format!("UNKNOWN ({code})"));
        }
    }
}
