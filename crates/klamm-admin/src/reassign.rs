//! Moving copies of partitions between brokers (KIP-455), and electing preferred leaders (KIP-460).

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use klamm_wire::protocol::messages::elect_leaders_request::TopicPartitions;
use klamm_wire::protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, ListPartitionReassignmentsRequest,
};

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::retry::{Repeat, is_unsupported};

/// Kafka's code for the election of the first replica.
const PREFERRED: i8 = 0;

/// A partition and where its copies are to be; `None` cancels a move that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassign {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Node ids, preferred leader first.
    pub replicas: Option<Vec<i32>>,
}

/// A move that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ongoing {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Node ids that hold a copy or will.
    pub replicas: Vec<i32>,
    /// Those that are being filled.
    pub adding: Vec<i32>,
    /// Those that will be dropped.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Starts moves, or cancels them. `Ok` means that the controller took all of them; it carries them out by and by.
    ///
    /// # Errors
    /// That of the first that was not taken; others may have been. A cancellation of nothing is no error.
    pub async fn reassign(&self, moves: &[Reassign]) -> Result<(), AdminError> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for wanted in moves {
            let replicas = wanted.replicas.as_ref().map(|ids| ids.iter().copied().map(BrokerId).collect());
            let partition = ReassignablePartition::default()
                .with_partition_index(wanted.partition)
                .with_replicas(replicas);
            topics.entry(&wanted.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let request = &AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_topics(topics.collect());
        self.retry("reassign partitions", Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            let refused = |code, message: Option<&str>, resource: &str| {
                AdminError::kafka(code, message, "alter", resource)
            };
            ErrorCode::from(answer.error_code)
                .ok()
                .map_err(|code| refused(code, answer.error_message.as_deref(), "partition reassignments"))?;
            for topic in &answer.responses {
                for partition in &topic.partitions {
                    let code = ErrorCode::from(partition.error_code);
                    if code.is_ok() || code == ErrorCode::NO_REASSIGNMENT_IN_PROGRESS {
                        continue;
                    }
                    let resource = format!("topic {} partition {}", topic.name.0, partition.partition_index);
                    return Err(refused(code, partition.error_message.as_deref(), &resource));
                }
            }
            Ok(())
        })
        .await
    }

    /// All moves that are under way. A broker that knows none of them (the embedded one has no second place to move to)
    /// has none.
    pub async fn reassignments(&self) -> Result<Vec<Ongoing>, AdminError> {
        match self.list_reassignments().await {
            Err(error) if is_unsupported(&error) => Ok(Vec::new()),
            other => other,
        }
    }

    /// All moves that are under way. Needs DESCRIBE on the cluster.
    ///
    /// # Errors
    /// [`AdminError::unsupported`] when the broker does not know the request, and so says nothing.
    pub async fn list_reassignments(&self) -> Result<Vec<Ongoing>, AdminError> {
        let request = &ListPartitionReassignmentsRequest::default()
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_topics(None);
        // A broker that falls silent is named: brokers pass this on to the controller, and any of them may be the one to ask.
        let asked = self.cluster.view().controller;
        let what = asked.map_or_else(
            || "list reassignments".to_owned(),
            |broker| format!("list reassignments at broker {broker}"),
        );
        let found = self.retry(&what, Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            ErrorCode::from(answer.error_code).ok().map_err(|code| {
                let message = answer.error_message.as_deref();
                AdminError::kafka(code, message, "describe", "partition reassignments")
            })?;
            Ok(answer)
        });
        let answer = found.await?;
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
        let topics = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| Ongoing {
                topic: topic.name.0.to_string(),
                partition: partition.partition_index,
                replicas: ids(&partition.replicas),
                adding: ids(&partition.adding_replicas),
                removing: ids(&partition.removing_replicas),
            })
        });
        Ok(topics.collect())
    }

    /// Makes the first replica of each partition its leader, where it is in sync and does not lead already.
    pub async fn elect_preferred(&self, topic: &str, partitions: &[i32]) -> Result<(), AdminError> {
        let wanted =
            TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(partitions.to_vec());
        let request = &ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_topic_partitions(Some(vec![wanted]));
        self.retry("elect preferred leaders", Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            ErrorCode::from(answer.error_code).ok().map_err(|code| {
                AdminError::kafka(code, None, "elect leaders of", &format!("topic {topic}"))
            })?;
            for partition in answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result)
            {
                let code = ErrorCode::from(partition.error_code);
                if !code.is_ok() && code != ErrorCode::ELECTION_NOT_NEEDED {
                    let resource = format!("topic {topic} partition {}", partition.partition_id);
                    let message = partition.error_message.as_deref();
                    return Err(AdminError::kafka(code, message, "elect leaders of", &resource));
                }
            }
            Ok(())
        })
        .await
    }
}
