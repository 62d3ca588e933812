//! Topics: list, create, grow, delete, and cut their beginning off.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use klamm_wire::protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
};
use klamm_wire::protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep};

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::{Topics, topic_name};
use crate::retry::{Repeat, backoff};

/// A controller refuses a request that would write more metadata records than 10,000 (POLICY_VIOLATION), counting
/// topics, partitions and configurations. Some distance is kept, since newer controllers may count more.
const RECORDS_PER_REQUEST: usize = 9_000;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication_factor: i16,
    /// Settings other than the cluster's defaults.
    pub configs: Vec<(String, String)>,
}

/// Whether a change is made or only checked by the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Make it.
    Execute,
    /// Let the cluster say whether it would.
    ValidateOnly,
}

/// What became of one topic in a request about several.
#[derive(Debug, Clone)]
pub struct TopicOutcome {
    /// Topic.
    pub topic: String,
    /// Done, or why not.
    pub result: Result<(), AdminError>,
}

impl Admin {
    /// Names of all topics that this client may see, Kafka's own included, sorted.
    pub async fn list_topics(&self) -> Result<Vec<String>, AdminError> {
        let topics = self.retry("list topics", Repeat::Always, || self.cluster.metadata(Topics::All)).await?;
        let mut names: Vec<_> = topics.into_iter().map(|topic| topic.name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates topics, in as many requests as Kafka's limits need. `Ok` means that all of them were created;
    /// [`create_topics_each`](Self::create_topics_each) tells them apart.
    ///
    /// # Errors
    /// That of the first topic that was not created; others may have been.
    pub async fn create_topics(&self, topics: &[NewTopic], mode: Mode) -> Result<(), AdminError> {
        self.create_topics_each(topics, mode).await.into_iter().try_for_each(|outcome| outcome.result)
    }

    /// Creates topics and says what became of each, in the order of `topics`.
    pub async fn create_topics_each(&self, topics: &[NewTopic], mode: Mode) -> Vec<TopicOutcome> {
        let mut outcomes = Vec::with_capacity(topics.len());
        for chunk in chunks(topics) {
            // A topic that was created by a try whose answer was lost would be refused by the next as existing.
            let created = self
                .retry("create topics", Repeat::IfNothingHappened, || self.create_chunk(chunk, mode))
                .await;
            outcomes.extend(match created {
                Ok(created) => created,
                Err(error) => {
                    let failed = |topic: &NewTopic| TopicOutcome {
                        topic: topic.name.clone(),
                        result: Err(error.clone()),
                    };
                    chunk.iter().map(failed).collect()
                }
            });
        }
        outcomes
    }

    async fn create_chunk(&self, topics: &[NewTopic], mode: Mode) -> Result<Vec<TopicOutcome>, AdminError> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(creatable).collect())
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_validate_only(mode == Mode::ValidateOnly);
        let answer = self.cluster.controller().await?.call(&request).await?;
        // The controller answers in an order of its own.
        let mut told: HashMap<&str, _> =
            answer.topics.iter().map(|topic| (topic.name.as_str(), topic)).collect();
        let outcomes = topics.iter().map(|topic| match told.remove(topic.name.as_str()) {
            Some(told) => outcome(&topic.name, told.error_code, told.error_message.as_deref(), "create"),
            None => TopicOutcome {
                topic: topic.name.clone(),
                result: Err(AdminError::unexpected(format!(
                    "the answer says nothing about topic {}",
                    topic.name
                ))),
            },
        });
        all_or_again(outcomes.collect())
    }

