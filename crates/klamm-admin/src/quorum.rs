//! The metadata quorum: which controllers there are, and which one is active.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_quorum_request::{PartitionData, TopicData};
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

impl Admin {
    /// The metadata quorum (KIP-595). Needs DESCRIBE on the cluster.
    pub async fn quorum(&self) -> Result<Quorum, AdminError> {
        const METADATA: &str = "__cluster_metadata";
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(METADATA)))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        let request = &DescribeQuorumRequest::default().with_topics(vec![topic]);
        self.retry("describe the metadata quorum", Repeat::Always, || async move {
            let answer = self.cluster.any().await?.call(request).await?;
            let refused = |code| AdminError::kafka(code, None, "describe quorum", "the cluster");
            ErrorCode::from(answer.error_code).ok().map_err(refused)?;
            let partition = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
            let partition =
                partition.ok_or_else(|| AdminError::unexpected("the answer about the quorum is empty"))?;
            ErrorCode::from(partition.error_code).ok().map_err(refused)?;
            let mut voters: Vec<i32> =
                partition.current_voters.iter().map(|voter| voter.replica_id.0).collect();
            voters.sort_unstable();
            Ok(Quorum { leader: partition.leader_id.0, voters })
        })
        .await
    }
}
