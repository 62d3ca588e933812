//! The producer: bounded memory in front of a data path.

mod path;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use klamm_admin::{Admin, ClientOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::path::ProducerPath;
use crate::acks::Outstanding;
use crate::partitioner::Partitioner;
use crate::record::Outgoing;
use crate::{
    BatchPending, ClientError, FlushError, Pending, ProduceError, ProduceErrorKind, ProducerOptions, Record,
    RecordSet,
};

/// What a record costs on the wire beside its fields, at most: offsets, lengths and the batch's header of 61 bytes.
const RECORD_OVERHEAD_BYTES: usize = 90;

/// Sends records. Cheap to clone; all clones share one connection pool and one memory bound.
///
/// Records of one key sent one after the other keep their order. Dropping the last clone never blocks: a task on the
/// runtime that the producer was opened on goes on until every accepted record has its outcome, at most for the delivery
/// timeout; [`close`](Producer::close) waits.
#[derive(Debug, Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ProducerOptions,
    /// One permit is one byte of `buffer_bytes`.
    memory: Arc<Semaphore>,
    topics: Mutex<HashMap<Arc<str>, Topic>>,
    outstanding: Arc<Outstanding>,
    path: ProducerPath,
}

#[derive(Debug)]
struct Topic {
    partitions: i32,
    partitioner: Partitioner,
    seen: Instant,
}

/// What a producer has accepted and not seen the outcome of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Records.
    pub records: usize,
    /// Bytes of the buffer that they take.
    pub bytes: usize,
    /// Bytes of the buffer in all.
    pub capacity_bytes: usize,
}

impl Producer {
    /// Opens a producer. The cluster is asked first, so that an address, a listener or credentials that do not work are
    /// told at once and by name.
    ///
    /// Cancelling it leaves nothing behind.
    pub async fn open(cluster: &ClientOptions, options: ProducerOptions) -> Result<Producer, ClientError> {
        options.validate()?;
        let admin = Admin::connect(cluster).await?;
        let outstanding = Arc::new(Outstanding::new());
        let path = ProducerPath::start(admin, cluster, &options, Arc::clone(&outstanding));
        let memory = Arc::new(Semaphore::new(options.buffer_bytes));
        let inner = Inner { options, memory, topics: Mutex::default(), outstanding, path };
        Ok(Producer { inner: Arc::new(inner) })
    }

    /// Hands one record over and returns the future of its receipt. Waits while the buffer is full.
    ///
    /// Cancelling it before it returns sends nothing. An error means that nothing was sent.
    pub async fn send(&self, record: Record<'_>) -> Result<Pending, ProduceError> {
        Ok(self.send_batch(&RecordSet::from(&record)).await?.single())
    }

    /// Hands a set of records over and returns the future of their outcomes. Waits while the buffer is full.
    ///
    /// All of the set is handed over, or nothing: cancelling it before it returns, or an error, means that nothing was
    /// sent. A set may not be larger than the buffer.
    pub async fn send_batch(&self, set: &RecordSet) -> Result<BatchPending, ProduceError> {
        let inner = &*self.inner;
        for topic in set.topics() {
            inner.look_up(topic).await?;
        }
        inner.check(set)?;
        let memory = inner.reserve(set).await?;
        inner.hand_over(set, memory)
    }

    /// The number of partitions of `topic`, as the producer sees it.
    pub async fn partitions(&self, topic: &str) -> Result<i32, ProduceError> {
        self.inner.look_up(&topic.into()).await
    }

    /// What is on its way.
    pub fn in_flight(&self) -> InFlight {
        let load = self.inner.outstanding.load();
        InFlight { records: load.records, bytes: load.bytes, capacity_bytes: self.inner.options.buffer_bytes }
    }

    /// Waits until every accepted record has its outcome, at most for `deadline`.
    ///
    /// Cancelling it changes nothing for the records.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let outstanding = &self.inner.outstanding;
        let _hurry = self.inner.path.hurry();
        tokio::time::timeout(deadline, outstanding.idle())
            .await
            .map_err(|_| FlushError { after: deadline, outstanding: outstanding.load().records })
    }

    /// Flushes within `deadline` and closes for all clones. Records that have no outcome by then resolve as closed,
    /// with an unknown effect; the error says how many.
    ///
    /// Cancelling it leaves the producer closed to new records and the rest to the background task.
    pub async fn close(&self, deadline: Duration) -> Result<(), FlushError> {
        self.inner.memory.close();
        let flushed = self.flush(deadline).await;
        self.inner.path.stop();
        self.inner.outstanding.idle().await;
        flushed
    }
}

