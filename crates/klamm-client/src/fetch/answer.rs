//! The records in an answer, checked once: CRCs, lengths, names of headers, and which of them a reader may see.

use bytes::Bytes;
use klamm_wire::batch::{AbortedTransaction, AbortedTransactions, BatchError, BatchView, batches};

use super::Fetched;
use crate::Isolation;

/// Where a reader goes on: an offset, and the leader epoch of the record before it (KIP-320).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) offset: i64,
    pub(crate) epoch: Option<i32>,
}

/// What is taken of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) isolation: Isolation,
    /// The most that one batch may decompress to.
    pub(crate) batch_bytes: usize,
}

/// A batch that nobody can read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where it begins.
    pub(crate) offset: i64,
    pub(crate) why: String,
}

/// What an answer had for one partition.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) records: Fetched,
    /// The position after all that was passed over, records or not.
    pub(crate) next: Next,
    /// Why it ends there. What came before is good.
    pub(crate) unreadable: Option<Unreadable>,
}

/// Takes the records from `from` on out of `bytes`, which hold batches, the last of them possibly cut off. `aborted` is what the
/// answer says beside them.
pub(crate) fn take(bytes: &Bytes, from: Next, aborted: Vec<AbortedTransaction>, bounds: Bounds) -> Taken {
    let mut taken = Taken { records: Fetched::default(), next: from, unreadable: None };
    let mut aborted = AbortedTransactions::new(aborted);
    let mut all = batches(bytes);
    for batch in all.by_ref() {
        let step = batch.map_err(|error| Unreadable { offset: taken.next.offset, why: error.to_string() });
        let step = step.and_then(|batch| {
            let unreadable = |why| Unreadable { offset: batch.base_offset(), why };
            taken.pass(bytes, &batch, &mut aborted, bounds).map_err(unreadable)
        });
        if let Err(unreadable) = step {
            taken.unreadable = Some(unreadable);
            return taken;
        }
    }
    if taken.next == from && !all.rest().is_empty() {
        // Since KIP-74 the first batch always comes whole.
        let why = format!("the answer has {} bytes and no whole batch", bytes.len());
        taken.unreadable = Some(Unreadable { offset: from.offset, why });
    }
    taken
}

impl Taken {
    fn pass(
        &mut self,
        bytes: &Bytes,
        batch: &BatchView<'_>,
        aborted: &mut AbortedTransactions,
        bounds: Bounds,
    ) -> Result<(), String> {
        // Before anything of the header is believed: a batch that is passed over by mistake is lost.
        batch.verify_crc().map_err(|error| error.to_string())?;
        // An answer begins with the batch that holds the offset, and a compacted log may have less to give than was asked for.
        if batch.last_offset() < self.next.offset {
            return Ok(());
        }
        let hidden = aborted.hide(batch) && bounds.isolation == Isolation::ReadCommitted;
        if !hidden && !batch.is_control() {
            self.add(bytes, batch, bounds.batch_bytes).map_err(|error| error.to_string())?;
        }
        self.next = Next {
            offset: batch.next_offset(),
            epoch: Some(batch.partition_leader_epoch()).filter(|epoch| *epoch >= 0),
        };
        Ok(())
    }

    fn add(&mut self, bytes: &Bytes, batch: &BatchView<'_>, limit_bytes: usize) -> Result<(), AddError> {
        let mut scratch = Vec::new();
        let records = batch.records(&mut scratch, limit_bytes)?;
        let body_bytes = records.rest().len();
        let mut starts = Vec::new();
        let mut records = records;
        loop {
            let start = body_bytes - records.rest().len();
            let Some(record) = records.next() else { break };
            let record = record?;
            if record.headers().any(|header| str::from_utf8(header.key).is_err()) {
                return Err(AddError::Name { offset: record.offset });
            }
            if record.offset >= self.next.offset {
                starts.push(start);
            }
        }
        if starts.is_empty() {
            return Ok(());
        }
        let is_stored_plain = scratch.is_empty();
        let body = match is_stored_plain {
            true => bytes.slice_ref(batch.record_bytes()),
            false => Bytes::from(scratch),
        };
        self.records.push_body(body, batch.record_base());
        starts.into_iter().for_each(|start| self.records.push_record(start));
        Ok(())
    }
}

enum AddError {
    Batch(BatchError),
    /// A header's name is not UTF-8.
    Name {
        offset: i64,
    },
}

