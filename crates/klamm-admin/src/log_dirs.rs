//! What partitions take on the brokers' disks.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::DescribeLogDirsRequest;
use klamm_wire::protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::retry::Repeat;

impl Admin {
    /// Bytes of each partition of `topics` on disk, by topic and partition: of the largest copy, which is the leader's
    /// unless somebody was slower to delete.
    pub async fn log_sizes(
        &self,
        topics: &BTreeMap<String, Vec<i32>>,
    ) -> Result<BTreeMap<(String, i32), u64>, AdminError> {
        let of_topic = |(topic, partitions): (&String, &Vec<i32>)| {
            DescribableLogDirTopic::default()
                .with_topic(topic_name(topic))
                .with_partitions(partitions.clone())
        };
        let request =
            &DescribeLogDirsRequest::default().with_topics(Some(topics.iter().map(of_topic).collect()));
        let mut sizes = BTreeMap::new();
        for id in self.cluster.view().brokers.keys().copied() {
            let answer = self
                .retry("describe the log directories", Repeat::Always, || async move {
                    let answer = self.cluster.broker(id).await?.call(request).await?;
                    let refused = |code| {
                        AdminError::kafka(code, None, "describe log directories", &format!("broker {id}"))
                    };
                    ErrorCode::from(answer.error_code).ok().map_err(refused)?;
                    Ok(answer)
                })
                .await?;
            // A directory that is offline tells an error instead of its partitions: others hold copies.
            for topic in answer.results.iter().flat_map(|dir| &dir.topics) {
                for partition in &topic.partitions {
                    let at = (topic.name.0.to_string(), partition.partition_index);
                    let size: &mut u64 = sizes.entry(at).or_default();
                    *size = (*size).max(u64::try_from(partition.partition_size).unwrap_or(0));
                }
            }
        }
        Ok(sizes)
    }
}
