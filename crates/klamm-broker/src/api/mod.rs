//! The APIs that are offered: one file each, and the one table that dispatch and `ApiVersions` are made from.
//!
//! To add an API: write its file after a neighbour's example and add its line to [`apis!`] below.

mod acl_filter;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod frame;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod repeated;
mod rights;
mod sasl_authenticate;
mod sasl_handshake;
pub(crate) mod shape;
mod sync_group;
mod throttle;
mod topic_ids;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{
    ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader, TopicName, api_versions_response::ApiVersion,
};
use klamm_wire::protocol::protocol::{Decodable, Encodable, StrBytes};
use uuid::Uuid;

use crate::clock::millis;
use crate::faults::Fault;
use crate::node::Node;
use crate::security::{Gate, Principal, Session};
use shape::Shape;

pub(crate) use frame::{Frame, LENGTH_BYTES, Piece, Reply};

/// One API key: what it does, and how it answers.
pub(crate) trait Handler {
    type Request: Decodable + Send;
    type Response: Reply;

    /// The layout of the request, checked before it is decoded.
    const REQUEST: Shape;

    /// Handles a request. It may wait (a fetch for records, a join for the other members); cancelling it then
    /// leaves nothing half done.
    fn handle(call: &Call<'_>, request: Self::Request) -> impl Future<Output = Self::Response> + Send;

    /// The answer that says `error` wherever the response has a place for it.
    fn refuse(call: &Call<'_>, request: Self::Request, error: ErrorCode) -> Self::Response;

    /// Tells the client for how many milliseconds it is throttled, where the answer has a place for it.
    fn throttled(_response: &mut Self::Response, _ms: i32) {}

    /// The topics that the request names: a fault may be for one of them.
    fn topics(_call: &Call<'_>, _request: &Self::Request) -> Vec<String> {
        Vec::new()
    }

    /// Whether the client waits for an answer: only a produce request with `acks=0` does not.
    fn is_answered(_request: &Self::Request) -> bool {
        true
    }
}

/// Whom a request came from, and what it is handled with.
pub(crate) struct Call<'a> {
    pub node: &'a Node,
    /// Version of the API.
    pub version: i16,
    pub client_id: &'a str,
    pub peer: SocketAddr,
    /// The address that the client reached this broker by.
    pub local: SocketAddr,
    /// Who asks.
    pub principal: &'a Principal,
    /// The connection, with its listener.
    pub session: &'a Session,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Respond(Frame),
    /// Half of this frame is sent; then the connection is closed.
    Cut(Vec<u8>),
    /// Nothing is sent.
    Silent,
    /// The connection cannot go on.
    Close(String),
}

macro_rules! apis {
    ($($name:ident = $key:literal, $module:ident, $versions:expr;)*) => {
        /// The APIs that this broker offers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(i16)]
        pub enum Api {
            $(
                #[doc = concat!("`", stringify!($name), "`, key ", stringify!($key), ".")]
                $name = $key,
            )*
        }

        impl Api {
            /// All of them, by key.
            pub const ALL: &'static [Api] = &[$(Api::$name),*];

            /// The versions that are offered.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self { $(Api::$name => $versions,)* }
            }

            /// Kafka's name.
            pub fn name(self) -> &'static str {
                match self { $(Api::$name => stringify!($name),)* }
            }

            fn protocol_key(self) -> ApiKey {
                match self { $(Api::$name => ApiKey::$name,)* }
            }
        }

        #[cfg(any(test, feature = "fuzzing"))]
        pub(crate) fn decodes(api: Api, version: i16, body: Bytes) -> Result<(), String> {
            match api { $(Api::$name => decode::<$module::$name>(body, version).map(drop),)* }
        }

        #[cfg(test)]
        fn request_shape(api: Api) -> Shape {
            match api { $(Api::$name => <$module::$name as Handler>::REQUEST,)* }
        }

        async fn dispatch(api: Api, call: &Call<'_>, parts: Parts) -> Answer {
            match api { $(Api::$name => run::<$module::$name>(api, call, parts).await,)* }
        }
    };
}

