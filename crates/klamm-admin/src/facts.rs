//! One look at the cluster, as planner, apply and preflight want it.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use klamm_contract::facts::{BrokerFacts, ClusterFacts, TopicFacts};
use klamm_kafka::{ErrorClass, ErrorCode};

use crate::Admin;
use crate::cluster::Node;
use crate::configs::{self, Configs};
use crate::error::AdminError;
use crate::metadata::{TopicMeta, Topics};
use crate::retry::Repeat;

/// Klamm's own broker says what it is in its cluster id.
const EMBEDDED: &str = "klamm-embedded-";
/// Topics in one DescribeConfigs: some 40 settings each, so that an answer stays well below a megabyte.
const TOPICS_PER_REQUEST: usize = 100;
/// Brokers that are asked at once.
const BROKERS_AT_ONCE: usize = 16;

impl Admin {
    /// Looks at the brokers, and at those of `topics` that exist.
    ///
    /// What may not be described is left out: `configs` of a topic is `None`, that of a broker empty. A topic that
    /// this client may not see is not in the answer, as Kafka wants it.
    ///
    /// # Errors
    /// `ListenerUnreachable` when a broker of the cluster cannot be reached at its advertised address.
    pub async fn facts(&self, topics: &[String]) -> Result<ClusterFacts, AdminError> {
        self.retry("look at the cluster", Repeat::Always, || self.look(topics)).await
    }

    async fn look(&self, topics: &[String]) -> Result<ClusterFacts, AdminError> {
        let found = self.cluster.metadata(Topics::Named(topics)).await?;
        let view = self.cluster.view();
        let existing = found.into_iter().filter_map(existing).collect::<Result<Vec<_>, _>>()?;
        let topics = self.topic_facts(existing).await?;
        let mut brokers = Vec::with_capacity(view.brokers.len());
        let nodes: Vec<_> = view.brokers.iter().collect();
        for some in nodes.chunks(BROKERS_AT_ONCE) {
            brokers.extend(try_join_all(some.iter().map(|(id, node)| self.broker_facts(**id, node))).await?);
        }
        Ok(ClusterFacts {
            embedded: view.cluster_id.starts_with(EMBEDDED),
            cluster_id: view.cluster_id.clone(),
            brokers,
            topics,
        })
    }

    async fn topic_facts(&self, topics: Vec<TopicMeta>) -> Result<BTreeMap<String, TopicFacts>, AdminError> {
        let mut facts = BTreeMap::new();
        let mut topics = topics.into_iter();
        loop {
            let some: Vec<_> = topics.by_ref().take(TOPICS_PER_REQUEST).collect();
            if some.is_empty() {
                return Ok(facts);
            }
            let names: Vec<_> = some.iter().map(|topic| topic.name.clone()).collect();
            let mut described = configs::describe(&self.cluster.any().await?, configs::TOPIC, &names).await?;
            for topic in some {
                let told = described.remove(&topic.name);
                let configs = permitted(told, &format!("topic {}", topic.name))?;
                let TopicMeta { name, id, internal, partitions, .. } = topic;
                facts.insert(name, TopicFacts { id, internal, partitions, configs });
            }
        }
    }

    async fn broker_facts(&self, id: i32, node: &Node) -> Result<BrokerFacts, AdminError> {
        let name = id.to_string();
        let connection = self.cluster.broker(id).await?;
        let mut described =
            configs::describe(&connection, configs::BROKER, std::slice::from_ref(&name)).await?;
        let configs = permitted(described.remove(&name), &format!("broker {id}"))?.unwrap_or_default();
        let Node { host, port, rack } = node.clone();
        Ok(BrokerFacts { id, host, port, rack, configs })
    }
}

/// A topic that exists, or why that cannot be told yet.
fn existing(topic: TopicMeta) -> Option<Result<TopicMeta, AdminError>> {
    match topic.code {
        code if code.is_ok() => Some(Ok(topic)),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::TOPIC_AUTHORIZATION_FAILED => None,
        code => Some(Err(AdminError::kafka(code, None, "describe", &format!("topic {}", topic.name)))),
    }
}

fn permitted(
    told: Option<Result<Configs, ErrorCode>>,
    resource: &str,
) -> Result<Option<Configs>, AdminError> {
    match told {
        Some(Ok(configs)) => Ok(Some(configs)),
        Some(Err(code)) if code.class() == ErrorClass::Authorization => Ok(None),
        Some(Err(code)) => Err(AdminError::kafka(code, None, "describe configs", resource)),
        None => Err(AdminError::unexpected(format!("the answer says nothing about {resource}"))),
    }
}
