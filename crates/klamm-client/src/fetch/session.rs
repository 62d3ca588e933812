//! Fetch sessions (KIP-227): the first request to a broker names every partition, the next only what has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use klamm_wire::protocol::messages::fetch_response::PartitionData;
use klamm_wire::protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use klamm_wire::protocol::protocol::StrBytes;
use uuid::Uuid;

use super::ask::{Part, Question};
use crate::{Isolation, TopicPartition};

/// The last version that names topics by name; later ones name them by id (KIP-516).
pub(crate) const LAST_WITH_NAMES: i16 = 12;

/// The first version in which the broker itself finds that logs have diverged (KIP-595).
const LAST_FETCHED_EPOCH: i16 = 12;

/// Epoch of a request that names everything.
const FULL: i32 = 0;

/// The same for all requests of a consumer.
#[derive(Debug, Clone)]
pub(crate) struct RequestOptions {
    pub(crate) isolation: Isolation,
    /// `client.rack`.
    pub(crate) rack: Option<String>,
    /// `fetch.max.wait.ms`.
    pub(crate) max_wait: Duration,
    /// `fetch.min.bytes`.
    pub(crate) min_bytes: i32,
}

/// How topics are named in a session.
pub(crate) enum Naming<'a> {
    Names,
    /// The id of each topic.
    Ids(&'a HashMap<Arc<str>, Uuid>),
}

/// What one broker knows that it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: i32,
    epoch: i32,
    by_id: bool,
    known: HashMap<TopicPartition, Asked>,
}

/// What a request says about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    offset: i64,
    last_epoch: i32,
    leader_epoch: i32,
    max_bytes: usize,
    topic_id: Uuid,
}

impl Session {
    /// The request for a question, as it is said in `version`.
    pub(crate) fn request(
        &mut self,
        question: &Question,
        naming: &Naming<'_>,
        options: &RequestOptions,
        version: i16,
    ) -> FetchRequest {
        let by_id = matches!(naming, Naming::Ids(_));
        if by_id != self.by_id {
            *self = Session { by_id, ..Session::default() };
        }
        if self.epoch == FULL {
            self.known.clear();
        }
        let mut topics: HashMap<Arc<str>, FetchTopic> = HashMap::new();
        let mut asked = HashMap::with_capacity(question.parts.len());
        for part in &question.parts {
            let topic_id = naming.id(&part.partition.topic);
            let now = Asked::of(part, topic_id, version);
            if self.known.get(&part.partition) != Some(&now) {
                let topic = topics.entry(part.partition.topic.clone());
                topic
                    .or_insert_with(|| naming.fetch_topic(&part.partition.topic, topic_id))
                    .partitions
                    .push(now.partition(part));
            }
            asked.insert(part.partition.clone(), now);
        }
        let mut forgotten: HashMap<Arc<str>, ForgottenTopic> = HashMap::new();
        for (partition, known) in &self.known {
            // A topic that was made anew has another id: the old one has to go first.
            if asked.get(partition).is_some_and(|now| now.topic_id == known.topic_id) {
                continue;
            }
            let topic = forgotten.entry(partition.topic.clone());
            let named =
                || ForgottenTopic::default().with_topic(name(&partition.topic)).with_topic_id(known.topic_id);
            topic.or_insert_with(named).partitions.push(partition.partition);
        }
        self.known = asked;
        let isolation = match options.isolation {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(options.min_bytes)
            .with_max_bytes(i32::try_from(question.max_bytes).unwrap_or(i32::MAX))
            .with_isolation_level(isolation)
            .with_session_id(self.id)
            .with_session_epoch(self.epoch)
            .with_topics(topics.into_values().collect())
            .with_forgotten_topics_data(forgotten.into_values().collect())
            .with_rack_id(StrBytes::from_string(options.rack.clone().unwrap_or_default()))
    }

    /// Follows an answer, and gives what it has by the index of the part in the question.
    ///
    /// # Errors
    /// The broker does not know the session (any more), or refuses the request as a whole. The next request names everything.
    pub(crate) fn answer(
        &mut self,
        question: &Question,
        naming: &Naming<'_>,
        response: FetchResponse,
    ) -> Result<Vec<(usize, PartitionData)>, ErrorCode> {
        if let Err(error) = ErrorCode::from(response.error_code).ok() {
            self.forget();
            return Err(error);
        }
        // The id 0 says that the broker keeps none: each request is a first one.
        self.id = response.session_id;
        self.epoch = match (response.session_id, self.epoch) {
            (0, _) => FULL,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
        let parts: HashMap<(NameOrId<'_>, i32), usize> = question
            .parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                ((naming.name_or_id(&part.partition.topic), part.partition.partition), index)
            })
            .collect();
        let mut found = Vec::new();
        for topic in response.responses {
            let named = match self.by_id {
                true => NameOrId::Id(topic.topic_id),
                false => NameOrId::Name(&topic.topic),
            };
            for partition in topic.partitions {
                // What was not asked for is nobody's.
                if let Some(index) = parts.get(&(named, partition.partition_index)) {
                    found.push((*index, partition));
                }
            }
        }
        Ok(found)
    }

    /// The request had no answer: what the broker knows is not known here.
    pub(crate) fn forget(&mut self) {
        *self = Session { by_id: self.by_id, ..Session::default() };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum NameOrId<'a> {
    Name(&'a str),
    Id(Uuid),
}

impl Naming<'_> {
    fn id(&self, topic: &Arc<str>) -> Uuid {
        match self {
            Naming::Names => Uuid::nil(),
            Naming::Ids(ids) => ids.get(topic).copied().unwrap_or_default(),
        }
    }

    fn name_or_id<'t>(&self, topic: &'t Arc<str>) -> NameOrId<'t> {
        match self {
            Naming::Names => NameOrId::Name(topic),
            Naming::Ids(_) => NameOrId::Id(self.id(topic)),
        }
    }

    fn fetch_topic(&self, topic: &str, id: Uuid) -> FetchTopic {
        match self {
            Naming::Names => FetchTopic::default().with_topic(name(topic)),
            Naming::Ids(_) => FetchTopic::default().with_topic(name(topic)).with_topic_id(id),
        }
    }
}

impl Asked {
    fn of(part: &Part, topic_id: Uuid, version: i16) -> Asked {
        Asked {
            offset: part.from.offset,
            last_epoch: part.from.epoch.filter(|_| version >= LAST_FETCHED_EPOCH).unwrap_or(-1),
            leader_epoch: part.leader_epoch,
            max_bytes: part.max_bytes,
            topic_id,
        }
    }

    fn partition(self, part: &Part) -> FetchPartition {
        FetchPartition::default()
            .with_partition(part.partition.partition)
            .with_current_leader_epoch(self.leader_epoch)
            .with_fetch_offset(self.offset)
            .with_last_fetched_epoch(self.last_epoch)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(i32::try_from(self.max_bytes).unwrap_or(i32::MAX))
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
