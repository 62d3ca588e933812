//! Aborted transactions, as a fetch answer lists them beside its batches.

use std::collections::{HashSet, VecDeque};

use super::BatchView;

/// A transaction that was aborted: all of its producer's transactional batches from `first_offset` to the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Producer.
    pub producer_id: i64,
    /// Offset of its first record in this partition.
    pub first_offset: i64,
}

/// Follows the batches of an answer in the order of their offsets, and tells which belong to an aborted transaction.
#[derive(Debug, Clone, Default)]
pub struct AbortedTransactions {
    /// By first offset.
    to_come: VecDeque<AbortedTransaction>,
    open: HashSet<i64>,
}

impl AbortedTransactions {
    /// Those of an answer, in any order.
    pub fn new(mut all: Vec<AbortedTransaction>) -> Self {
        all.sort_by_key(|one| one.first_offset);
        Self { to_come: all.into(), open: HashSet::new() }
    }

    /// Whether a read_committed reader leaves out this batch's records, because their transaction was aborted. Every batch of the answer
    /// has to be asked about, markers too.
    pub fn hide(&mut self, batch: &BatchView<'_>) -> bool {
        while let Some(begun) = self.to_come.front().filter(|one| one.first_offset <= batch.last_offset()) {
            self.open.insert(begun.producer_id);
            self.to_come.pop_front();
        }
        let Some(producer) = batch.producer().filter(|_| batch.is_transactional()) else { return false };
        if batch.is_control() {
            // The marker ends it; a later transaction of the same producer is listed by itself.
            return self.open.remove(&producer.id);
        }
        self.open.contains(&producer.id)
    }
}
