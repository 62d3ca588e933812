//! What the application gets: records of one partition.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::TopicPartition;
use super::reader::Credit;
use crate::RecordView;
use crate::fetch::Fetched;
use crate::packed::Packed;
use crate::rdkafka_backend;

/// Records of one partition, in the order of their offsets. Holds memory credit of its consumer until it is dropped.
#[derive(Debug)]
pub struct FetchedBatch {
    pub(crate) partition: TopicPartition,
    pub(crate) records: Records,
    pub(crate) live: Arc<AtomicBool>,
}

/// Where the records are, with the credit for their memory.
#[derive(Debug)]
pub(crate) enum Records {
    /// Copied out of librdkafka's messages.
    Packed(Packed, rdkafka_backend::Credit),
    /// Some of those that an answer had.
    Fetched { all: Arc<Fetched>, range: Range<usize>, credit: Credit },
}

impl FetchedBatch {
    /// Where the records come from.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The records. Each borrows from the batch; nothing is copied.
    pub fn records(&self) -> impl ExactSizeIterator<Item = RecordView<'_>> + DoubleEndedIterator {
        RecordIter { batch: self, range: 0..self.len() }
    }

    /// The record at `index`.
    pub fn record(&self, index: usize) -> Option<RecordView<'_>> {
        match &self.records {
            Records::Packed(records, _) => records.get(index),
            Records::Fetched { all, range, .. } if index < range.len() => all.get(range.start + index),
            Records::Fetched { .. } => None,
        }
    }

    /// Number of records; a batch has at least one.
    pub fn len(&self) -> usize {
        match &self.records {
            Records::Packed(records, _) => records.len(),
            Records::Fetched { range, .. } => range.len(),
        }
    }

    /// No records?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offset of the first record.
    pub fn first_offset(&self) -> i64 {
        self.record(0).map_or(-1, |record| record.offset)
    }

    /// The position after the last record: what to commit when all are done.
    pub fn next_offset(&self) -> i64 {
        let last = self.len().checked_sub(1).and_then(|last| self.record(last));
        last.map_or(-1, |record| record.offset + 1)
    }

    /// The partition was revoked or lost since: another member works on these records.
    pub fn is_stale(&self) -> bool {
        !self.live.load(Ordering::Acquire)
    }

    /// Bytes of memory that it holds.
    pub fn size_bytes(&self) -> usize {
        match &self.records {
            Records::Packed(_, credit) => credit.bytes(),
            Records::Fetched { credit, .. } => credit.bytes(),
        }
    }
}

struct RecordIter<'a> {
    batch: &'a FetchedBatch,
    range: Range<usize>,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = RecordView<'a>;

    fn next(&mut self) -> Option<RecordView<'a>> {
        self.batch.record(self.range.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for RecordIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.batch.record(self.range.next_back()?)
    }
}

impl ExactSizeIterator for RecordIter<'_> {}
