//! The open batch of a partition: records are encoded in place, in memory that is used again and again.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use klamm_wire::batch::{BatchBuilder, BatchError, BatchMut, BatchView, Compression, Header, ProducerStamp};

use crate::RecordView;

/// Names a batch from its first record to its last outcome. Never used twice by one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BatchId(pub(crate) u64);

/// Where a record is while it is on its way: its receipt follows from its batch's and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) batch: BatchId,
    pub(crate) index: u32,
}

/// Buffers that batches were encoded in, kept for the next ones within a bound.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    held_bytes: usize,
    limit_bytes: usize,
    /// Capacities that are worth keeping: a small one would grow again, and a large one would hold memory that nobody counts.
    sizes: Range<usize>,
}

impl Pool {
    /// Keeps at most `limit_bytes`, in buffers about as large as a batch.
    pub(crate) fn new(limit_bytes: usize, batch_bytes: usize) -> Pool {
        let sizes = batch_bytes / 2..batch_bytes.saturating_mul(4);
        Pool { free: Vec::new(), held_bytes: 0, limit_bytes, sizes }
    }

    /// A buffer, of whatever capacity.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.held_bytes -= buffer.capacity();
        buffer
    }

    /// Gives a buffer back; beyond the bound it is freed.
    pub(crate) fn give(&mut self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if self.sizes.contains(&bytes) && self.held_bytes + bytes <= self.limit_bytes {
            self.held_bytes += bytes;
            self.free.push(buffer);
        }
    }

    /// Gives the bytes of a batch that has its outcome back, unless a socket still holds them.
    pub(crate) fn reclaim(&mut self, bytes: Bytes) {
        if let Ok(buffer) = bytes.try_into_mut() {
            self.give(buffer.into());
        }
    }
}

/// A batch that takes records.
#[derive(Debug)]
pub(crate) struct Open {
    id: BatchId,
    created: Instant,
    builder: BatchBuilder,
}

impl Open {
    /// An empty batch in `buffer`. The delivery timeout of its records counts from `now`.
    pub(crate) fn new(id: BatchId, compression: Compression, buffer: Vec<u8>, now: Instant) -> Open {
        Open { id, created: now, builder: BatchBuilder::with_buffer(compression, buffer) }
    }

    /// When its first record came.
    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    /// Bytes so far, before compression.
    pub(crate) fn size_bytes(&self) -> usize {
        self.builder.size_bytes()
    }

    /// Whether a record of at most `bound` bytes may join. The first may whatever its size is.
    pub(crate) fn has_room(&self, bound: usize, batch_bytes: usize) -> bool {
        self.builder.is_empty() || self.builder.size_bytes() + bound <= batch_bytes
    }

    /// Encodes a record; `timestamp_ms` stands in for one that it does not have.
    pub(crate) fn append(&mut self, record: &RecordView<'_>, timestamp_ms: i64) -> Place {
        let index = u32::try_from(self.builder.len()).unwrap_or(u32::MAX);
        let timestamp_ms = record.timestamp_ms.unwrap_or(timestamp_ms);
        self.builder.append_with(timestamp_ms, record.key, record.value, headers(record));
        Place { batch: self.id, index }
    }

    /// Closes it.
    pub(crate) fn seal(self) -> Raw {
        let records = u32::try_from(self.builder.len()).unwrap_or(u32::MAX);
        Raw { id: self.id, created: self.created, records, builder: self.builder }
    }
}

/// Bytes that a record adds to a batch at most.
pub(crate) fn record_bound(record: &RecordView<'_>) -> usize {
    BatchBuilder::record_bound_with(record.key, record.value, headers(record))
}

fn headers<'a>(record: &RecordView<'a>) -> impl Iterator<Item = Header<'a>> + Clone + use<'a> {
    record.headers().map(|header| Header { key: header.name.as_bytes(), value: header.value })
}

/// A closed batch that is not compressed yet. Plain data: it may go to another thread for that.
#[derive(Debug)]
pub(crate) struct Raw {
    id: BatchId,
    created: Instant,
    records: u32,
    builder: BatchBuilder,
}

impl Raw {
    /// Its batch.
    pub(crate) fn id(&self) -> BatchId {
        self.id
    }

    /// When its first record came.
    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    /// Number of records.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Bytes before compression.
    pub(crate) fn size_bytes(&self) -> usize {
        self.builder.size_bytes()
    }