    /// Raises the number of partitions of `topic` to `total`. Keys move: per-key order across the change is lost.
    pub async fn create_partitions(&self, topic: &str, total: i32) -> Result<(), AdminError> {
        let what = format!("add partitions to topic {topic}");
        self.retry(&what, Repeat::IfNothingHappened, || async {
            let wanted = CreatePartitionsTopic::default()
                .with_name(topic_name(topic))
                .with_count(total)
                .with_assignments(None);
            let request = CreatePartitionsRequest::default()
                .with_topics(vec![wanted])
                .with_timeout_ms(self.options().broker_timeout_ms());
            let answer = self.cluster.controller().await?.call(&request).await?;
            let result = answer.results.first().ok_or_else(|| nothing_about(topic))?;
            outcome(topic, result.error_code, result.error_message.as_deref(), "alter").result
        })
        .await
    }

    /// Deletes topics with all their records. `Ok` means that all of them were deleted.
    ///
    /// # Errors
    /// That of the first topic that was not deleted; others may have been.
    pub async fn delete_topics(&self, topics: &[String]) -> Result<(), AdminError> {
        if topics.is_empty() {
            return Ok(());
        }
        let deleted =
            self.retry("delete topics", Repeat::IfNothingHappened, || self.delete_all(topics)).await?;
        deleted.into_iter().try_for_each(|outcome| outcome.result)
    }

    async fn delete_all(&self, topics: &[String]) -> Result<Vec<TopicOutcome>, AdminError> {
        let connection = self.cluster.controller().await?;
        let request = DeleteTopicsRequest::default().with_timeout_ms(self.options().broker_timeout_ms());
        let request = if connection.version_of::<DeleteTopicsRequest>(None)? >= 6 {
            let state = |name: &String| DeleteTopicState::default().with_name(Some(topic_name(name)));
            request.with_topics(topics.iter().map(state).collect())
        } else {
            request.with_topic_names(topics.iter().map(|name| topic_name(name)).collect())
        };
        let answer = connection.call(&request).await?;
        let outcomes = answer.responses.iter().map(|topic| {
            let name = topic.name.as_ref().map(|name| name.0.to_string()).unwrap_or_default();
            outcome(&name, topic.error_code, topic.error_message.as_deref(), "delete")
        });
        // Retried as a whole only when nothing was deleted, and not for topics that are unknown: those stay so.
        let outcomes: Vec<_> = outcomes.collect();
        let unknown = |outcome: &TopicOutcome| {
            let code = outcome.result.as_ref().err().and_then(AdminError::code);
            code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        if outcomes.iter().any(unknown) { Ok(outcomes) } else { all_or_again(outcomes) }
    }

    /// Deletes the records before an offset in each of the given partitions; -1 means all that are committed.
    pub async fn delete_records(&self, topic: &str, before: &[(i32, i64)]) -> Result<(), AdminError> {
        let what = format!("delete records of topic {topic}");
        self.retry(&what, Repeat::Always, || async {
            let meta = self.cluster.topic(topic).await?;
            let mut by_leader: BTreeMap<i32, Vec<DeleteRecordsPartition>> = BTreeMap::new();
            for (partition, offset) in before {
                let wanted =
                    DeleteRecordsPartition::default().with_partition_index(*partition).with_offset(*offset);
                by_leader.entry(meta.leader_of(*partition)?).or_default().push(wanted);
            }
            for (leader, partitions) in by_leader {
                self.delete_records_at(leader, topic, partitions).await?;
            }
            Ok(())
        })
        .await
    }

    async fn delete_records_at(
        &self,
        leader: i32,
        topic: &str,
        partitions: Vec<DeleteRecordsPartition>,
    ) -> Result<(), AdminError> {
        let wanted = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(partitions);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(self.options().broker_timeout_ms());
        let answer = self.cluster.broker(leader).await?.call(&request).await?;
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            ErrorCode::from(partition.error_code).ok().map_err(|code| {
                let resource = format!("topic {topic} partition {}", partition.partition_index);
                AdminError::kafka(code, None, "delete records", &resource)
            })?;
        }
        Ok(())
    }

