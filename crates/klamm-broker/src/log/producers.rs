//! What a partition remembers about idempotent producers (KIP-98): epoch, and the last five batches of each.

use std::collections::{HashMap, VecDeque};

use klamm_kafka::ErrorCode;
use klamm_wire::batch::BatchView;

use super::AppendError;

/// Batches a producer may have in flight, and therefore repeat in any order.
const WINDOW: usize = 5;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// The last batches, oldest first; at most [`WINDOW`].
    batches: VecDeque<Written>,
    seen_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
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
    /// Decides whether `batch` may be appended, by the rules of Kafka's `ProducerAppendInfo`.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` from a producer that was fenced, `OUT_OF_ORDER_SEQUENCE_NUMBER` if a batch is missing
    /// before this one.
    pub fn check(&self, batch: &BatchView<'_>) -> Result<Sequence, AppendError> {
        let Some(stamp) = batch.producer() else { return Ok(Sequence::Next) };
        // A producer that is not known may start anywhere: its older batches may have been removed.
        let Some(known) = self.by_id.get(&stamp.id) else { return Ok(Sequence::Next) };
        if stamp.epoch < known.epoch {
            let message =
                format!("epoch {} of producer {} is older than {}", stamp.epoch, stamp.id, known.epoch);
            return Err(AppendError::new(ErrorCode::INVALID_PRODUCER_EPOCH, message));
        }
        let first = stamp.base_sequence;
        if stamp.epoch > known.epoch {
            return match first {
                0 => Ok(Sequence::Next),
                _ => Err(out_of_order(stamp.id, first, 0)),
            };
        }
        let last = sequence_after(first, batch.last_offset_delta());
        let same = known.batches.iter().find(|b| b.first_sequence == first && b.last_sequence == last);
        if let Some(written) = same {
            return Ok(Sequence::Duplicate { base_offset: written.base_offset });
        }
        match known.batches.back().map(|b| sequence_after(b.last_sequence, 1)) {
            Some(expected) if expected != first => Err(out_of_order(stamp.id, first, expected)),
            _ => Ok(Sequence::Next),
        }
    }

    /// Notes a batch that was appended at `base_offset`.
    pub fn appended(&mut self, batch: &BatchView<'_>, base_offset: i64, now_ms: i64) {
        let Some(stamp) = batch.producer() else { return };
        let producer = self.by_id.entry(stamp.id).or_insert_with(|| Producer {
            epoch: stamp.epoch,
            batches: VecDeque::with_capacity(WINDOW),
            seen_ms: now_ms,
        });
        if producer.epoch != stamp.epoch {
            producer.epoch = stamp.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == WINDOW {
            producer.batches.pop_front();
        }
        producer.seen_ms = now_ms;
        producer.batches.push_back(Written {
            first_sequence: stamp.base_sequence,
            last_sequence: sequence_after(stamp.base_sequence, batch.last_offset_delta()),
            base_offset,
        });
    }

    /// Notes a batch that is read back from the log at open: it was checked when it was written.
    pub fn replay(&mut self, batch: &BatchView<'_>, now_ms: i64) {
        self.appended(batch, batch.base_offset(), now_ms);
    }

    /// Forgets producers that were not heard of for longer than `keep_ms` (`producer.id.expiration.ms`).
    pub fn expire(&mut self, now_ms: i64, keep_ms: i64) {
        self.by_id.retain(|_, producer| now_ms.saturating_sub(producer.seen_ms) <= keep_ms);
    }
}

/// Sequences count from 0 to the largest i32 and then from 0 again.
fn sequence_after(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    let range = i64::from(i32::MAX) + 1;
    // Both are non-negative in a batch that was checked; the remainder fits in 31 bits.
    i32::try_from(sum.rem_euclid(range)).unwrap_or(0)
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
    use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp};

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
        let sequence = producers.check(&view).map_err(|error| error.code)?;
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
