//! One look at the cluster, as planner, apply and preflight want it.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::iter;
use klamm_contract::facts::{BrokerFacts, ClusterFacts, PartitionFacts, TopicFacts};
use klamm_kafka::ErrorCode;

use crate::Admin;
use crate::cluster::Node;
use crate::configs::{self, Configs};
use crate::each::{Leaders, PerBroker};
use crate::error::AdminError;
use crate::metadata::{TopicMeta, Topics};
use crate::retry::Repeat;

/// Klamm's own broker says what it is in its cluster id.
const EMBEDDED: &str = "klamm-embedded-";
/// Topics or groups in one DescribeConfigs: some 40 settings each, so that an answer stays well below a megabyte.
const NAMES_PER_REQUEST: usize = 100;
/// Brokers that are asked at once.
const BROKERS_AT_ONCE: usize = 16;

/// All topics that this client may describe.
#[derive(Debug, Clone, Default)]
pub struct TopicsFound {
    /// By name, without their configurations.
    pub found: BTreeMap<String, TopicFacts>,
    /// Those that metadata has only an error for.
    pub failed: BTreeMap<String, AdminError>,
}

impl TopicsFound {
    /// Leader of each partition.
    pub fn leaders(&self) -> Leaders {
        self.found.iter().map(|(name, topic)| (name.clone(), leaders(&topic.partitions))).collect()
    }
}

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
            embedded: self.is_embedded(),
            cluster_id: view.cluster_id.clone(),
            brokers,
            topics,
        })
    }

    /// All topics, without their configurations: one request. Topics that this client may not describe are not in the
    /// answer, as Kafka wants it.
    pub async fn topics(&self) -> Result<TopicsFound, AdminError> {
        let found = self.retry("list topics", Repeat::Always, || self.cluster.metadata(Topics::All)).await?;
        let mut topics = TopicsFound::default();
        for topic in found {
            let name = topic.name.clone();
            match existing(topic) {
                Some(Ok(TopicMeta { id, internal, partitions, .. })) => {
                    topics.found.insert(name, TopicFacts { id, internal, partitions, configs: None });
                }
                Some(Err(error)) => {
                    topics.failed.insert(name, error);
                }
                None => {}
            }
        }
        Ok(topics)
    }

    /// Leaders of the partitions of these topics; those that do not exist or are hidden are left out.
    pub async fn leaders(&self, topics: &[String]) -> Result<Leaders, AdminError> {
        let named = || self.cluster.metadata(Topics::Named(topics));
        let found = self.retry("describe topics", Repeat::Always, named).await?;
        let found = found.into_iter().filter(|topic| topic.code.is_ok());
        Ok(found.map(|topic| (topic.name, leaders(&topic.partitions))).collect())
    }

    /// Effective configuration of each topic, or why it cannot be had. Needs DESCRIBE_CONFIGS on each.
    ///
    /// Brokers are asked in turn, since each of them knows them all.
    pub async fn topic_configs(&self, topics: &[String]) -> BTreeMap<String, Result<Configs, AdminError>> {
        self.configs_of("topic", configs::TOPIC, topics).await
    }

    /// Effective configuration of each group, or why it cannot be had: since 4.0, and for groups of the protocols that brokers
    /// drive. Needs DESCRIBE_CONFIGS on each.
    pub async fn group_configs(&self, groups: &[String]) -> BTreeMap<String, Result<Configs, AdminError>> {
        self.configs_of("group", configs::GROUP, groups).await
    }

    async fn configs_of(
        &self,
        what: &str,
        kind: i8,
        names: &[String],
    ) -> BTreeMap<String, Result<Configs, AdminError>> {
        let describing = &format!("describe {what} configurations");
        let one = |(index, names): (usize, &[String])| {
            let names = names.to_vec();
            async move {
                let told = self.retry(describing, Repeat::Always, || async {
                    let brokers = self.brokers();
                    let peer = match brokers.get(index % brokers.len().max(1)) {
                        Some(id) => self.cluster.broker(*id).await,
                        None => self.cluster.any().await,
                    };
                    // Another one does as well.
                    let peer = if let Ok(peer) = peer { peer } else { self.cluster.any().await? };
                    configs::describe(&peer, kind, &names).await
                });
                (told.await, names)
            }
        };
        let chunks = names.chunks(NAMES_PER_REQUEST).enumerate();
        let answers: Vec<_> = iter(chunks).map(one).buffer_unordered(BROKERS_AT_ONCE).collect().await;
        let mut configs = BTreeMap::new();
        for (told, names) in answers {
            let mut told = told;
            for name in names {
                let resource = format!("{what} {name}");
                let found = match &mut told {
                    Ok(told) => told_configs(told.remove(&name), &resource),
                    Err(error) => Err(error.clone()),
                };
                configs.insert(name, found);
            }
        }
        configs
    }

    /// Effective configuration of each broker. Needs DESCRIBE_CONFIGS on the cluster.
    pub async fn broker_configs(&self) -> PerBroker<Configs> {
        self.at_each("describe the configuration of a broker", &|id, peer| async move {
            let name = id.to_string();
            let mut told = configs::describe(&peer, configs::BROKER, std::slice::from_ref(&name)).await?;
            told_configs(told.remove(&name), &format!("broker {id}"))
        })
        .await
    }

    /// The brokers that the last metadata had, with addresses and racks.
    pub fn nodes(&self) -> Vec<BrokerFacts> {
        let view = self.cluster.view();
        let node = |(id, node): (&i32, &Node)| {
            let Node { host, port, rack } = node.clone();
            BrokerFacts { id: *id, host, port, rack, configs: BTreeMap::new() }
        };
        view.brokers.iter().map(node).collect()
    }

    /// The cluster is klamm's embedded broker.
    pub fn is_embedded(&self) -> bool {
        self.cluster.view().cluster_id.starts_with(EMBEDDED)
    }

    async fn topic_facts(&self, topics: Vec<TopicMeta>) -> Result<BTreeMap<String, TopicFacts>, AdminError> {
        let mut facts = BTreeMap::new();
        let mut topics = topics.into_iter();
        loop {
            let some: Vec<_> = topics.by_ref().take(NAMES_PER_REQUEST).collect();
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
    match told_configs(told, resource) {
        Ok(configs) => Ok(Some(configs)),
        Err(error) if error.is_denied() => Ok(None),
        Err(error) => Err(error),
    }
}

fn told_configs(told: Option<Result<Configs, ErrorCode>>, resource: &str) -> Result<Configs, AdminError> {
    match told {
        Some(Ok(configs)) => Ok(configs),
        Some(Err(code)) => Err(AdminError::kafka(code, None, "describe configs", resource)),
        None => Err(AdminError::unexpected(format!("the answer says nothing about {resource}"))),
    }
}

fn leaders(partitions: &[PartitionFacts]) -> BTreeMap<i32, Option<i32>> {
    partitions.iter().map(|partition| (partition.index, partition.leader)).collect()
}
