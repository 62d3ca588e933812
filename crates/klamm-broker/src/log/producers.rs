//! What a partition remembers about producers: epoch, the last five batches of each, and the transaction that it has open
//! (KIP-98, KIP-890); and of ended transactions those that were aborted.

use std::collections::{BTreeMap, HashMap, VecDeque};

use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchView, ProducerStamp};

use super::marker::{Marker, Outcome};
use super::{AppendError, TransactionVersion};

/// Batches a producer may have in flight, and therefore repeat in any order.
const WINDOW: usize = 5;

/// Stands for "no coordinator has written here".
const NO_COORDINATOR_EPOCH: i32 = -1;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// First offset and producer of each open transaction.
    open: BTreeMap<i64, i64>,
    /// In the order in which they ended.
    aborted: Vec<Aborted>,
    attempts: HashMap<i64, Attempt>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// The last batches of this epoch, oldest first; at most [`WINDOW`].
    batches: VecDeque<Written>,
    seen_ms: i64,
    last_timestamp_ms: i64,
    /// First offset of the transaction that is open.
    open: Option<i64>,
    coordinator_epoch: i32,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

impl Written {
    fn last_offset(&self) -> i64 {
        // Sequences of one batch lie as far apart as its offsets, beyond the wrap to 0, too.
        let range = i64::from(i32::MAX) + 1;
        let delta = (i64::from(self.last_sequence) - i64::from(self.first_sequence)).rem_euclid(range);
        self.base_offset + delta
    }
}

/// The batch that tells where a producer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastOfProducer {
    pub epoch: i16,
    /// Last offset of its last batch of records; `None` when only a marker is known.
    pub data_offset: Option<i64>,
}

/// A transaction that was aborted, as a read_committed fetch tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
}

/// A producer as `DescribeProducers` tells it (KIP-664).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveProducer {
    pub id: i64,
    pub epoch: i16,
    /// -1 when only a marker is known.
    pub last_sequence: i32,
    pub last_timestamp_ms: i64,
    pub coordinator_epoch: i32,
    /// -1 without an open transaction.
    pub open_since: i64,
}

/// Whether the coordinator knows of the transaction that a batch belongs to, and goes on knowing until the batch is written. Only the
/// first batch of a transaction in a partition needs it (KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    No,
    Yes,
}

/// Batches of a producer that asked to open a transaction here, until one does: a later one must not overtake an earlier one.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    epoch: i16,
    lowest_sequence: i32,
    version: TransactionVersion,
    at_ms: i64,
}

/// What a batch is to the sequence of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// The one that follows, or the first, or not of an idempotent producer.
    Next,
    /// Written before, at this offset.
    Duplicate { base_offset: i64 },
}