impl From<BatchError> for AddError {
    fn from(error: BatchError) -> AddError {
        AddError::Batch(error)
    }
}

impl std::fmt::Display for AddError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AddError::Batch(error) => error.fmt(f),
            AddError::Name { offset } => write!(f, "a header's name of offset {offset} is not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_wire::batch::{BatchBuilder, Compression, Header, ProducerStamp};
    use proptest::prelude::*;

    use super::*;

    const READ_COMMITTED: Bounds = Bounds { isolation: Isolation::ReadCommitted, batch_bytes: 1 << 20 };
    const READ_UNCOMMITTED: Bounds = Bounds { isolation: Isolation::ReadUncommitted, batch_bytes: 1 << 20 };

    /// One step of a log's life.
    #[derive(Debug, Clone)]
    enum Write {
        /// Records outside of a transaction, some of which compaction has taken away since.
        Plain { count: i32, kept: Vec<bool> },
        /// Records of a producer within its transaction.
        Within { producer: i64, count: i32 },
        /// The end of a producer's transaction.
        End { producer: i64, commit: bool },
    }

    fn write() -> impl Strategy<Value = Write> {
        prop_oneof![
            (1..5_i32, prop::collection::vec(any::<bool>(), 5))
                .prop_map(|(count, kept)| Write::Plain { count, kept }),
            (0..3_i64, 1..4_i32).prop_map(|(producer, count)| Write::Within { producer, count }),
            (0..3_i64, any::<bool>()).prop_map(|(producer, commit)| Write::End { producer, commit }),
        ]
    }

    /// A log, and what a reader should find in it.
    #[derive(Debug, Default)]
    struct Log {
        bytes: Vec<u8>,
        end: i64,
        all: Vec<i64>,
        /// Offsets in transactions, with the number of their transaction.
        within: Vec<(i64, usize)>,
        /// With their numbers and the offsets of their markers.
        aborted: Vec<(usize, AbortedTransaction, i64)>,
        open: std::collections::HashMap<i64, (usize, i64)>,
        transactions: usize,
    }

    impl Log {
        fn write(&mut self, codec: Compression, write: &Write) {
            let stamp = |id| ProducerStamp { id, epoch: 0, base_sequence: 0 };
            let mut builder = BatchBuilder::new(codec).base_offset(self.end);
            let count = match write {
                Write::Plain { count, kept } => {
                    for delta in (0..*count).filter(|delta| kept[*delta as usize]) {
                        builder.append_at(
                            delta,
                            5,
                            None,
                            Some(b"plain"),
                            &[Header { key: b"name", value: None }],
                        );
                        self.all.push(self.end + i64::from(delta));
                    }
                    builder.ends_at(*count - 1, 5);
                    *count
                }
                Write::Within { producer, count } => {
                    builder = builder.producer(stamp(*producer)).transactional();
                    let number = self.open.entry(*producer).or_insert_with(|| {
                        self.transactions += 1;
                        (self.transactions, self.end)
                    });
                    for delta in 0..*count {
                        builder.append(5, Some(b"key"), Some(b"within"), &[]);
                        self.all.push(self.end + i64::from(delta));
                        self.within.push((self.end + i64::from(delta), number.0));
                    }
                    *count
                }
                Write::End { producer, commit } => {
                    let Some((number, first_offset)) = self.open.remove(producer) else { return };
                    builder = BatchBuilder::new(Compression::None).base_offset(self.end);
                    builder = builder.producer(stamp(*producer)).transactional().control();
                    let key = [0, 0, 0, u8::from(*commit)];
                    builder.append(5, Some(&key), Some(&[0; 6]), &[]);
                    if !commit {
                        let aborted = AbortedTransaction { producer_id: *producer, first_offset };
                        self.aborted.push((number, aborted, self.end));
                    }
                    1
                }
            };
            self.bytes.extend(builder.finish().unwrap());
            self.end += i64::from(count);
        }

        /// What the broker tells a reader that begins at `from`: transactions whose markers come after it.
        fn aborted(&self, from: i64) -> Vec<AbortedTransaction> {
            let overlaps = self.aborted.iter().filter(|(.., marker)| *marker >= from);
            overlaps.map(|(_, aborted, _)| *aborted).collect()
        }

        fn committed(&self) -> Vec<i64> {
            let is_aborted = |offset: &i64| {
                let number = self.within.iter().find(|(at, _)| at == offset).map(|(_, number)| *number);
                self.aborted.iter().any(|(aborted, ..)| Some(*aborted) == number)
            };
            self.all.iter().copied().filter(|offset| !is_aborted(offset)).collect()
        }
    }

    fn offsets(taken: &Taken) -> Vec<i64> {
        (0..taken.records.len()).map(|index| taken.records.get(index).unwrap().offset).collect()
    }

    proptest! {
        #[test]
        fn a_reader_sees_what_it_may_and_passes_over_the_rest(
            writes in prop::collection::vec((0_u8..5, write()), 1..20),
            begin in 0.0..1.0_f64,
            cut in 0..60_usize,
        ) {
            let mut log = Log::default();
            for (codec, write) in &writes {
                log.write(Compression::from_id(*codec).unwrap(), write);
            }
            // Open transactions are committed: a broker gives nothing beyond the last stable offset.
            for producer in 0..3 {
                log.write(Compression::None, &Write::End { producer, commit: true });
            }
            let from = Next { offset: (log.end as f64 * begin) as i64, epoch: None };
            for (bounds, expected) in [(READ_UNCOMMITTED, log.all.clone()), (READ_COMMITTED, log.committed())] {
                let whole = take(&Bytes::from(log.bytes.clone()), from, log.aborted(from.offset), bounds);
                prop_assert_eq!(&whole.unreadable, &None);
                let expected: Vec<i64> = expected.into_iter().filter(|offset| *offset >= from.offset).collect();
                prop_assert_eq!(offsets(&whole), expected.clone());
                prop_assert_eq!(whole.next.offset, log.end);
                // An answer is cut off anywhere: what it has whole is the same, and the rest comes with the next one.
                let short = log.bytes.len() - cut.min(log.bytes.len());
                let part = take(&Bytes::from(log.bytes[..short].to_vec()), from, log.aborted(from.offset), bounds);
                if part.unreadable.is_none() {
                    let before: Vec<i64> = expected.iter().copied().filter(|offset| *offset < part.next.offset).collect();
                    prop_assert_eq!(offsets(&part), before);
                }
            }
        }

        #[test]
        fn flipped_bits_are_an_error_at_an_offset_and_what_came_before_is_good(
            counts in prop::collection::vec(1..5_i32, 2..6), codec in 0_u8..5, at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let mut log = Log::default();
            let mut starts = Vec::new();
            for count in &counts {
                starts.push(log.bytes.len());
                log.write(Compression::from_id(codec).unwrap(), &Write::Plain { count: *count, kept: vec![true; 5] });
            }
            let mut bytes = log.bytes.clone();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let hit = starts.iter().filter(|start| **start <= at).count() - 1;
            let taken = take(&Bytes::from(bytes), Next { offset: 0, epoch: None }, Vec::new(), READ_UNCOMMITTED);
            // Base offset, length and leader epoch are not covered by the CRC.
            if at - starts[hit] >= 16 {
                let good: i64 = counts[..hit].iter().map(|count| i64::from(*count)).sum();
                prop_assert_eq!(offsets(&taken), (0..good).collect::<Vec<_>>());
                prop_assert!(taken.unreadable.is_some());
            }
        }
    }

    #[test]
    fn a_bomb_is_an_error_that_takes_no_more_than_its_bound() {
        let mut builder = BatchBuilder::new(Compression::Zstd);
        builder.append(5, None, Some(&vec![0; 10 << 20]), &[]);
        let bytes = Bytes::from(builder.finish().unwrap());
        let taken = take(&bytes, Next { offset: 0, epoch: None }, Vec::new(), READ_UNCOMMITTED);
        let why = taken.unreadable.unwrap();
        assert!(why.offset == 0 && why.why.contains("1048576"), "{why:?}");
        assert_eq!(taken.records.len(), 0);
    }

    #[test]
    fn a_header_whose_name_is_not_text_is_told_with_its_offset() {
        let mut builder = BatchBuilder::new(Compression::None).base_offset(7);
        builder.append(5, None, None, &[Header { key: &[0xff], value: None }]);
        let bytes = Bytes::from(builder.finish().unwrap());
        let taken = take(&bytes, Next { offset: 7, epoch: None }, Vec::new(), READ_UNCOMMITTED);
        assert_eq!(taken.unreadable.unwrap().why, "a header's name of offset 7 is not UTF-8");
    }
}
