//! The topics, their settings and partitions, and the journal that makes them survive a restart.
//!
//! Every change is checked, written to the journal, and only then made in memory, all under the journal's lock: what a
//! client was told has happened is on disk, and what failed there has not happened.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use klamm_kafka::{ErrorCode, topic_names_collide};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disk::Disk;
use crate::error::{BrokerError, Refusal};
use crate::journal::{Durability, Journal};
use crate::log::{PartitionLog, remove_dir};
use crate::settings::{self, BrokerSettings, LogSettings, Values};
use crate::sync::{lock, read, write};
use crate::topic_name;

/// Producer ids that one journal entry sets aside.
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// The most partitions that one request may create, as in Kafka.
pub(crate) const MAX_PARTITIONS_A_REQUEST: usize = 10_000;

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub name: String,
    pub id: Uuid,
    state: RwLock<TopicState>,
}

#[derive(Debug)]
struct TopicState {
    partitions: Vec<Arc<PartitionLog>>,
    values: Values,
    settings: Arc<LogSettings>,
}

impl Topic {
    pub fn partition(&self, index: i32) -> Option<Arc<PartitionLog>> {
        read(&self.state).partitions.get(usize::try_from(index).ok()?).cloned()
    }

    pub fn partitions(&self) -> Vec<Arc<PartitionLog>> {
        read(&self.state).partitions.clone()
    }

    pub fn partition_count(&self) -> usize {
        read(&self.state).partitions.len()
    }

    pub fn settings(&self) -> Arc<LogSettings> {
        read(&self.state).settings.clone()
    }

    /// What was set for this topic.
    pub fn values(&self) -> Values {
        read(&self.state).values.clone()
    }
}

/// What the journal says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Topic { name: String, id: Uuid, partitions: usize, values: Values },
    TopicDeleted { name: String },
    Partitions { name: String, total: usize },
    TopicValues { name: String, values: Values },
    BrokerDefaults { values: Values },
    BrokerValues { values: Values },
    LogStart { topic: String, partition: usize, offset: i64 },
    ProducerIds { next: i64 },
}

/// The state that the journal's entries add up to.
#[derive(Debug, Default)]
struct Recorded {
    topics: BTreeMap<String, RecordedTopic>,
    broker_defaults: Values,
    broker_values: Values,
    next_producer_id: i64,
}

#[derive(Debug)]
struct RecordedTopic {
    id: Uuid,
    partitions: usize,
    values: Values,
    log_starts: BTreeMap<usize, i64>,
}

impl Recorded {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Topic { name, id, partitions, values } => {
                let topic = RecordedTopic { id, partitions, values, log_starts: BTreeMap::new() };
                self.topics.insert(name, topic);
            }
            Entry::TopicDeleted { name } => drop(self.topics.remove(&name)),
            Entry::Partitions { name, total } => {
                self.topics.entry(name).and_modify(|topic| topic.partitions = total);
            }
            Entry::TopicValues { name, values } => {
                self.topics.entry(name).and_modify(|topic| topic.values = values);
            }
            Entry::BrokerDefaults { values } => self.broker_defaults = values,
            Entry::BrokerValues { values } => self.broker_values = values,
            Entry::LogStart { topic, partition, offset } => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    topic.log_starts.insert(partition, offset);
                }
            }
            Entry::ProducerIds { next } => self.next_producer_id = next,
        }
    }

    /// The fewest entries that say the same.
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let broker = [
            Entry::BrokerDefaults { values: self.broker_defaults.clone() },
            Entry::BrokerValues { values: self.broker_values.clone() },
            Entry::ProducerIds { next: self.next_producer_id },
        ];
        let topics = self.topics.iter().flat_map(|(name, topic)| {
            let created = Entry::Topic {
                name: name.clone(),
                id: topic.id,
                partitions: topic.partitions,
                values: topic.values.clone(),
            };
            let starts = topic.log_starts.iter().map(|(&partition, &offset)| Entry::LogStart {
                topic: name.clone(),
                partition,
                offset,
            });
            std::iter::once(created).chain(starts)
        });
        broker.into_iter().chain(topics)
    }
}