apis! {
    Produce = 0, produce, 3..=13;
    Fetch = 1, fetch, 4..=17;
    ListOffsets = 2, list_offsets, 1..=10;
    Metadata = 3, metadata, 0..=13;
    OffsetCommit = 8, offset_commit, 2..=10;
    OffsetFetch = 9, offset_fetch, 1..=10;
    FindCoordinator = 10, find_coordinator, 0..=5;
    JoinGroup = 11, join_group, 0..=9;
    Heartbeat = 12, heartbeat, 0..=4;
    LeaveGroup = 13, leave_group, 0..=5;
    SyncGroup = 14, sync_group, 0..=5;
    DescribeGroups = 15, describe_groups, 0..=6;
    ListGroups = 16, list_groups, 0..=5;
    SaslHandshake = 17, sasl_handshake, 0..=1;
    ApiVersions = 18, api_versions, 0..=4;
    CreateTopics = 19, create_topics, 2..=7;
    DeleteTopics = 20, delete_topics, 1..=6;
    DeleteRecords = 21, delete_records, 0..=2;
    InitProducerId = 22, init_producer_id, 0..=5;
    OffsetForLeaderEpoch = 23, offset_for_leader_epoch, 2..=4;
    AddPartitionsToTxn = 24, add_partitions_to_txn, 0..=5;
    AddOffsetsToTxn = 25, add_offsets_to_txn, 0..=4;
    EndTxn = 26, end_txn, 0..=5;
    WriteTxnMarkers = 27, write_txn_markers, 1..=1;
    TxnOffsetCommit = 28, txn_offset_commit, 0..=5;
    DescribeAcls = 29, describe_acls, 1..=3;
    CreateAcls = 30, create_acls, 1..=3;
    DeleteAcls = 31, delete_acls, 1..=3;
    DescribeConfigs = 32, describe_configs, 1..=4;
    AlterConfigs = 33, alter_configs, 0..=2;
    AlterReplicaLogDirs = 34, alter_replica_log_dirs, 1..=2;
    DescribeLogDirs = 35, describe_log_dirs, 1..=4;
    SaslAuthenticate = 36, sasl_authenticate, 0..=2;
    CreatePartitions = 37, create_partitions, 0..=3;
    DeleteGroups = 42, delete_groups, 0..=2;
    ElectLeaders = 43, elect_leaders, 0..=2;
    IncrementalAlterConfigs = 44, incremental_alter_configs, 0..=1;
    AlterPartitionReassignments = 45, alter_partition_reassignments, 0..=1;
    ListPartitionReassignments = 46, list_partition_reassignments, 0..=0;
    OffsetDelete = 47, offset_delete, 0..=0;
    DescribeClientQuotas = 48, describe_client_quotas, 0..=1;
    AlterClientQuotas = 49, alter_client_quotas, 0..=1;
    DescribeUserScramCredentials = 50, describe_user_scram_credentials, 0..=0;
    AlterUserScramCredentials = 51, alter_user_scram_credentials, 0..=0;
    DescribeQuorum = 55, describe_quorum, 0..=2;
    UpdateFeatures = 57, update_features, 0..=2;
    DescribeCluster = 60, describe_cluster, 0..=2;
    DescribeProducers = 61, describe_producers, 0..=0;
    DescribeTransactions = 65, describe_transactions, 0..=0;
    ListTransactions = 66, list_transactions, 0..=2;
    ConsumerGroupHeartbeat = 68, consumer_group_heartbeat, 0..=1;
    ConsumerGroupDescribe = 69, consumer_group_describe, 0..=1;
    ListConfigResources = 74, list_config_resources, 0..=1;
    DescribeTopicPartitions = 75, describe_topic_partitions, 0..=0;
}

impl Api {
    /// The API with this key, if it is offered.
    pub fn from_key(key: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| *api as i16 == key)
    }
}

/// The largest answer: no client reads a larger frame.
const MAX_ANSWER_BYTES: usize = 1 << 30;

/// A request after its header, and what its answer needs of the header.
struct Parts {
    correlation_id: i32,
    body: Bytes,
    /// Why it is not for who asks at all.
    refused: Option<ErrorCode>,
}

/// Handles one frame. As in Kafka, an API or version that is not offered closes the connection, except that
/// `ApiVersions` itself is answered in version 0 with `UNSUPPORTED_VERSION` (KIP-511).
pub(crate) async fn handle_frame(node: &Node, session: &Session, frame: Bytes) -> Answer {
    // The first eight bytes are the same in every header version.
    let Some((&prefix, _)) = frame.split_first_chunk::<8>() else {
        return Answer::Close("a request without a header".to_owned());
    };
    let [k0, k1, v0, v1, c0, c1, c2, c3] = prefix;
    let (key, version) = (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]));
    let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
    let Some(api) = Api::from_key(key) else {
        return Answer::Close(format!("API key {key} is not offered"));
    };
    let (principal, refused) = match session.gate(api) {
        Gate::Open(principal) => (principal, None),
        Gate::Refuse(error) => (Arc::new(Principal::anonymous()), Some(error)),
        Gate::Closed(why) => return Answer::Close(why),
    };
    if !api.versions().contains(&version) {
        return match api {
            Api::ApiVersions => {
                session.versions_not_told();
                refuse_api_versions(correlation_id)
            }
            _ => Answer::Close(format!("{} version {version} is not offered", api.name())),
        };
    }
    let mut body = frame;
    let header_version = api.protocol_key().request_header_version(version);
    let Ok(header) = RequestHeader::decode(&mut body, header_version) else {
        return Answer::Close(format!("the header of {} version {version} is malformed", api.name()));
    };
    let client_id = header.client_id.unwrap_or_default();
    let (peer, local) = (session.peer, session.local);
    let call = Call { node, version, client_id: &client_id, peer, local, principal: &principal, session };
    dispatch(api, &call, Parts { correlation_id, body, refused }).await
}