impl Inner {
    /// Makes sure that the topic's number of partitions is known and young enough.
    async fn look_up(&self, topic: &Arc<str>) -> Result<i32, ProduceError> {
        let known = self.topics().get(topic).map(|known| (known.partitions, known.seen.elapsed()));
        if let Some((partitions, age)) = known
            && age < self.options.metadata_max_age
        {
            return Ok(partitions);
        }
        let partitions = match (self.path.partitions(topic).await, known) {
            (Ok(partitions), _) => partitions,
            // What was true a moment ago is better than a failure: the records' own outcomes tell the rest.
            (Err(_), Some((partitions, _))) => partitions,
            (Err(kind), None) => return Err(ProduceError::new(&**topic, None, kind)),
        };
        let mut topics = self.topics();
        let seed = RandomState::new().hash_one(topic);
        let batch_bytes = self.options.batch_bytes;
        let entry = topics.entry(Arc::clone(topic)).or_insert_with(|| Topic {
            partitions,
            partitioner: Partitioner::new(partitions, batch_bytes, seed),
            seen: Instant::now(),
        });
        entry.seen = Instant::now();
        if entry.partitions != partitions {
            entry.partitions = partitions;
            entry.partitioner.set_partitions(partitions);
        }
        Ok(partitions)
    }

    /// Refuses what could only fail later, naming the limit.
    fn check(&self, set: &RecordSet) -> Result<(), ProduceError> {
        let too_large = |topic: &str, bytes: usize, limit: String| {
            let kind = ProduceErrorKind::TooLarge { bytes: Some(bytes), limit };
            Err(ProduceError::new(topic, None, kind))
        };
        let topics = self.topics();
        for out in set.iter() {
            let bytes = wire_bytes(&out);
            let limit = self.options.max_request_bytes;
            if bytes > limit {
                return too_large(out.topic, bytes, format!("max.request.size={limit}"));
            }
            let partitions = topics.get(out.topic).map_or(0, |topic| topic.partitions);
            if let Some(partition) = out.partition.filter(|partition| !(0..partitions).contains(partition)) {
                let kind = ProduceErrorKind::UnknownPartition;
                return Err(ProduceError::new(&**out.topic, Some(partition), kind));
            }
        }
        if set.cost_bytes() > self.options.buffer_bytes {
            let topic = set.topics().first().map_or("", |topic| topic);
            return too_large(
                topic,
                set.cost_bytes(),
                format!("buffer.memory={}", self.options.buffer_bytes),
            );
        }
        Ok(())
    }

    /// Waits for room in the buffer, first come, first served.
    async fn reserve(&self, set: &RecordSet) -> Result<OwnedSemaphorePermit, ProduceError> {
        // `check` keeps the cost below the buffer, and `validate` the buffer below 4 GiB.
        let bytes = u32::try_from(set.cost_bytes()).unwrap_or(u32::MAX);
        let topic = set.topics().first().map_or("", |topic| topic);
        let closed = |_| ProduceError::new(topic, None, ProduceErrorKind::Closed);
        if let Ok(memory) = Arc::clone(&self.memory).try_acquire_many_owned(bytes) {
            return Ok(memory);
        }
        // What lingers holds the memory that is waited for.
        let _hurry = self.path.hurry();
        Arc::clone(&self.memory).acquire_many_owned(bytes).await.map_err(closed)
    }

    /// Gives every record a partition and passes it on. Nothing awaits in here, so a set goes over whole.
    fn hand_over(&self, set: &RecordSet, memory: OwnedSemaphorePermit) -> Result<BatchPending, ProduceError> {
        let len = u32::try_from(set.len()).unwrap_or(u32::MAX);
        let (ticket, pending) = self.outstanding.open(len, memory);
        let mut topics = self.topics();
        let mut inlet = self.path.inlet();
        for load in inlet.take_loads() {
            if let Some(topic) = topics.get_mut(&load.topic) {
                topic.partitioner.set_load(load.queues);
            }
        }
        for (index, out) in (0..len).zip(set.iter()) {
            let partition = match (out.partition, topics.get_mut(out.topic)) {
                (Some(partition), _) => partition,
                (None, Some(topic)) => topic.partitioner.choose(out.record.key, wire_bytes(&out)),
                (None, None) => 0,
            };
            let ticket = ticket.record(index);
            if let Err(kind) = inlet.enqueue(out.topic, partition, &out.record, ticket) {
                self.outstanding.resolve(ticket, Err(ProduceError::new(&**out.topic, Some(partition), kind)));
            }
        }
        Ok(pending)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Arc<str>, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wire_bytes(out: &Outgoing<'_>) -> usize {
    let headers: usize =
        out.record.headers().map(|header| header.name.len() + header.value.map_or(0, <[u8]>::len) + 10).sum();
    out.record.key.map_or(0, <[u8]>::len)
        + out.record.value.map_or(0, <[u8]>::len)
        + headers
        + RECORD_OVERHEAD_BYTES
}
