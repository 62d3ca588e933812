//! For clients that speak to brokers themselves: who leads what, who coordinates whom, and connections of their own.
//!
//! A broker answers the requests of one connection one after the other, so a fetch that waits for records must not share
//! one with anything else. Nothing here is tried again: who holds a position knows best when to ask.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::Connection;
use klamm_wire::protocol::messages::MetadataRequest;
use klamm_wire::protocol::messages::metadata_response::MetadataResponseTopic;
use uuid::Uuid;

use crate::Admin;
use crate::cluster::at_listener;
use crate::error::{AdminError, AdminErrorKind};
use crate::groups::Coordinated;
use crate::metadata::{named, view_of};

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
        let connection = self.cluster.any().await?;
        let request = MetadataRequest::default()
            .with_topics(Some(topics.iter().map(|topic| named(topic)).collect()))
            .with_allow_auto_topic_creation(false);
        let answer = connection.call(&request).await?;
        ErrorCode::from(answer.error_code)
            .ok()
            .map_err(|code| AdminError::kafka(code, None, "describe", "the cluster"))?;
        self.cluster.learn(view_of(&answer));
        Ok(answer.topics.into_iter().map(route).collect())
    }

    /// Topic names by their ids: assignments of the `consumer` protocol name topics so.
    pub async fn names_of(&self, ids: &[Uuid]) -> Result<BTreeMap<Uuid, String>, AdminError> {
        let connection = self.cluster.any().await?;
        let asked = ids.iter().map(|id| named("").with_name(None).with_topic_id(*id));
        let request = MetadataRequest::default().with_topics(Some(asked.collect()));
        let answer = connection.call(&request.with_allow_auto_topic_creation(false)).await?;
        let known = answer.topics.into_iter().filter(|topic| topic.error_code == 0);
        Ok(known.filter_map(|topic| Some((topic.topic_id, topic.name?.0.to_string()))).collect())
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

    /// Node id of the coordinator of a group: one question, not repeated.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE while there is none, and what the broker refuses.
    pub async fn group_coordinator(&self, group: &str) -> Result<i32, AdminError> {
        self.find_coordinator(Coordinated::Group, group).await
    }

    /// Asks for the brokers anew, wherever somebody answers.
    pub async fn refresh(&self) -> Result<(), AdminError> {
        self.cluster.refresh().await
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
