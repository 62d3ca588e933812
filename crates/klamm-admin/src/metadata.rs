//! The Metadata request: brokers, topics, leaders, and what one may do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klamm_contract::facts::PartitionFacts;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use klamm_wire::protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use klamm_wire::protocol::protocol::StrBytes;
use klamm_wire::{WireError, WireErrorKind, ask_for_sasl};

use crate::cluster::{Cluster, Node, View};
use crate::error::AdminError;
use crate::rights::Rights;

/// Topics that are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topics<'a> {
    None,
    All,
    Named(&'a [String]),
}

/// One topic in an answer.
#[derive(Debug, Clone)]
pub(crate) struct TopicMeta {
    pub(crate) name: String,
    pub(crate) code: ErrorCode,
    pub(crate) id: Option<String>,
    pub(crate) internal: bool,
    pub(crate) partitions: Vec<PartitionFacts>,
    pub(crate) rights: Option<Rights>,
}

impl TopicMeta {
    /// Leader of each partition, or the error that says which has none.
    pub(crate) fn leader_of(&self, partition: i32) -> Result<i32, AdminError> {
        let resource = format!("topic {} partition {partition}", self.name);
        let refuse = |code| AdminError::kafka(code, None, "describe", &resource);
        let found = self.partitions.iter().find(|known| known.index == partition);
        let found = found.ok_or_else(|| refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        found.leader.ok_or_else(|| refuse(ErrorCode::LEADER_NOT_AVAILABLE))
    }
}

impl Cluster {
    /// Asks for the brokers anew.
    pub(crate) async fn refresh(&self) -> Result<(), AdminError> {
        self.metadata(Topics::None).await.map(drop)
    }

    /// Asks for topics, and learns the brokers and leaders on the way.
    pub(crate) async fn metadata(&self, topics: Topics<'_>) -> Result<Vec<TopicMeta>, AdminError> {
        let topics: Vec<_> = self.ask_metadata(topics).await?.into_iter().map(topic_of).collect();
        for topic in &topics {
            let led = |partition: &PartitionFacts| Some((partition.index, partition.leader?));
            self.learn_leaders(&topic.name, topic.partitions.iter().filter_map(led).collect());
        }
        Ok(topics)
    }

    /// Topics as the answer has them; learns the brokers on the way. Never creates a topic.
    pub(crate) async fn ask_metadata(
        &self,
        topics: Topics<'_>,
    ) -> Result<Vec<MetadataResponseTopic>, AdminError> {
        let connection = self.any().await?;
        let request = MetadataRequest::default()
            .with_topics(match topics {
                Topics::None => Some(Vec::new()),
                Topics::All => None,
                Topics::Named(names) => Some(names.iter().map(|name| named(name)).collect()),
            })
            .with_allow_auto_topic_creation(false);
        // Rights are told from version 8 on, and only to those who ask; for every topic of a cluster that is much work.
        let version = connection.version_of::<MetadataRequest>(None)?;
        let rights = version >= 8 && !matches!(topics, Topics::All);
        let request = request.with_include_topic_authorized_operations(rights);
        let answer = match connection.call(&request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.explain(error).await.into()),
        };
        // An answer that is an error as a whole (version 13 on) has no topic: that must not look like a cluster without any.
        ErrorCode::from(answer.error_code)
            .ok()
            .map_err(|code| AdminError::kafka(code, None, "describe", "the cluster"))?;
        let known = view_of(&answer);
        self.learn(known);
        Ok(answer.topics)
    }

    /// One topic that must exist.
    pub(crate) async fn topic(&self, name: &str) -> Result<TopicMeta, AdminError> {
        let found = self.metadata(Topics::Named(&[name.to_owned()])).await?;
        let topic = found.into_iter().find(|topic| topic.name == name).ok_or_else(|| {
            AdminError::unexpected(format!("topic {name} is missing in the metadata asked for it"))
        })?;
        match topic.code.ok() {
            Ok(()) => Ok(topic),
            Err(code) => Err(AdminError::kafka(code, None, "describe", &format!("topic {name}"))),
        }
    }

    /// Brokers close a connection that sends a request before it authenticates, without a word: ask for the word.
    async fn explain(&self, error: WireError) -> WireError {
        let options = self.options();
        if options.security.sasl.is_some() || !matches!(error.kind(), WireErrorKind::Closed { .. }) {
            return error;
        }
        let asked = ask_for_sasl(error.address(), &options.security, &options.connection()).await;
        asked.unwrap_or(error)
    }
}

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(topic_name(name)))
}

/// A topic's name as the codec wants it.
pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn view_of(answer: &MetadataResponse) -> View {
    let node = |broker: &klamm_wire::protocol::messages::metadata_response::MetadataResponseBroker| {
        let node = Node {
            host: broker.host.to_string(),
            port: u16::try_from(broker.port).unwrap_or(0),
            rack: broker.rack.as_ref().map(ToString::to_string),
        };
        (broker.node_id.0, node)
    };
    View {
        cluster_id: answer.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        controller: (answer.controller_id.0 >= 0).then_some(answer.controller_id.0),
        brokers: answer.brokers.iter().map(node).collect(),
    }
}

fn topic_of(topic: MetadataResponseTopic) -> TopicMeta {
    let mut partitions: Vec<_> = topic.partitions.iter().map(partition_of).collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicMeta {
        name: topic.name.map(|name| name.0.to_string()).unwrap_or_default(),
        code: ErrorCode::from(topic.error_code),
        id: (!topic.topic_id.is_nil()).then(|| URL_SAFE_NO_PAD.encode(topic.topic_id.as_bytes())),
        internal: topic.is_internal,
        partitions,
        rights: Rights::told(topic.topic_authorized_operations),
    }
}

fn partition_of(partition: &MetadataResponsePartition) -> PartitionFacts {
    let ids = |nodes: &[klamm_wire::protocol::messages::BrokerId]| nodes.iter().map(|node| node.0).collect();
    PartitionFacts {
        index: partition.partition_index,
        leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
        replicas: ids(&partition.replica_nodes),
        isr: ids(&partition.isr_nodes),
    }
}
