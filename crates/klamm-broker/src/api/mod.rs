//! The APIs that are offered: one file each, and the one table that dispatch and `ApiVersions` are made from.
//!
//! To add an API: write its file after a neighbour's example and add its line to [`apis!`] below.

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod produce;
mod shape;
mod sync_group;

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{
    ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader, api_versions_response::ApiVersion,
};
use klamm_wire::protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::faults::Fault;
use crate::node::Node;
use shape::Shape;

/// One API key: what it does, and how it answers.
pub(crate) trait Handler {
    type Request: Decodable + Send;
    type Response: Encodable + Send;

    /// The layout of the request, checked before it is decoded.
    const REQUEST: Shape;

    /// Handles a request. It may wait (a fetch for records, a join for the other members); cancelling it then
    /// leaves nothing half done.
    fn handle(call: &Call<'_>, request: Self::Request) -> impl Future<Output = Self::Response> + Send;

    /// The answer that says `error` wherever the response has a place for it.
    fn refuse(call: &Call<'_>, request: Self::Request, error: ErrorCode) -> Self::Response;

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
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A frame, without its length.
    Respond(BytesMut),
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

        #[cfg(test)]
        fn decodes(api: Api, version: i16, body: Bytes) -> Result<(), String> {
            match api { $(Api::$name => decode::<$module::$name>(body, version).map(drop),)* }
        }

        #[cfg(test)]
        fn request_shape(api: Api) -> Shape {
            match api { $(Api::$name => <$module::$name as Handler>::REQUEST,)* }
        }

        async fn dispatch(api: Api, call: &Call<'_>, parts: Parts, fault: Option<Fault>) -> Answer {
            match api { $(Api::$name => run::<$module::$name>(api, call, parts, fault).await,)* }
        }
    };
}

apis! {
    Produce = 0, produce, 3..=13;
    Fetch = 1, fetch, 4..=17;
    ListOffsets = 2, list_offsets, 1..=10;
    Metadata = 3, metadata, 0..=13;
    OffsetCommit = 8, offset_commit, 2..=9;
    OffsetFetch = 9, offset_fetch, 1..=9;
    FindCoordinator = 10, find_coordinator, 0..=5;
    JoinGroup = 11, join_group, 0..=9;
    Heartbeat = 12, heartbeat, 0..=4;
    LeaveGroup = 13, leave_group, 0..=5;
    SyncGroup = 14, sync_group, 0..=5;
    DescribeGroups = 15, describe_groups, 0..=6;
    ListGroups = 16, list_groups, 0..=5;
    ApiVersions = 18, api_versions, 0..=4;
    CreateTopics = 19, create_topics, 2..=7;
    DeleteTopics = 20, delete_topics, 1..=6;
    DeleteRecords = 21, delete_records, 0..=2;
    InitProducerId = 22, init_producer_id, 0..=5;
    DescribeConfigs = 32, describe_configs, 1..=4;
    AlterConfigs = 33, alter_configs, 0..=2;
    CreatePartitions = 37, create_partitions, 0..=3;
    DeleteGroups = 42, delete_groups, 0..=2;
    IncrementalAlterConfigs = 44, incremental_alter_configs, 0..=1;
    DescribeCluster = 60, describe_cluster, 0..=2;
}

impl Api {
    /// The API with this key, if it is offered.
    pub fn from_key(key: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| *api as i16 == key)
    }
}

/// A request after its header, and what its answer needs of the header.
struct Parts {
    correlation_id: i32,
    body: Bytes,
}

/// Handles one frame. As in Kafka, an API or version that is not offered closes the connection, except that
/// `ApiVersions` itself is answered in version 0 with `UNSUPPORTED_VERSION` (KIP-511).
pub(crate) async fn handle_frame(node: &Node, peer: SocketAddr, local: SocketAddr, frame: Bytes) -> Answer {
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
    if !api.versions().contains(&version) {
        return match api {
            Api::ApiVersions => refuse_api_versions(correlation_id),
            _ => Answer::Close(format!("{} version {version} is not offered", api.name())),
        };
    }
    let mut body = frame;
    let header_version = api.protocol_key().request_header_version(version);
    let Ok(header) = RequestHeader::decode(&mut body, header_version) else {
        return Answer::Close(format!("the header of {} version {version} is malformed", api.name()));
    };
    let client_id = header.client_id.unwrap_or_default();
    let fault = node.faults.take(api, &client_id);
    if fault == Some(Fault::CloseBefore) {
        return Answer::Close("a fault was injected".to_owned());
    }
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let call = Call { node, version, client_id: &client_id, peer, local };
    let answer = dispatch(api, &call, Parts { correlation_id, body }, fault).await;
    if fault == Some(Fault::CloseAfter) {
        return Answer::Close("a fault was injected".to_owned());
    }
    answer
}

async fn run<H: Handler>(api: Api, call: &Call<'_>, parts: Parts, fault: Option<Fault>) -> Answer {
    let request = match decode::<H>(parts.body, call.version) {
        Ok(request) => request,
        Err(why) => {
            return Answer::Close(format!("{} version {} is malformed: {why}", api.name(), call.version));
        }
    };
    let answered = H::is_answered(&request);
    let response = match fault {
        Some(Fault::Error(error)) => H::refuse(call, request, error),
        _ => H::handle(call, request).await,
    };
    if !answered {
        return Answer::Silent;
    }
    encode(api.protocol_key(), parts.correlation_id, call.version, &response)
}

fn decode<H: Handler>(mut body: Bytes, version: i16) -> Result<H::Request, String> {
    H::REQUEST.check(&body, version)?;
    // What follows the request is ignored, as Kafka does.
    H::Request::decode(&mut body, version).map_err(|error| error.to_string())
}

fn encode<R: Encodable>(key: ApiKey, correlation_id: i32, version: i16, response: &R) -> Answer {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let encoded = header
        .encode(&mut frame, key.response_header_version(version))
        .and_then(|()| response.encode(&mut frame, version));
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
    encode(ApiKey::ApiVersions, correlation_id, 0, &response)
}

/// A string of the protocol.
pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// What `authorized operations` fields hold when nobody asked.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// Operations that may be done without an authorizer, as the bit field of KIP-430: one bit for each `AclOperation`.
pub(crate) fn operations(asked: bool, codes: &[u8]) -> i32 {
    if asked { codes.iter().map(|code| 1 << code).sum() } else { NOT_ASKED }
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
        assert_eq!(Api::from_key(ApiKey::AddOffsetsToTxn as i16), None, "transactions are not offered");
    }
}
