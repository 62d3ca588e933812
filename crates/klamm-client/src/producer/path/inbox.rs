//! Where senders and the task meet: the open batches, and whose records are in them.
//!
//! A sender encodes its records straight into the open batches, under one lock that the task takes for moments only. It wakes the task
//! when a batch was begun or is full; what joins an open batch costs neither a message nor a wake.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::acks::Ticket;
use crate::produce::{Accumulator, BatchId, Place, Slot};
use crate::{ProduceErrorKind, RecordView};

/// What senders and the task share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    changed: Notify,
    /// Those who cannot wait for `linger.ms`: flushes, and senders without memory.
    hurried: AtomicUsize,
}

/// How long the task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Records come.
    Open,
    /// None will come: until each has its outcome.
    Deserted,
    /// Not at all: what has no outcome is closed.
    Stopped,
}

pub(super) struct Inbox {
    pub(super) accumulator: Accumulator,
    pub(super) stage: Stage,
    /// Partitions that the task has not seen, in the order of their slots.
    pub(super) added: Vec<Added>,
    /// Whose batch was begun since the task looked.
    pub(super) begun: Vec<Slot>,
    /// What waited for each partition when the task last looked; senders take it.
    pub(super) loads: Vec<Load>,
    topics: HashMap<Arc<str>, Topic>,
    /// By slot: the records of the newest batch.
    tails: Vec<Tail>,
    /// Those of sealed batches behind which a newer one was begun.
    filed: HashMap<BatchId, Vec<Sent>>,
}

/// A partition that is written to for the first time.
pub(super) struct Added {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// As the look at the topic's partitions had it.
    pub(super) leader: Option<i32>,
}

/// What waits for the partitions of a topic: those that have a leader, each with its batches.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) topic: Arc<str>,
    pub(crate) queues: Vec<(i32, u32)>,
}

/// One record of a batch: what its receipt is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) ticket: Ticket,
    pub(super) timestamp_ms: i64,
}

#[derive(Default)]
struct Topic {
    /// By partition: those that were written to.
    slots: Vec<Option<Slot>>,
    partitions: i32,
    leaders: HashMap<i32, i32>,
}

#[derive(Default)]
struct Tail {
    batch: Option<BatchId>,
    sent: Vec<Sent>,
}

impl Shared {
    pub(super) fn new(accumulator: Accumulator) -> Shared {
        let inbox = Inbox {
            accumulator,
            stage: Stage::Open,
            added: Vec::new(),
            begun: Vec::new(),
            loads: Vec::new(),
            topics: HashMap::new(),
            tails: Vec::new(),
            filed: HashMap::new(),
        };
        Shared { inbox: Mutex::new(inbox), changed: Notify::new(), hurried: AtomicUsize::new(0) }
    }

    /// No code panics while it holds the lock, so what is behind it is whole even if a thread died elsewhere.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes records in, all under one lock.
    pub(super) fn inlet(&self) -> Inlet<'_> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Inlet {
            inbox: self.lock(),
            bell: Bell { shared: self, rings: false },
            now: Instant::now(),
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Nothing lingers while it is held.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.hurried.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_one();
        Hurry { shared: self }
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire) > 0
    }

    /// Goes on to a later stage, never back.
    pub(super) fn enter(&self, stage: Stage) {
        let mut inbox = self.lock();
        if inbox.stage == Stage::Open || stage == Stage::Stopped {
            inbox.stage = stage;
        }
        drop(inbox);
        self.changed.notify_one();
    }

    /// Returns when something changed since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the metadata of a topic: its partitions, and leaders for those that are written to later, a guess that saves the first
    /// question.
    pub(super) fn learn(&self, name: &str, partitions: i32, leaders: HashMap<i32, i32>) {
        let mut inbox = self.lock();
        match inbox.topics.get_mut(name) {
            Some(topic) => (topic.partitions, topic.leaders) = (partitions, leaders),
            None => {
                inbox.topics.insert(name.into(), Topic { slots: Vec::new(), partitions, leaders });
            }
        }
    }
}

/// Senders' side of the inbox.
pub(crate) struct Inlet<'a> {
    // First, so that it is free when the bell rings.
    inbox: MutexGuard<'a, Inbox>,
    bell: Bell<'a>,
    now: Instant,
    wall_ms: i64,
}

