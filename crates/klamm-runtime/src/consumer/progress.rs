//! What the tasks of a loop know together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klamm_client::{CommitError, FetchedBatch, Position, TopicPartition};
use klamm_track::{Epoch, Finish, Frontier};

use super::{ConsumerStats, PartitionFailure, PartitionStats};
use crate::latency::Recorder;

/// Progress of all partitions, and the counters.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    processed: AtomicU64,
    batches: AtomicU64,
    failed_calls: AtomicU64,
    commits: AtomicU64,
    failed_commits: AtomicU64,
    latency: Recorder,
}

#[derive(Debug)]
struct State {
    frontier: Frontier<TopicPartition>,
    /// Assigned partitions, with what was last seen of their ends.
    assigned: BTreeMap<TopicPartition, Seen>,
    failures: Vec<PartitionFailure>,
    last_error: Option<String>,
}

/// What the cluster said about a partition.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    end: Option<i64>,
    /// Where the group stands, for partitions from which nothing came yet.
    committed: Option<i64>,
}

impl Progress {
    /// A worker has one batch of at most `batch_records` records in work.
    pub(super) fn new(batch_records: usize) -> Progress {
        let state = State {
            frontier: Frontier::new(batch_records),
            assigned: BTreeMap::new(),
            failures: Vec::new(),
            last_error: None,
        };
        Progress {
            state: Mutex::new(state),
            processed: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            failed_calls: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            latency: Recorder::new(),
        }
    }

    pub(super) fn assigned(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.assigned.insert(partition.clone(), Seen::default());
            // Assigned anew, it starts anew.
            state.failures.retain(|failure| failure.partition != *partition);
        }
    }

    /// The partitions are gone; returns what may be committed for them, if they were not lost.
    pub(super) fn revoked(&self, partitions: &[TopicPartition]) -> Vec<Position> {
        let mut state = self.lock();
        let mut positions = Vec::new();
        for partition in partitions {
            state.assigned.remove(partition);
            if let Some(offset) = state.frontier.revoke(partition) {
                positions.push(Position { partition: partition.clone(), offset });
            }
        }
        positions
    }

    /// The batch goes to work. `epoch` is that of the worker's earlier batches. `None` when the frontier does not take it,
    /// which only an order violated by the client could bring about.
    pub(super) fn take(&self, batch: &FetchedBatch, epoch: Option<Epoch>) -> Option<Epoch> {
        let mut state = self.lock();
        let partition = batch.partition();
        let epoch = epoch.unwrap_or_else(|| state.frontier.assign(partition.clone(), batch.first_offset()));
        for record in batch.records() {
            state.frontier.take(partition, epoch, record.offset).ok()?;
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        Some(epoch)
    }

    pub(super) fn finish(
        &self,
        partition: &TopicPartition,
        epoch: Epoch,
        offsets: impl Iterator<Item = i64>,
    ) {
        let mut state = self.lock();
        let done = offsets
            .map(|offset| state.frontier.finish(partition, epoch, offset))
            .filter(|done| matches!(done, Finish::Advanced { .. } | Finish::Beyond))
            .count();
        self.processed.fetch_add(done as u64, Ordering::Relaxed);
    }

    /// What is finished and not committed.
    pub(super) fn to_commit(&self) -> Vec<Position> {
        let moved = self.lock().frontier.to_commit();
        moved.into_iter().map(|(partition, offset)| Position { partition, offset }).collect()
    }

    /// How a commit of `positions` ended.
    pub(super) fn committed(&self, positions: &[Position], outcome: &Result<(), CommitError>) {
        match outcome {
            Ok(()) => {
                let mut state = self.lock();
                for Position { partition, offset } in positions {
                    state.frontier.committed(partition, *offset);
                }
                self.commits.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.failed_commits.fetch_add(1, Ordering::Relaxed);
                self.trouble(error.to_string());
            }
        }
    }

    /// A call of the handler ended.
    pub(super) fn called(&self, took: Duration, failed: Option<&str>) {
        self.latency.record(took);
        if let Some(error) = failed {
            self.failed_calls.fetch_add(1, Ordering::Relaxed);
            self.trouble(error.to_owned());
        }
    }

    pub(super) fn failed(&self, failure: PartitionFailure) {
        self.lock().failures.push(failure);
    }

    pub(super) fn trouble(&self, error: String) {
        self.lock().last_error = Some(error);
    }

    /// Is there an assigned partition from which nothing came yet?
    pub(super) fn waits_for_first_record(&self) -> bool {
        let state = self.lock();
        state.assigned.keys().any(|partition| state.frontier.position(partition).is_none())
    }

    pub(super) fn saw_end(&self, partition: &TopicPartition, end: i64) {
        if let Some(seen) = self.lock().assigned.get_mut(partition) {
            seen.end = Some(end);
        }
    }

    pub(super) fn saw_committed(&self, partition: &TopicPartition, committed: i64) {
        if let Some(seen) = self.lock().assigned.get_mut(partition) {
            seen.committed = Some(committed);
        }
    }

    pub(super) fn stats(&self) -> ConsumerStats {
        let state = self.lock();
        let partitions = state.assigned.iter().map(|(partition, seen)| {
            let position = state.frontier.position(partition);
            let behind = |position: i64| seen.end.map(|end| u64::try_from(end - position).unwrap_or(0));
            PartitionStats {
                partition: partition.clone(),
                position,
                lag_records: position.or(seen.committed).and_then(behind),
                in_flight: state.frontier.in_flight(partition),
            }
        });
        ConsumerStats {
            processed: self.processed.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            failed_calls: self.failed_calls.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            failed_commits: self.failed_commits.load(Ordering::Relaxed),
            latency: self.latency.summary(),
            partitions: partitions.collect(),
            failures: state.failures.clone(),
            last_error: state.last_error.clone(),
        }
    }

    /// No code panics while it holds the lock: handlers run outside of it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