impl Producers {
    /// Decides whether `batch` may be appended, by the rules and in the order of Kafka's `UnifiedLog` and `ProducerAppendInfo`.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` from a producer that was fenced, `INVALID_TXN_STATE` outside of a transaction that its coordinator
    /// knows of, `OUT_OF_ORDER_SEQUENCE_NUMBER` if a batch is missing before this one.
    pub fn check(&self, batch: &BatchView<'_>, verified: Verified) -> Result<Sequence, AppendError> {
        let Some(stamp) = batch.producer() else { return Ok(Sequence::Next) };
        let known = self.by_id.get(&stamp.id);
        let last = sequence_after(stamp.base_sequence, batch.last_offset_delta());
        let same = |b: &&Written| b.first_sequence == stamp.base_sequence && b.last_sequence == last;
        let current = known.filter(|known| known.epoch == stamp.epoch);
        if let Some(written) = current.and_then(|known| known.batches.iter().find(same)) {
            return Ok(Sequence::Duplicate { base_offset: written.base_offset });
        }
        if let Some(known) = known.filter(|known| stamp.epoch < known.epoch) {
            return Err(stale(stamp, known.epoch));
        }
        let opens = batch.is_transactional() && !self.has_open(stamp.id, stamp.epoch);
        if opens && verified == Verified::No {
            let message = "Record was not part of an ongoing transaction";
            return Err(AppendError::new(ErrorCode::INVALID_TXN_STATE, message));
        }
        if let Some(attempt) = self.attempts.get(&stamp.id) {
            let fresh = known.is_none_or(|known| known.batches.is_empty());
            // Where the epoch is new with each transaction, a transaction begins at 0.
            let first =
                if fresh && attempt.version == TransactionVersion::Two { 0 } else { attempt.lowest_sequence };
            if stamp.base_sequence > first {
                return Err(out_of_order(stamp.id, stamp.base_sequence, first));
            }
        }
        let expected = match known {
            // Its older batches may have been removed: it may start anywhere.
            None => stamp.base_sequence,
            Some(known) if known.epoch != stamp.epoch => 0,
            // After a marker of a new epoch nothing has been written in it.
            Some(known) => known.batches.back().map_or(0, |b| sequence_after(b.last_sequence, 1)),
        };
        if stamp.base_sequence != expected {
            return Err(out_of_order(stamp.id, stamp.base_sequence, expected));
        }
        if known.is_some_and(|known| known.open.is_some()) && !batch.is_transactional() {
            let message =
                format!("producer {} has a transaction open, and this batch is not part of one", stamp.id);
            return Err(AppendError::new(ErrorCode::INVALID_TXN_STATE, message));
        }
        Ok(Sequence::Next)
    }

    /// Notes that a batch asks to open a transaction; `false` if it is open already.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` from a producer that was fenced.
    pub fn attempt(
        &mut self,
        stamp: ProducerStamp,
        version: TransactionVersion,
        now_ms: i64,
    ) -> Result<bool, AppendError> {
        if let Some(known) = self.by_id.get(&stamp.id).filter(|known| stamp.epoch < known.epoch) {
            return Err(stale(stamp, known.epoch));
        }
        if self.has_open(stamp.id, stamp.epoch) {
            return Ok(false);
        }
        let (epoch, lowest_sequence) = (stamp.epoch, stamp.base_sequence);
        let new = Attempt { epoch, lowest_sequence, version, at_ms: now_ms };
        let attempt = self.attempts.entry(stamp.id).or_insert(new);
        if epoch > attempt.epoch {
            (attempt.epoch, attempt.lowest_sequence) = (epoch, lowest_sequence);
        } else if epoch == attempt.epoch {
            attempt.lowest_sequence = attempt.lowest_sequence.min(lowest_sequence);
        }
        Ok(true)
    }

    /// Decides whether `marker` may be appended.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` of a marker that is late, `TRANSACTION_COORDINATOR_FENCED` of an old coordinator.
    pub fn check_marker(&self, marker: &Marker, version: TransactionVersion) -> Result<(), AppendError> {
        let Some(known) = self.by_id.get(&marker.producer_id) else { return Ok(()) };
        let late = match version {
            TransactionVersion::Two => {
                // The same epoch again is a repetition, as long as nothing is open (KAFKA-19999).
                let repeated =
                    marker.epoch == known.epoch && (known.open.is_none() || marker.epoch == i16::MAX);
                marker.epoch <= known.epoch && !repeated
            }
            TransactionVersion::Classic => marker.epoch < known.epoch,
        };
        if late {
            let message = format!(
                "epoch {} of the marker of producer {} is not beyond {}",
                marker.epoch, marker.producer_id, known.epoch
            );
            return Err(AppendError::new(ErrorCode::INVALID_PRODUCER_EPOCH, message));
        }
        if marker.coordinator_epoch < known.coordinator_epoch {
            let message = format!(
                "coordinator epoch {} is older than {}",
                marker.coordinator_epoch, known.coordinator_epoch
            );
            return Err(AppendError::new(ErrorCode::TRANSACTION_COORDINATOR_FENCED, message));
        }
        Ok(())
    }

    /// Whether this producer has a transaction open that it opened in this epoch.
    pub fn has_open(&self, producer_id: i64, epoch: i16) -> bool {
        self.by_id.get(&producer_id).is_some_and(|known| known.open.is_some() && known.epoch == epoch)
    }

