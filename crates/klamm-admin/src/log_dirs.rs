//! Log directories: what partitions take on the brokers' disks, and what is left there.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::DescribeLogDirsRequest;
use klamm_wire::protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use klamm_wire::protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;

use crate::Admin;
use crate::each::PerBroker;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::pace::Peer;

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    /// Path there.
    pub path: String,
    /// Kafka's error, when it has failed: KAFKA_STORAGE_ERROR.
    pub error: Option<ErrorCode>,
    /// Size of the volume; `None` before 3.3.
    pub total_bytes: Option<u64>,
    /// Bytes that are free on the volume; `None` before 3.3.
    pub usable_bytes: Option<u64>,
    /// Copies in it. A directory that is offline names none.
    pub replicas: Vec<LogDirReplica>,
}

/// A copy in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirReplica {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Bytes.
    pub bytes: u64,
    /// Records that it is behind.
    pub lag: i64,
    /// It is being filled, to replace the one in another directory of the same broker.
    pub future: bool,
}

impl Admin {
    /// Log directories of every broker with all that is in them (KIP-113). Needs DESCRIBE on the cluster.
    pub async fn log_dirs(&self) -> PerBroker<Vec<LogDir>> {
        self.log_dirs_with(None).await
    }

    /// Bytes of each partition of `topics` on disk, by topic and partition: of the largest copy, which is the leader's
    /// unless somebody was slower to delete.
    pub async fn log_sizes(
        &self,
        topics: &BTreeMap<String, Vec<i32>>,
    ) -> Result<BTreeMap<(String, i32), u64>, AdminError> {
        let mut sizes = BTreeMap::new();
        for dirs in self.log_dirs_with(Some(topics)).await.into_values() {
            // A directory that is offline tells an error instead of its partitions: others hold copies.
            for replica in dirs?.into_iter().flat_map(|dir| dir.replicas) {
                let size: &mut u64 = sizes.entry((replica.topic, replica.partition)).or_default();
                *size = (*size).max(replica.bytes);
            }
        }
        Ok(sizes)
    }

    async fn log_dirs_with(&self, topics: Option<&BTreeMap<String, Vec<i32>>>) -> PerBroker<Vec<LogDir>> {
        let of_topic = |(topic, partitions): (&String, &Vec<i32>)| {
            DescribableLogDirTopic::default()
                .with_topic(topic_name(topic))
                .with_partitions(partitions.clone())
        };
        let topics = topics.map(|topics| topics.iter().map(of_topic).collect());
        let request = &DescribeLogDirsRequest::default().with_topics(topics);
        self.at_each("describe the log directories", &|id, peer| ask(id, peer, request)).await
    }
}

async fn ask(id: i32, peer: Peer, request: &DescribeLogDirsRequest) -> Result<Vec<LogDir>, AdminError> {
    let answer = peer.call(request).await?;
    let code = match ErrorCode::from(answer.error_code) {
        // Before version 3 a missing permission was an empty answer, as no broker with permission gives.
        code if code.is_ok() && answer.results.is_empty() => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        code => code,
    };
    let refused = |code| AdminError::kafka(code, None, "describe log directories", &format!("broker {id}"));
    code.ok().map_err(refused)?;
    Ok(answer.results.iter().map(dir).collect())
}

fn dir(told: &DescribeLogDirsResult) -> LogDir {
    let code = ErrorCode::from(told.error_code);
    let replicas = told.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| LogDirReplica {
            topic: topic.name.0.to_string(),
            partition: partition.partition_index,
            bytes: u64::try_from(partition.partition_size).unwrap_or(0),
            lag: partition.offset_lag,
            future: partition.is_future_key,
        })
    });
    LogDir {
        path: told.log_dir.to_string(),
        error: (!code.is_ok()).then_some(code),
        // -1 is "not known".
        total_bytes: u64::try_from(told.total_bytes).ok(),
        usable_bytes: u64::try_from(told.usable_bytes).ok(),
        replicas: replicas.collect(),
    }
}