struct Bell<'a> {
    shared: &'a Shared,
    rings: bool,
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        if self.rings {
            self.shared.changed.notify_one();
        }
    }
}

/// Somebody cannot wait for `linger.ms`.
pub(crate) struct Hurry<'a> {
    shared: &'a Shared,
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.shared.hurried.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Inlet<'_> {
    /// What waits for partitions, if the task has looked since the last time.
    pub(crate) fn take_loads(&mut self) -> Vec<Load> {
        std::mem::take(&mut self.inbox.loads)
    }

    /// Takes a record in. Never blocks; the outcome is reported by `ticket`, unless this fails.
    pub(crate) fn enqueue(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        record: &RecordView<'_>,
        ticket: Ticket,
    ) -> Result<(), ProduceErrorKind> {
        let inbox = &mut *self.inbox;
        if inbox.stage != Stage::Open {
            return Err(ProduceErrorKind::Closed);
        }
        let slot = inbox.slot(topic, partition)?;
        let place = inbox.accumulator.append(slot, record, self.wall_ms, self.now)?;
        let timestamp_ms = record.timestamp_ms.unwrap_or(self.wall_ms);
        inbox.note(slot, place, Sent { ticket, timestamp_ms });
        self.bell.rings |= place.index == 0 || !inbox.accumulator.has_open(slot);
        Ok(())
    }
}

impl Inbox {
    fn slot(&mut self, name: &Arc<str>, partition: i32) -> Result<Slot, ProduceErrorKind> {
        let index = usize::try_from(partition).map_err(|_| ProduceErrorKind::UnknownPartition)?;
        if let Some(Some(slot)) = self.topics.get(name).and_then(|topic| topic.slots.get(index)) {
            return Ok(*slot);
        }
        let slot = Slot(u32::try_from(self.tails.len()).unwrap_or(u32::MAX));
        let topic = self.topics.entry(Arc::clone(name)).or_default();
        if topic.slots.len() <= index {
            topic.slots.resize(index + 1, None);
        }
        if let Some(place) = topic.slots.get_mut(index) {
            *place = Some(slot);
        }
        let leader = topic.leaders.get(&partition).copied();
        self.tails.push(Tail::default());
        self.added.push(Added { topic: Arc::clone(name), partition, leader });
        Ok(slot)
    }

    fn note(&mut self, slot: Slot, place: Place, sent: Sent) {
        let Some(tail) = self.tails.get_mut(slot.0 as usize) else { return };
        if place.index == 0 {
            let next = Tail { batch: Some(place.batch), sent: Vec::with_capacity(tail.sent.len()) };
            let Tail { batch, sent } = std::mem::replace(tail, next);
            if let Some(batch) = batch.filter(|_| !sent.is_empty()) {
                self.filed.insert(batch, sent);
            }
            self.begun.push(slot);
        }
        tail.sent.push(sent);
    }

    /// Tells senders what waits where. `queue` gives the batches of a partition; `None` if nobody leads it.
    pub(super) fn weigh(&mut self, queue: impl Fn(Slot) -> Option<u32>) {
        let shared = self.topics.iter().filter(|(_, topic)| topic.partitions > 1);
        let load = |(name, topic): (&Arc<str>, &Topic)| {
            let slot = |partition: i32| topic.slots.get(usize::try_from(partition).ok()?).copied().flatten();
            // What was never written to has nothing.
            let queue = |partition| Some((partition, slot(partition).map_or(Some(0), &queue)?));
            Load { topic: Arc::clone(name), queues: (0..topic.partitions).filter_map(queue).collect() }
        };
        self.loads = shared.map(load).collect();
    }

    /// Whose records are in a batch that was sealed.
    pub(super) fn take_sent(&mut self, slot: Slot, batch: BatchId) -> Vec<Sent> {
        match self.tails.get_mut(slot.0 as usize).filter(|tail| tail.batch == Some(batch)) {
            Some(tail) => std::mem::take(&mut tail.sent),
            None => self.filed.remove(&batch).unwrap_or_default(),
        }
    }
}