/// All topics of the broker.
#[derive(Debug)]
pub(crate) struct Topics {
    data_dir: PathBuf,
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    by_id: RwLock<HashMap<Uuid, Arc<Topic>>>,
    broker: RwLock<BrokerSettings>,
    ledger: Mutex<Ledger>,
    /// Grows with each change of topics or numbers of partitions.
    version: AtomicU64,
}

#[derive(Debug)]
struct Ledger {
    journal: Journal,
    recorded: Recorded,
    /// Entries that were read at the start or written since: a counter that grows with every change.
    changes: i64,
    /// Ids below `recorded.next_producer_id` that have not been handed out.
    next_producer_id: i64,
}

impl Ledger {
    fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.journal.append(&entry)?;
        self.recorded.apply(entry);
        self.changes += 1;
        if self.journal.wants_rewrite() {
            self.journal.rewrite(self.recorded.entries())?;
        }
        Ok(())
    }

    fn next_producer_id(&mut self) -> io::Result<i64> {
        let id = self.next_producer_id;
        if id >= self.recorded.next_producer_id {
            self.record(Entry::ProducerIds { next: id + PRODUCER_ID_BLOCK })?;
        }
        self.next_producer_id = id + 1;
        Ok(id)
    }
}

impl Topics {
    /// Reads the journal in `data_dir` and opens the log of every partition.
    pub fn open(
        data_dir: &Path,
        mut broker: BrokerSettings,
        durability: Durability,
        trusted: bool,
        now_ms: i64,
    ) -> Result<Self, BrokerError> {
        let mut recorded = Recorded::default();
        let mut changes = 0;
        let journal = Journal::open(&data_dir.join("metadata.journal"), durability, |e| {
            recorded.apply(e);
            changes += 1;
        })?;
        broker.dynamic_default.clone_from(&recorded.broker_defaults);
        broker.dynamic_node.clone_from(&recorded.broker_values);
        remove_leftovers(data_dir, &recorded).map_err(|e| BrokerError::io("cleaning", data_dir, e))?;

        let (mut by_name, mut by_id) = (BTreeMap::new(), HashMap::new());
        for (name, topic) in &recorded.topics {
            let open = |index: usize| {
                let dir = partition_dir(data_dir, name, index);
                let start = topic.log_starts.get(&index).copied().unwrap_or(0);
                let log = PartitionLog::open(dir.clone(), start, trusted, now_ms);
                log.map(Arc::new).map_err(|e| BrokerError::io("opening the log in", &dir, e))
            };
            let partitions = (0..topic.partitions).map(open).collect::<Result<_, _>>()?;
            let settings = Arc::new(broker.log_settings(&topic.values));
            let state = RwLock::new(TopicState { partitions, values: topic.values.clone(), settings });
            let topic = Arc::new(Topic { name: name.clone(), id: topic.id, state });
            by_name.insert(name.clone(), topic.clone());
            by_id.insert(topic.id, topic);
        }
        let next_producer_id = recorded.next_producer_id;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            by_name: RwLock::new(by_name),
            by_id: RwLock::new(by_id),
            broker: RwLock::new(broker),
            ledger: Mutex::new(Ledger { journal, recorded, changes, next_producer_id }),
            version: AtomicU64::new(1),
        })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.by_name).get(name).cloned()
    }

    pub fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        read(&self.by_id).get(&id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Topic>> {
        read(&self.by_name).values().cloned().collect()
    }

    /// A number that grows with each change of topics or numbers of partitions.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// A number that is in force for this broker.
    pub fn broker_number(&self, name: &str) -> Option<i64> {
        read(&self.broker).number(name)
    }

    /// From now on records and changes fail while `disk` is full.
    pub fn attach(&self, disk: &Disk) {
        lock(&self.ledger).journal.attach(disk);
        let mut broker = write(&self.broker);
        broker.disk = disk.clone();
        for topic in self.all() {
            let mut state = write(&topic.state);
            state.settings = Arc::new(broker.log_settings(&state.values));
        }
    }

    /// The broker's settings as they are now.
    pub fn broker_settings(&self) -> BrokerSettings {
        read(&self.broker).clone()
    }

    /// Checks that a topic of this name may be created.
    pub fn check_name(&self, name: &str) -> Result<(), Refusal> {
        topic_name::check(name)?;
        if self.get(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        if let Some(other) = read(&self.by_name).keys().find(|other| topic_names_collide(other, name)) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
        }
        Ok(())
    }

    /// Creates a topic. Its partitions have no folder before their first record.
    pub fn create(&self, name: &str, partitions: usize, values: Values) -> Result<Arc<Topic>, Refusal> {
        let mut ledger = lock(&self.ledger);
        self.check_name(name)?;
        settings::check_topic_values(&values)?;
        let id = Uuid::new_v4();
        let logs = self.open_new(name, 0..partitions)?;
        ledger.record(Entry::Topic { name: name.to_owned(), id, partitions, values: values.clone() })?;

        let settings = Arc::new(read(&self.broker).log_settings(&values));
        let state = RwLock::new(TopicState { partitions: logs, values, settings });
        let topic = Arc::new(Topic { name: name.to_owned(), id, state });
        write(&self.by_name).insert(name.to_owned(), topic.clone());
        write(&self.by_id).insert(id, topic.clone());
        self.version.fetch_add(1, Ordering::SeqCst);
        Ok(topic)
    }

    /// Deletes a topic and its data.
    pub fn delete(&self, topic: &Topic) -> Result<(), Refusal> {
        let mut ledger = lock(&self.ledger);
        if self.get_by_id(topic.id).is_none() {
            return Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the topic does not exist"));
        }
        ledger.record(Entry::TopicDeleted { name: topic.name.clone() })?;
        write(&self.by_name).remove(&topic.name);
        write(&self.by_id).remove(&topic.id);
        self.version.fetch_add(1, Ordering::SeqCst);
        for partition in topic.partitions() {
            // What cannot be removed now is removed at the next start, or before the name is used again.
            let _ = partition.delete();
        }
        Ok(())
    }

    /// Grows a topic to `total` partitions.
    pub fn add_partitions(&self, topic: &Topic, total: usize) -> Result<(), Refusal> {
        let mut ledger = lock(&self.ledger);
        let present = topic.partition_count();
        if total <= present {
            let message = match total == present {
                true => format!("Topic already has {present} partition(s)."),
                false => format!(
                    "The topic {} currently has {present} partition(s); {total} would not be an increase.",
                    topic.name
                ),
            };
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        let added = self.open_new(&topic.name, present..total)?;
        ledger.record(Entry::Partitions { name: topic.name.clone(), total })?;
        write(&topic.state).partitions.extend(added);
        self.version.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Replaces what is set for a topic.
    pub fn set_topic_values(&self, topic: &Topic, values: Values) -> Result<(), Refusal> {
        let mut ledger = lock(&self.ledger);
        settings::check_topic_values(&values)?;
        ledger.record(Entry::TopicValues { name: topic.name.clone(), values: values.clone() })?;
        let settings = Arc::new(read(&self.broker).log_settings(&values));
        let mut state = write(&topic.state);
        (state.values, state.settings) = (values, settings);
        Ok(())
    }

    /// Replaces what is set dynamically for this node, or for all nodes.
    pub fn set_broker_values(&self, scope: BrokerScope, values: Values) -> Result<(), Refusal> {
        let mut ledger = lock(&self.ledger);
        ledger.record(match scope {
            BrokerScope::AllNodes => Entry::BrokerDefaults { values: values.clone() },
            BrokerScope::ThisNode => Entry::BrokerValues { values: values.clone() },
        })?;
        let mut broker = write(&self.broker);
        match scope {
            BrokerScope::AllNodes => broker.dynamic_default = values,
            BrokerScope::ThisNode => broker.dynamic_node = values,
        }
        for topic in self.all() {
            let mut state = write(&topic.state);
            state.settings = Arc::new(broker.log_settings(&state.values));
        }
        Ok(())
    }

    /// Deletes the records of a partition before `offset` (-1: all) and gives the new log start.
    pub fn delete_records(&self, topic: &Topic, partition: i32, offset: i64) -> Result<i64, ErrorCode> {
        let log = topic.partition(partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let mut ledger = lock(&self.ledger);
        let bounds = log.bounds();
        let offset = if offset == -1 { bounds.high_watermark } else { offset };
        if offset < 0 || offset > bounds.high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let index = usize::try_from(partition).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        self.record_log_start(&mut ledger, topic, index, offset.max(bounds.log_start))
            .map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
        log.delete_before(offset)
    }

    /// Removes what the topics' retention no longer keeps.
    pub fn apply_retention(&self, now_ms: i64, producer_keep_ms: i64) -> io::Result<()> {
        for topic in self.all() {
            let settings = topic.settings();
            for (index, partition) in topic.partitions().iter().enumerate() {
                partition.expire_producers(now_ms, producer_keep_ms);
                if let Some(start) = partition.apply_retention(&settings, now_ms)? {
                    self.record_log_start(&mut lock(&self.ledger), &topic, index, start)?;
                }
            }
        }
        Ok(())
    }

    /// How many changes of the metadata are recorded: it grows while the broker runs.
    pub fn metadata_changes(&self) -> i64 {
        lock(&self.ledger).changes
    }

    /// Compacts partitions that want it. A failure of one does not keep the others; the last one is told.
    pub fn compact(&self, now_ms: i64) -> io::Result<()> {
        let mut result = Ok(());
        for topic in self.all() {
            let settings = topic.settings();
            for partition in topic.partitions().iter().filter(|_| settings.compact) {
                if let Err(error) = partition.compact(&settings, now_ms) {
                    result = Err(error);
                }
            }
        }
        result
    }

    /// A producer id that was never handed out before.
    pub fn next_producer_id(&self) -> io::Result<i64> {
        lock(&self.ledger).next_producer_id()
    }

    /// Flushes everything to the disk.
    pub fn sync(&self) -> io::Result<()> {
        for topic in self.all() {
            for partition in topic.partitions() {
                if let Some(file) = partition.active_file() {
                    file.sync_data()?;
                }
            }
        }
        lock(&self.ledger).journal.sync()
    }

    fn record_log_start(
        &self,
        ledger: &mut Ledger,
        topic: &Topic,
        partition: usize,
        offset: i64,
    ) -> io::Result<()> {
        ledger.record(Entry::LogStart { topic: topic.name.clone(), partition, offset })
    }

    fn open_new(&self, name: &str, indexes: std::ops::Range<usize>) -> io::Result<Vec<Arc<PartitionLog>>> {
        let open = |index| {
            let dir = partition_dir(&self.data_dir, name, index);
            // A deletion that could not remove its folder must not give its records to the new topic.
            remove_dir(&dir)?;
            PartitionLog::open(dir, 0, true, 0).map(Arc::new)
        };
        indexes.map(open).collect()
    }
}

/// Whom a broker setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerScope {
    AllNodes,
    ThisNode,
}

fn partition_dir(data_dir: &Path, topic: &str, partition: usize) -> PathBuf {
    data_dir.join(format!("{topic}-{partition}"))
}

/// Removes partition folders of topics that do not exist: a deletion was cut short after its journal entry.
fn remove_leftovers(data_dir: &Path, recorded: &Recorded) -> io::Result<()> {
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((topic, partition)) = name.to_str().and_then(|name| name.rsplit_once('-')) else { continue };
        let Ok(partition) = partition.parse::<usize>() else { continue };
        let known = recorded.topics.get(topic).is_some_and(|topic| partition < topic.partitions);
        if !known && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