    /// Notes a batch that was appended at `base_offset`.
    pub fn appended(&mut self, batch: &BatchView<'_>, base_offset: i64, now_ms: i64) {
        let Some(stamp) = batch.producer() else { return };
        let producer = self.by_id.entry(stamp.id).or_insert_with(|| Producer::new(stamp.epoch));
        producer.enter(stamp.epoch);
        if producer.batches.len() == WINDOW {
            producer.batches.pop_front();
        }
        producer.seen_ms = now_ms;
        producer.last_timestamp_ms = batch.max_timestamp_ms();
        producer.batches.push_back(Written {
            first_sequence: stamp.base_sequence,
            last_sequence: sequence_after(stamp.base_sequence, batch.last_offset_delta()),
            base_offset,
        });
        if batch.is_transactional() {
            self.attempts.remove(&stamp.id);
            if producer.open.is_none() {
                producer.open = Some(base_offset);
                self.open.insert(base_offset, stamp.id);
            }
        }
    }

    /// Notes a marker that was appended at `offset`.
    pub fn ended(&mut self, marker: &Marker, offset: i64, timestamp_ms: i64, now_ms: i64) {
        let id = marker.producer_id;
        // A marker with the epoch of an attempt ends what came before it (TV 2).
        let is_next =
            |attempt: &Attempt| attempt.version == TransactionVersion::Two && attempt.epoch == marker.epoch;
        if !self.attempts.get(&id).is_some_and(is_next) {
            self.attempts.remove(&id);
        }
        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(marker.epoch));
        producer.enter(marker.epoch);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.seen_ms = now_ms;
        producer.last_timestamp_ms = timestamp_ms;
        let Some(first_offset) = producer.open.take() else { return };
        self.open.remove(&first_offset);
        if marker.outcome == Outcome::Abort {
            self.aborted.push(Aborted { producer_id: id, first_offset, last_offset: offset });
        }
    }

    /// Notes a batch that is read back from the log at open: it was checked when it was written.
    pub fn replay(&mut self, batch: &BatchView<'_>, marker: Option<&Marker>, now_ms: i64) {
        match marker {
            Some(marker) => self.ended(marker, batch.base_offset(), batch.max_timestamp_ms(), now_ms),
            None if batch.is_control() => {}
            None => self.appended(batch, batch.base_offset(), now_ms),
        }
    }

    /// Whether this producer has a transaction open, in whatever epoch.
    pub fn is_open_for(&self, producer_id: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|known| known.open.is_some())
    }

    /// First offset of the earliest transaction that is open.
    pub fn first_open(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Aborted transactions that have records at or after `from` and before `to`.
    pub fn aborted(&self, from: i64, to: i64) -> Vec<Aborted> {
        let overlaps = |aborted: &&Aborted| aborted.last_offset >= from && aborted.first_offset < to;
        self.aborted.iter().filter(overlaps).copied().collect()
    }

    /// All producers that are remembered, by id.
    pub fn active(&self) -> Vec<ActiveProducer> {
        let mut all: Vec<_> = self.by_id.iter().map(|(&id, producer)| producer.describe(id)).collect();
        all.sort_unstable_by_key(|producer| producer.id);
        all
    }

    /// Which batch tells where each producer is, for compaction.
    pub fn last_of_each(&self) -> HashMap<i64, LastOfProducer> {
        let last = |(&id, producer): (&i64, &Producer)| {
            let data_offset = producer.batches.back().map(Written::last_offset);
            (id, LastOfProducer { epoch: producer.epoch, data_offset })
        };
        self.by_id.iter().map(last).collect()
    }

    /// Forgets what ended before the log's start.
    pub fn log_starts_at(&mut self, log_start: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= log_start);
    }

    /// Forgets producers that were not heard of for longer than `keep_ms` (`producer.id.expiration.ms`).
    pub fn expire(&mut self, now_ms: i64, keep_ms: i64) {
        let keeps = |producer: &Producer| {
            producer.open.is_some() || now_ms.saturating_sub(producer.seen_ms) <= keep_ms
        };
        self.by_id.retain(|_, producer| keeps(producer));
        self.attempts.retain(|_, attempt| now_ms.saturating_sub(attempt.at_ms) < keep_ms);
    }
}