async fn run<H: Handler>(api: Api, call: &Call<'_>, parts: Parts) -> Answer {
    let size = parts.body.len();
    let request = match decode::<H>(parts.body, call.version) {
        Ok(request) => request,
        Err(why) => {
            return Answer::Close(format!("{} version {} is malformed: {why}", api.name(), call.version));
        }
    };
    let fault = match parts.refused {
        Some(error) => Some(Fault::Error(error)),
        None => call.node.faults.take(api, call.client_id, || H::topics(call, &request)),
    };
    let injected = || Answer::Close("a fault was injected".to_owned());
    match fault {
        Some(Fault::CloseBefore) => return injected(),
        Some(Fault::DropRequest) => return Answer::Silent,
        Some(Fault::Delay(delay)) => {
            let clock = &call.node.config.clock;
            // One more, because the clock's milliseconds are cut off.
            clock.sleep_until(clock.monotonic_ms().saturating_add(millis(delay)).saturating_add(1)).await;
        }
        _ => {}
    }
    let answered = H::is_answered(&request);
    let (mut response, busy) = match fault {
        Some(Fault::Error(error)) => (H::refuse(call, request, error), Duration::ZERO),
        _ => throttle::timed(H::handle(call, request)).await,
    };
    throttle::charge::<H>(api, call, size, &mut response, answered.then_some(busy));
    match fault {
        Some(Fault::CloseAfter) => return injected(),
        Some(Fault::DropAnswer) => return Answer::Silent,
        _ if !answered => return Answer::Silent,
        _ => {}
    }
    match encode(api.protocol_key(), parts.correlation_id, call.version, response) {
        Answer::Respond(frame) if fault == Some(Fault::CutAnswer) => {
            frame.into_bytes().map_or_else(|error| Answer::Close(error.to_string()), Answer::Cut)
        }
        answer => answer,
    }
}

fn decode<H: Handler>(mut body: Bytes, version: i16) -> Result<H::Request, String> {
    H::REQUEST.check(&body, version)?;
    // What follows the request is ignored, as Kafka does.
    H::Request::decode(&mut body, version).map_err(|error| error.to_string())
}

fn encode<R: Reply>(key: ApiKey, correlation_id: i32, version: i16, response: R) -> Answer {
    let mut frame = Frame::new();
    // A frame's length is 31 bits.
    if response.bytes(version).is_none_or(|size| size >= MAX_ANSWER_BYTES) {
        return Answer::Close(format!("the answer to {key:?} version {version} would be too large"));
    }
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let encoded = header
        .encode(frame.bytes(), key.response_header_version(version))
        .and_then(|()| response.put(&mut frame, version));
    match encoded {
        Ok(()) => Answer::Respond(frame),
        Err(error) => {
            Answer::Close(format!("the answer to {key:?} version {version} has no encoding: {error}"))
        }
    }
}

fn refuse_api_versions(correlation_id: i32) -> Answer {
    let versions = Api::ApiVersions.versions();
    let own = ApiVersion::default()
        .with_api_key(Api::ApiVersions as i16)
        .with_min_version(*versions.start())
        .with_max_version(*versions.end());
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UNSUPPORTED_VERSION.code())
        .with_api_keys(vec![own]);
    encode(ApiKey::ApiVersions, correlation_id, 0, response)
}

/// A string of the protocol.
pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// Names of topics, for [`Handler::topics`].
pub(crate) fn names<'a>(topics: impl Iterator<Item = &'a TopicName>) -> Vec<String> {
    topics.map(|topic| topic.to_string()).collect()
}

/// The name of a topic that a request names by name or, in later versions, by id.
pub(crate) fn name_or_id(call: &Call<'_>, name: &TopicName, id: Uuid) -> Option<String> {
    match id.is_nil() {
        true => Some(name.to_string()),
        false => call.node.topics.get_by_id(id).map(|topic| topic.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_wire::protocol::messages::ApiKey;
    use proptest::prelude::*;
    use rand::SeedableRng;

    #[test]
    fn the_shapes_are_those_of_the_decoder_in_every_version() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        for &api in Api::ALL {
            for version in api.versions() {
                for _ in 0..50 {
                    let body = shape::tests::generate(&request_shape(api), version, &mut random);
                    let cut = body.len().saturating_sub(1);
                    let short = Bytes::copy_from_slice(&body[..cut]);
                    assert_eq!(
                        decodes(api, version, body.clone().into()),
                        Ok(()),
                        "{api:?} {version} {body:?}"
                    );
                    assert!(
                        body.is_empty() || decodes(api, version, short).is_err(),
                        "{api:?} {version} {body:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_requests_are_refused_without_harm(
            key in 0..Api::ALL.len(), version in 0_i16..18, body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let api = Api::ALL[key];
            if api.versions().contains(&version) {
                let _ = decodes(api, version, body.into());
            }
        }
    }

    #[test]
    fn every_offered_version_can_be_encoded() {
        for &api in Api::ALL {
            let known = api.protocol_key().valid_versions();
            assert_eq!(api.protocol_key() as i16, api as i16);
            assert!(
                known.min <= *api.versions().start() && known.max >= *api.versions().end(),
                "{api:?} {known}"
            );
        }
        assert!(Api::ALL.is_sorted());
        assert_eq!(Api::from_key(ApiKey::Vote as i16), None, "controllers' requests are not offered");
    }
}
