//! For clients that speak to brokers themselves: who leads what, and connections of their own.
//!
//! A broker answers the requests of one connection one after the other, so a fetch that waits for records must not share
//! one with anything else. Nothing here is tried again: who holds a position knows best when to ask.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::Connection;
use klamm_wire::protocol::messages::metadata_response::MetadataResponseTopic;
use uuid::Uuid;

use crate::Admin;
use crate::cluster::at_listener;
use crate::error::{AdminError, AdminErrorKind};
use crate::metadata::Topics;

/// A topic as those see it who read and write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoute {
    /// Its id, from Kafka 2.8 on.
    pub id: Option<Uuid>,
    /// Leader and leader epoch of each partition, or why there is none.
    pub leaders: BTreeMap<i32, Result<Leader, ErrorCode>>,
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Node id.
    pub broker: i32,
    /// The leader epoch; -1 from brokers before Kafka 2.1.
    pub epoch: i32,
}

/// Topics by name, or what is wrong with each.
pub type Routes = BTreeMap<String, Result<TopicRoute, ErrorCode>>;

impl Admin {
    /// Who leads the partitions of `topics`: one question, not repeated.
    ///
    /// # Errors
    /// No broker answers. What is wrong with a topic or a partition is in the answer.
    pub async fn routes(&self, topics: &[String]) -> Result<Routes, AdminError> {
        let topics = self.cluster.ask_metadata(Topics::Named(topics)).await?;
        Ok(topics.into_iter().map(route).collect())
    }

    /// Opens a connection to a broker that nobody else uses.
    ///
    /// # Errors
    /// The broker is not known (any more), or its listener does not answer.
    pub async fn dial(&self, broker: i32) -> Result<Connection, AdminError> {
        let gone = || AdminError::new(AdminErrorKind::BrokerGone { broker });
        let node = self.cluster.view().brokers.get(&broker).cloned().ok_or_else(gone)?;
        self.cluster.dial(&node.address()).await.map_err(|error| at_listener(broker, &node, error))
    }

    /// The connection to a broker that short questions share.
    ///
    /// # Errors
    /// As [`dial`](Self::dial).
    pub async fn connection(&self, broker: i32) -> Result<Connection, AdminError> {
        Ok(self.cluster.broker(broker).await?.into_connection())
    }
}

fn route(topic: MetadataResponseTopic) -> (String, Result<TopicRoute, ErrorCode>) {
    let name = topic.name.map(|name| name.0.to_string()).unwrap_or_default();
    if let Err(error) = ErrorCode::from(topic.error_code).ok() {
        return (name, Err(error));
    }
    let leaders = topic.partitions.iter().map(|partition| {
        let leader = match (ErrorCode::from(partition.error_code).ok(), partition.leader_id.0) {
            // A replica that is away (REPLICA_NOT_AVAILABLE) is no reason not to go to the leader.
            (_, broker @ 0..) => Ok(Leader { broker, epoch: partition.leader_epoch }),
            (Err(error), _) => Err(error),
            (Ok(()), _) => Err(ErrorCode::LEADER_NOT_AVAILABLE),
        };
        (partition.partition_index, leader)
    });
    let id = Some(topic.topic_id).filter(|id| !id.is_nil());
    let leaders = leaders.collect();
    (name, Ok(TopicRoute { id, leaders }))
}