impl Producer {
    fn new(epoch: i16) -> Self {
        Self {
            epoch,
            batches: VecDeque::with_capacity(WINDOW),
            seen_ms: 0,
            last_timestamp_ms: -1,
            open: None,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
        }
    }

    /// A new epoch begins without batches.
    fn enter(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }

    fn describe(&self, id: i64) -> ActiveProducer {
        ActiveProducer {
            id,
            epoch: self.epoch,
            last_sequence: self.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp_ms: self.last_timestamp_ms,
            coordinator_epoch: self.coordinator_epoch,
            open_since: self.open.unwrap_or(-1),
        }
    }
}

/// Sequences count from 0 to the largest i32 and then from 0 again.
fn sequence_after(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    let range = i64::from(i32::MAX) + 1;
    // Both are non-negative in a batch that was checked; the remainder fits in 31 bits.
    i32::try_from(sum.rem_euclid(range)).unwrap_or(0)
}

fn stale(stamp: ProducerStamp, known: i16) -> AppendError {
    let message = format!("epoch {} of producer {} is older than {known}", stamp.epoch, stamp.id);
    AppendError::new(ErrorCode::INVALID_PRODUCER_EPOCH, message)
}

fn out_of_order(id: i64, found: i32, expected: i32) -> AppendError {
    AppendError::new(
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        format!("out of order sequence number of producer {id}: {found} (incoming), {expected} (expected)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_wire::batch::{BatchBuilder, Compression};

    fn batch(epoch: i16, base_sequence: i32, records: usize) -> Vec<u8> {
        let mut builder =
            BatchBuilder::new(Compression::None).producer(ProducerStamp { id: 7, epoch, base_sequence });
        for _ in 0..records {
            builder.append(0, None, None, &[]);
        }
        builder.finish().unwrap()
    }

    fn offer(producers: &mut Producers, bytes: &[u8], offset: i64) -> Result<Sequence, ErrorCode> {
        let view = BatchView::parse(bytes).unwrap();
        let sequence = producers.check(&view, Verified::No).map_err(|error| error.code)?;
        if sequence == Sequence::Next {
            producers.appended(&view, offset, 0);
        }
        Ok(sequence)
    }

    #[test]
    fn five_batches_are_remembered_and_the_sixth_last_is_out_of_order() {
        let mut producers = Producers::default();
        for index in 0..6 {
            let next = offer(&mut producers, &batch(0, index * 2, 2), i64::from(index) * 2);
            assert_eq!(next, Ok(Sequence::Next));
        }
        for index in 1..6 {
            let again = offer(&mut producers, &batch(0, index * 2, 2), 99);
            assert_eq!(again, Ok(Sequence::Duplicate { base_offset: i64::from(index) * 2 }));
        }
        let too_old = offer(&mut producers, &batch(0, 0, 2), 99);
        assert_eq!(too_old, Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        let gap = offer(&mut producers, &batch(0, 13, 1), 99);
        assert_eq!(gap, Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut producers = Producers::default();
        assert_eq!(offer(&mut producers, &batch(3, 40, 1), 0), Ok(Sequence::Next), "unknown: any start");
        assert_eq!(offer(&mut producers, &batch(4, 41, 1), 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(offer(&mut producers, &batch(4, 0, 1), 1), Ok(Sequence::Next));
        assert_eq!(offer(&mut producers, &batch(3, 41, 1), 2), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        assert_eq!(offer(&mut producers, &batch(0, i32::MAX - 1, 3), 0), Ok(Sequence::Next));
        assert_eq!(offer(&mut producers, &batch(0, 1, 1), 3), Ok(Sequence::Next));
    }
}
