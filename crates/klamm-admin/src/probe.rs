//! Trying each address one by one, for `klamm doctor`.

use futures_util::future::join_all;
use klamm_wire::protocol::messages::ApiKey;
use klamm_wire::{Api, WireError};

use crate::Admin;
use crate::cluster::Node;
use crate::error::AdminError;
use crate::options::ClientOptions;
use crate::retry::Repeat;

/// Listeners that are tried at once.
const AT_ONCE: usize = 16;

/// What happened at an address that a broker advertises.
#[derive(Debug, Clone)]
pub struct ListenerProbe {
    /// Node id of the broker.
    pub broker_id: i32,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Connected, negotiated and authenticated; or not.
    pub outcome: Result<(), WireError>,
}

/// What a bootstrap address answers.
#[derive(Debug, Clone)]
pub struct AddressProbe {
    /// API keys that the broker knows.
    pub apis: usize,
    /// Names of requests that klamm cannot speak with it, of those that it needs.
    pub unspoken: Vec<String>,
    /// Lowest and highest version of Fetch, which tells the broker's age best.
    pub fetch: Option<(i16, i16)>,
}

/// Requests without which klamm cannot do its work.
const NEEDED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::DescribeGroups,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::DescribeConfigs,
    ApiKey::CreatePartitions,
    ApiKey::IncrementalAlterConfigs,
];

impl Admin {
    /// Connects anew to every broker at the address that it advertises.
    pub async fn probe(&self) -> Result<Vec<ListenerProbe>, AdminError> {
        self.retry("find the brokers", Repeat::Always, || self.cluster.refresh()).await?;
        let view = self.cluster.view();
        let nodes: Vec<_> = view.brokers.iter().collect();
        let mut probes = Vec::with_capacity(nodes.len());
        for some in nodes.chunks(AT_ONCE) {
            probes.extend(join_all(some.iter().map(|(id, node)| self.probe_listener(**id, node))).await);
        }
        Ok(probes)
    }

    async fn probe_listener(&self, broker_id: i32, node: &Node) -> ListenerProbe {
        let outcome = self.cluster.dial(&node.address()).await.map(drop);
        let Node { host, port, rack } = node.clone();
        ListenerProbe { broker_id, host, port, rack, outcome }
    }

    /// Connects to one address, asks for its versions, authenticates, and asks for metadata.
    pub async fn probe_address(options: &ClientOptions, address: &str) -> Result<AddressProbe, AdminError> {
        let alone = ClientOptions { bootstrap: vec![address.to_owned()], ..options.clone() };
        // Metadata too: a listener that wants authentication answers ApiVersions to everybody.
        let admin = Admin::connect(&alone).await?;
        let connection = admin.cluster.any().await?;
        let ranges = connection.ranges();
        let spoken = |key: &ApiKey| {
            let ours = key.valid_versions();
            ranges.of(Api(*key as i16)).is_some_and(|(low, high)| low <= ours.max && ours.min <= high)
        };
        let unspoken = NEEDED.iter().filter(|key| !spoken(key)).map(|key| Api(*key as i16).to_string());
        Ok(AddressProbe {
            apis: ranges.iter().count(),
            unspoken: unspoken.collect(),
            fetch: ranges.of(Api(ApiKey::Fetch as i16)),
        })
    }
}
