//! The metadata quorum: which controllers there are, which one is active, and how far the others follow.

use std::time::{SystemTime, UNIX_EPOCH};

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use klamm_wire::protocol::messages::describe_quorum_response::ReplicaState;
use klamm_wire::protocol::messages::{DescribeQuorumRequest, TopicName};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::retry::Repeat;

/// The metadata quorum as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// Node id of the active controller.
    pub leader: i32,
    /// Node ids of all controllers that vote, sorted.
    pub voters: Vec<i32>,
}

/// The metadata quorum as its leader sees it, with how far each node follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// Node id of the active controller.
    pub leader: i32,
    /// Controllers that vote, by node id.
    pub voters: Vec<QuorumReplica>,
    /// Nodes that only follow: brokers.
    pub observers: Vec<QuorumReplica>,
    /// The leader's clock when it answered.
    pub clock: Option<LeaderClock>,
}

/// The clock of the quorum's leader, read between two readings of this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderClock {
    /// What it showed, in milliseconds since 1970.
    pub now_ms: i64,
    /// This machine's clock before the question.
    pub asked_ms: i64,
    /// This machine's clock after the answer.
    pub answered_ms: i64,
}

/// A node of the metadata quorum. Times are milliseconds since 1970 by the leader's clock; `None` when the leader does not know, the
/// broker does not tell (before 3.3), or the node is the leader itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Node id.
    pub id: i32,
    /// End of its log as the leader knows it; -1 when it does not.
    pub log_end: i64,
    /// When it last fetched from the leader.
    pub last_fetch_ms: Option<i64>,
    /// When it last had all that the leader had; the leader's own is its clock at the answer.
    pub last_caught_up_ms: Option<i64>,
}

impl Admin {
    /// The metadata quorum (KIP-595). Needs DESCRIBE on the cluster.
    pub async fn quorum(&self) -> Result<Quorum, AdminError> {
        let described = self.describe_quorum().await?;
        let voters = described.voters.iter().map(|voter| voter.id).collect();
        Ok(Quorum { leader: described.leader, voters })
    }

    /// The metadata quorum with how far each node follows (KIP-836). Needs DESCRIBE on the cluster.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, AdminError> {
        const METADATA: &str = "__cluster_metadata";
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(METADATA)))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        let request = &DescribeQuorumRequest::default().with_topics(vec![topic]);
        self.retry("describe the metadata quorum", Repeat::Always, || async move {
            let peer = self.cluster.any().await?;
            // A wait for its turn is no part of the answer's way.
            peer.turn::<DescribeQuorumRequest>().await?;
            let asked_ms = now_ms();
            let answer = peer.call_now(request).await?;
            let answered_ms = now_ms();
            let refused = |code, message: Option<&str>| {
                AdminError::kafka(code, message, "describe quorum", "the cluster")
            };
            let message = answer.error_message.as_deref();
            ErrorCode::from(answer.error_code).ok().map_err(|code| refused(code, message))?;
            let partition = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
            let partition =
                partition.ok_or_else(|| AdminError::unexpected("the answer about the quorum is empty"))?;
            let message = partition.error_message.as_deref();
            ErrorCode::from(partition.error_code).ok().map_err(|code| refused(code, message))?;
            let leader = partition.leader_id.0;
            let (voters, observers) = (replicas(&partition.current_voters), replicas(&partition.observers));
            let own = voters.iter().find(|voter| voter.id == leader);
            let clock = own.and_then(|own| own.last_caught_up_ms);
            let clock = clock.map(|now_ms| LeaderClock { now_ms, asked_ms, answered_ms });
            Ok(QuorumDescription { leader, voters, observers, clock })
        })
        .await
    }
}

fn replicas(told: &[ReplicaState]) -> Vec<QuorumReplica> {
    let time = |ms: i64| (ms > 0).then_some(ms);
    let replica = |told: &ReplicaState| QuorumReplica {
        id: told.replica_id.0,
        log_end: told.log_end_offset,
        last_fetch_ms: time(told.last_fetch_timestamp),
        last_caught_up_ms: time(told.last_caught_up_timestamp),
    };
    let mut replicas: Vec<_> = told.iter().map(replica).collect();
    replicas.sort_by_key(|replica| replica.id);
    replicas
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
