//! The open batches of all partitions, and which of them are due.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use klamm_wire::batch::Compression;

use super::Slot;
use super::open::{BatchId, Open, Place, Pool, Raw, record_bound};
use crate::{ProduceErrorKind, RecordView};

/// What a partition would do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// One waits already: an open batch may as well grow.
    Fed,
    /// All that it has was sent.
    Hungry,
    /// It has nothing: not even `linger.ms` is of use.
    Idle,
}

/// Takes records in and gives sealed batches out. No step looks at more than one partition.
#[derive(Debug)]
pub(crate) struct Accumulator {
    compression: Compression,
    batch_bytes: usize,
    max_request_bytes: usize,
    linger: Duration,
    open: Vec<Option<Open>>,
    /// When each open batch will have waited for `linger.ms`.
    due: BTreeSet<(Instant, Slot)>,
    /// Those that have.
    ripe: BTreeSet<Slot>,
    sealed: VecDeque<(Slot, Raw)>,
    pool: Pool,
    next_id: u64,
}

impl Accumulator {
    /// `pool_bytes` bounds the memory that is kept for later batches.
    pub(crate) fn new(
        compression: Compression,
        batch_bytes: usize,
        max_request_bytes: usize,
        linger: Duration,
        pool_bytes: usize,
    ) -> Accumulator {
        Accumulator {
            compression,
            batch_bytes,
            max_request_bytes,
            linger,
            open: Vec::new(),
            due: BTreeSet::new(),
            ripe: BTreeSet::new(),
            sealed: VecDeque::new(),
            pool: Pool::new(pool_bytes, batch_bytes),
            next_id: 0,
        }
    }

    /// Encodes a record into the open batch of its partition. A batch that has no room for it, or is full with it, is sealed.
    ///
    /// # Errors
    /// `TooLarge` for a record that no request can hold.
    pub(crate) fn append(
        &mut self,
        slot: Slot,
        record: &RecordView<'_>,
        timestamp_ms: i64,
        now: Instant,
    ) -> Result<Place, ProduceErrorKind> {
        let bound = record_bound(record);
        let bytes = bound + klamm_wire::batch::HEADER_BYTES;
        if bytes > self.max_request_bytes {
            let limit = format!("max.request.size={}", self.max_request_bytes);
            return Err(ProduceErrorKind::TooLarge { bytes: Some(bytes), limit });
        }
        if self.open.len() <= slot.index() {
            self.open.resize_with(slot.index() + 1, || None);
        }
        if self.open[slot.index()].as_ref().is_some_and(|open| !open.has_room(bound, self.batch_bytes)) {
            self.seal(slot);
        }
        let open = match &mut self.open[slot.index()] {
            Some(open) => open,
            none => {
                let id = BatchId(self.next_id);
                self.next_id += 1;
                self.due.insert((now + self.linger, slot));
                none.insert(Open::new(id, self.compression, self.pool.take(), now))
            }
        };
        let place = open.append(record, timestamp_ms);
        if open.size_bytes() >= self.batch_bytes {
            self.seal(slot);
        }
        Ok(place)
    }

    /// Seals the open batch of a partition, if there is one.
    pub(crate) fn seal(&mut self, slot: Slot) {
        if let Some(open) = self.open.get_mut(slot.index()).and_then(Option::take) {
            self.due.remove(&(open.created() + self.linger, slot));
            self.ripe.remove(&slot);
            self.sealed.push_back((slot, open.seal()));
        }
    }

    /// Seals the open batch of a partition if that wants it now: at once if it is idle, after `linger.ms` if it is hungry.
    pub(crate) fn offer(&mut self, slot: Slot, appetite: Appetite) {
        match appetite {
            Appetite::Idle => self.seal(slot),
            Appetite::Hungry if self.ripe.contains(&slot) => self.seal(slot),
            Appetite::Hungry | Appetite::Fed => {}
        }
    }

    /// Looks at the batches that have waited for `linger.ms`. Those whose partition is fed go on to grow, until it is not.
    pub(crate) fn seal_due(&mut self, now: Instant, appetite: impl Fn(Slot) -> Appetite) {
        while let Some(&(at, slot)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, slot));
            self.ripe.insert(slot);
            self.offer(slot, appetite(slot));
        }
    }

    /// Somebody waits for memory or for outcomes: no batch lingers. Those whose partition is fed still grow until it is not: sealed, they
    /// would only wait in line, and many small ones for longer than a few large ones.
    pub(crate) fn hurry(&mut self, now: Instant, appetite: impl Fn(Slot) -> Appetite) {
        self.seal_due(now + self.linger, appetite);
    }

    /// Seals everything.
    pub(crate) fn seal_all(&mut self) {
        while let Some((_, slot)) = self.due.pop_first() {
            self.seal(slot);
        }
        while let Some(slot) = self.ripe.pop_first() {
            self.seal(slot);
        }
    }

    /// When the next batch is due.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next sealed batch. Those of one partition come in order.
    pub(crate) fn take_sealed(&mut self) -> Option<(Slot, Raw)> {
        self.sealed.pop_front()
    }

    /// Whether a partition has an open batch.
    pub(crate) fn has_open(&self, slot: Slot) -> bool {
        self.open.get(slot.index()).is_some_and(Option::is_some)
    }

    /// The memory that batches are made of.
    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }
}