    /// Waits until every partition of `topics` has a leader and all its replicas in sync.
    ///
    /// # Errors
    /// `Timeout` after `within`, naming a partition that is not ready.
    pub async fn wait_until_ready(&self, topics: &[String], within: Duration) -> Result<(), AdminError> {
        let deadline = Instant::now() + within;
        for tries in 0_u32.. {
            let found = self
                .retry("describe topics", Repeat::Always, || self.cluster.metadata(Topics::Named(topics)));
            let Some(missing) = found.await?.iter().find_map(not_ready) else { break };
            let pause = backoff(tries, 0.5);
            if Instant::now() + pause > deadline {
                return Err(AdminError::timeout(&format!("wait for {missing}"), within, None));
            }
            sleep(pause).await;
        }
        Ok(())
    }
}

fn not_ready(topic: &crate::metadata::TopicMeta) -> Option<String> {
    if !topic.code.is_ok() || topic.partitions.is_empty() {
        return Some(format!("topic {} to be known", topic.name));
    }
    let lagging = topic
        .partitions
        .iter()
        .find(|partition| partition.leader.is_none() || partition.isr.len() < partition.replicas.len())?;
    let (index, isr, replicas) = (lagging.index, lagging.isr.len(), lagging.replicas.len());
    let leader = lagging.leader.map_or_else(|| "no leader".to_owned(), |leader| format!("leader {leader}"));
    Some(format!("topic {} partition {index} ({leader}, {isr} of {replicas} replicas in sync)", topic.name))
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(topic.configs.iter().map(config).collect())
}

/// Cuts the list so that no part exceeds the limit, except for a single topic that does so alone.
fn chunks(topics: &[NewTopic]) -> Vec<&[NewTopic]> {
    let mut chunks = Vec::new();
    let (mut start, mut records) = (0, 0);
    for (index, topic) in topics.iter().enumerate() {
        let needed = 1 + usize::try_from(topic.partitions).unwrap_or(1) + topic.configs.len();
        if records + needed > RECORDS_PER_REQUEST && index > start {
            chunks.push(&topics[start..index]);
            (start, records) = (index, 0);
        }
        records += needed;
    }
    if start < topics.len() {
        chunks.push(&topics[start..]);
    }
    chunks
}

fn outcome(topic: &str, code: i16, message: Option<&str>, operation: &str) -> TopicOutcome {
    let resource = format!("topic {topic}");
    let result = ErrorCode::from(code).ok();
    let result = result.map_err(|code| AdminError::kafka(code, message, operation, &resource));
    TopicOutcome { topic: topic.to_owned(), result }
}

/// When all failed and the first may be tried again (not the controller any more), the request may be.
fn all_or_again(outcomes: Vec<TopicOutcome>) -> Result<Vec<TopicOutcome>, AdminError> {
    let nothing_done = outcomes.iter().all(|outcome| outcome.result.is_err());
    match outcomes.first().map(|outcome| &outcome.result) {
        Some(Err(error)) if nothing_done && error.is_retryable() => Err(error.clone()),
        _ => Ok(outcomes),
    }
}

fn nothing_about(topic: &str) -> AdminError {
    AdminError::unexpected(format!("the answer says nothing about topic {topic}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(partitions: i32, configs: usize) -> NewTopic {
        let configs = (0..configs).map(|index| (index.to_string(), String::new())).collect();
        NewTopic { name: "t".into(), partitions, replication_factor: 1, configs }
    }

    #[test]
    fn requests_stay_below_the_controllers_limit() {
        let topics = vec![topic(4, 1); 2000];
        let sizes: Vec<_> = chunks(&topics).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [1500, 500]);
    }

    #[test]
    fn a_topic_over_the_limit_goes_alone_and_none_is_forgotten() {
        let topics = [topic(1, 0), topic(20_000, 0), topic(1, 0)];
        let sizes: Vec<_> = chunks(&topics).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [1, 1, 1]);
        assert!(chunks(&[]).is_empty());
    }
}