    /// Compresses, in memory of the pool or what [`Pool::take`] gave before. Gives the bytes, without stamp and CRC, and memory that
    /// is left over.
    ///
    /// # Errors
    /// As the codec says.
    pub(crate) fn encode(self, output: Vec<u8>) -> Result<(Bytes, [Vec<u8>; 2]), BatchError> {
        let done = self.builder.finish_unstamped(output)?;
        if done.batch.len() < done.batch.capacity() / 2 {
            // It may wait for long: in memory of its own size.
            return Ok((Bytes::copy_from_slice(&done.batch), [done.spare, done.batch]));
        }
        Ok((Bytes::from(done.batch), [done.spare, Vec::new()]))
    }
}

/// Stamp of a batch that no idempotent producer sends.
pub(crate) const UNSTAMPED: ProducerStamp = ProducerStamp { id: -1, epoch: -1, base_sequence: -1 };

/// Stamps a batch and computes its CRC: in place, unless a request that was given up still holds the bytes.
///
/// # Errors
/// If the bytes are not one batch, which those of [`Raw::encode`] are.
pub(crate) fn stamp(bytes: Bytes, stamp: ProducerStamp) -> Result<Bytes, BatchError> {
    let mut buffer: Vec<u8> = match bytes.try_into_mut() {
        Ok(unique) => unique.into(),
        Err(shared) => shared.to_vec(),
    };
    BatchMut::parse_single(&mut buffer)?.set_producer(stamp);
    Ok(Bytes::from(buffer))
}

/// The two halves of a batch that was too large, unstamped, and the records in the first.
///
/// # Errors
/// If the codec refuses its own bytes.
pub(crate) fn split(bytes: &[u8], limit_bytes: usize) -> Result<[(Bytes, Range<u32>); 2], BatchError> {
    let view = BatchView::parse_single(bytes)?;
    let compression = view.compression()?;
    let count = u32::try_from(view.record_count()).unwrap_or(0);
    let middle = count / 2;
    let mut builders = [BatchBuilder::new(compression), BatchBuilder::new(compression)];
    let mut scratch = Vec::new();
    for (index, record) in (0..count).zip(view.records(&mut scratch, limit_bytes)?) {
        let record = record?;
        let half = usize::from(index >= middle);
        builders[half].append_with(record.timestamp_ms, record.key, record.value, record.headers());
    }
    let [first, second] = builders;
    let encode =
        |builder: BatchBuilder| builder.finish_unstamped(Vec::new()).map(|done| Bytes::from(done.batch));
    Ok([(encode(first)?, 0..middle), (encode(second)?, middle..count)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pool_holds_no_more_than_its_bound(capacities in prop::collection::vec(0usize..5_000, 0..40)) {
            let mut pool = Pool::new(10_000, 1_000);
            for capacity in capacities {
                pool.give(Vec::with_capacity(capacity));
                let held: Vec<usize> = pool.free.iter().map(Vec::capacity).collect();
                prop_assert!(held.iter().all(|bytes| (500..4_000).contains(bytes)));
                prop_assert_eq!(held.iter().sum::<usize>(), pool.held_bytes);
                prop_assert!(pool.held_bytes <= 10_000);
            }
            while pool.take().capacity() > 0 {}
            prop_assert_eq!(pool.held_bytes, 0);
        }
    }

    #[test]
    fn bytes_that_a_socket_holds_are_stamped_in_a_copy() {
        let mut open = Open::new(BatchId(1), Compression::None, Vec::new(), Instant::now());
        let mut packed = crate::packed::Packed::default();
        packed.push(0, None, None, Some(b"value"));
        packed.iter().for_each(|view| {
            open.append(&view, 1);
        });
        let (bytes, _) = open.seal().encode(Vec::new()).unwrap();
        let first = stamp(bytes, ProducerStamp { id: 5, epoch: 0, base_sequence: 3 }).unwrap();
        let in_a_socket = first.clone();
        let again = stamp(first, ProducerStamp { id: 5, epoch: 1, base_sequence: 0 }).unwrap();
        let place = again.as_ptr();
        for (bytes, epoch) in [(&in_a_socket, 0), (&again, 1)] {
            let view = BatchView::parse_single(bytes).unwrap();
            view.verify_crc().unwrap();
            assert_eq!(view.producer().unwrap().epoch, epoch);
        }
        let last = stamp(again, ProducerStamp { id: 5, epoch: 2, base_sequence: 0 }).unwrap();
        assert_eq!(last.as_ptr(), place, "nobody else holds it");
    }
}
