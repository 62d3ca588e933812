//! The consumer loop: handlers over batches, commits of finished work only.
//!
//! One task takes the consumer's events and gives each partition's batches to a worker of that partition. A worker calls the
//! handler for one batch after another, so a partition keeps its order while others go on beside it. What is finished
//! moves the [`Frontier`](klamm_track::Frontier); only what is below it is committed: from time to time, inside a
//! revoke, and at the end.

mod dispatch;
mod lag;
mod progress;
mod work;
mod worker;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use klamm_admin::{Admin, ClientOptions};
use klamm_client::{
    Assignor, CommitError, ConsumeError, Consumer, ConsumerOptions, GroupProtocol, OffsetReset,
    TopicPartition,
};
use klamm_contract::{ConsumerContract, Delivery};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{ConnectError, ConnectErrorKind, Latency};
use dispatch::Dispatcher;
use progress::Progress;

pub use work::{Handler, HandlerError, Work};

/// Settings of a loop beside its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopOptions {
    /// Where to start when the group has no usable offset. The default is the beginning: it may repeat, it never skips.
    pub reset: OffsetReset,
    /// `group.protocol`.
    pub protocol: GroupProtocol,
    /// `partition.assignment.strategy`.
    pub assignor: Assignor,
    /// `group.instance.id`.
    pub instance: Option<String>,
    /// `client.rack`.
    pub rack: Option<String>,
    /// How often finished work is committed. A crash repeats what was finished since.
    pub commit_interval: Duration,
    /// How often the ends of the partitions are asked for.
    pub lag_interval: Duration,
    /// What happens when a handler fails.
    pub retries: Retries,
}

impl Default for LoopOptions {
    fn default() -> LoopOptions {
        LoopOptions {
            reset: OffsetReset::Earliest,
            protocol: GroupProtocol::default(),
            assignor: Assignor::default(),
            instance: None,
            rack: None,
            commit_interval: Duration::from_secs(1),
            lag_interval: Duration::from_secs(2),
            retries: Retries::default(),
        }
    }
}

/// How often, and how far apart, a handler is called again for the same records. The partition waits meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Calls in all without progress; then the partition stops. At least 1.
    pub attempts: u32,
    /// Pause before the second call; it doubles from there.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            attempts: 6,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Retries {
    /// The pause after the `failed`-th failure in a row: doubled each time, up to a quarter shorter at random.
    fn pause(&self, failed: u32) -> Duration {
        let doubled =
            self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.longest_pause);
        let jitter = (RandomState::new().hash_one(failed) % 256) as u32;
        doubled - doubled / 4 * jitter / 256
    }
}

/// A partition whose work stopped: its handler failed and will not be called again for it before it is assigned anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFailure {
    /// Partition.
    pub partition: TopicPartition,
    /// First record that is not finished. It and all after it stay uncommitted.
    pub offset: i64,
    /// Calls of the handler without progress.
    pub attempts: u32,
    /// What the last one said.
    pub error: String,
}

/// What a loop did so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerStats {
    /// Records whose work is finished, repeated ones included.
    pub processed: u64,
    /// Batches that were handed to the handler.
    pub batches: u64,
    /// Calls of the handler that failed.
    pub failed_calls: u64,
    /// Successful commits.
    pub commits: u64,
    /// Failed commits; the next one covers what they would have.
    pub failed_commits: u64,
    /// Time that the handler took for a batch.
    pub latency: Latency,
    /// Assigned partitions.
    pub partitions: Vec<PartitionStats>,
    /// Partitions that stopped.
    pub failures: Vec<PartitionFailure>,
    /// The last thing that went wrong and is being tried again.
    pub last_error: Option<String>,
}

impl ConsumerStats {
    /// Records behind the ends of the assigned partitions, as far as these are known.
    pub fn lag_records(&self) -> u64 {
        self.partitions.iter().filter_map(|partition| partition.lag_records).sum()
    }
}

/// One assigned partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStats {
    /// Partition.
    pub partition: TopicPartition,
    /// First record that is not finished; `None` before the first one came.
    pub position: Option<i64>,
    /// Records between that and the end of the partition, as of the last look at it.
    pub lag_records: Option<u64>,
    /// Records in work.
    pub in_flight: usize,
}

/// How a loop ended.
#[derive(Debug)]
pub struct LoopReport {
    /// Records whose work is finished, repeated ones included.
    pub processed: u64,
    /// Partitions that stopped because their handler failed.
    pub failures: Vec<PartitionFailure>,
    /// Workers that were still at work when the budget was over; their records stay uncommitted.
    pub abandoned: usize,
    /// Whether the finished work was committed at the end.
    pub committed: Result<(), CommitError>,
    /// Why the loop ended by itself; `None` when it was stopped.
    pub error: Option<ConsumeError>,
    /// The group was left before the budget was over.
    pub left_group: bool,
}

impl LoopReport {
    /// All that was taken is finished and committed, and nothing failed.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.abandoned == 0 && self.committed.is_ok() && self.error.is_none()
    }
}

/// A running loop. Dropping it stops its work at once and commits nothing more; [`stop`](ConsumerLoop::stop) drains.
#[derive(Debug)]
pub struct ConsumerLoop {
    progress: Arc<Progress>,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<LoopReport>,
}

impl ConsumerLoop {
    /// Joins the contract's group and calls `handler` for its batches.
    ///
    /// Cancelling it leaves nothing behind.
    ///
    /// # Errors
    /// `Unsupported` for a contract of `exactly_once`: work and offsets in one transaction come with a later release.
    pub async fn start<H: Handler>(
        cluster: &ClientOptions,
        contract: &ConsumerContract,
        options: LoopOptions,
        handler: H,
    ) -> Result<ConsumerLoop, ConnectError> {
        if contract.delivery == Delivery::ExactlyOnce {
            let what = format!("delivery exactly_once of group {}", contract.group);
            return Err(ConnectError::new(ConnectErrorKind::Unsupported { what }));
        }
        let admin = Admin::connect(cluster).await?;
        let consumer_options = ConsumerOptions {
            reset: options.reset,
            protocol: options.protocol,
            assignor: options.assignor,
            instance: options.instance.clone(),
            rack: options.rack.clone(),
            ..ConsumerOptions::from_contract(contract)
        };
        let progress = Arc::new(Progress::new(consumer_options.batch_records));
        let consumer = Consumer::open(cluster, consumer_options).await?;
        let (stop, stopped) = watch::channel(None);
        let lag = lag::Watch {
            admin,
            progress: Arc::clone(&progress),
            group: contract.group.clone(),
            topics: contract.topics.clone(),
            interval: options.lag_interval,
        };
        let dispatcher =
            Dispatcher::new(consumer, Arc::new(handler), Arc::clone(&progress), contract.delivery, options);
        let task = tokio::spawn(async move {
            tokio::select! {
                report = dispatcher.run(stopped) => report,
                never = lag.run() => match never {},
            }
        });
        Ok(ConsumerLoop { progress, stop, task })
    }

    /// What it did so far.
    pub fn stats(&self) -> ConsumerStats {
        self.progress.stats()
    }

    /// Waits until the loop ends by itself, which it does only when the consumer cannot go on.
    ///
    /// Cancelling it changes nothing.
    pub async fn ended(&mut self) -> LoopReport {
        let report = (&mut self.task).await;
        report.unwrap_or_else(|_| self.lost_report())
    }

    /// Takes nothing more, lets handler calls that run come to their end, commits what is finished and leaves the group,
    /// all within `budget`.
    ///
    /// Cancelling it does the same as dropping the loop.
    pub async fn stop(mut self, budget: Duration) -> LoopReport {
        self.stop.send_replace(Some(budget));
        self.ended().await
    }

    /// The task panics only by a defect of ours; the caller gets a report all the same.
    fn lost_report(&self) -> LoopReport {
        let stats = self.progress.stats();
        LoopReport {
            processed: stats.processed,
            failures: stats.failures,
            abandoned: stats.partitions.iter().filter(|partition| partition.in_flight > 0).count(),
            committed: Ok(()),
            error: None,
            left_group: false,
        }
    }
}

impl Drop for ConsumerLoop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_at_most_a_quarter() {
        let retries = Retries::default();
        for (failed, full) in [(1, 100), (2, 200), (4, 800), (30, 5_000)] {
            let pause = retries.pause(failed).as_millis();
            assert!(pause <= full && pause >= full * 3 / 4 - 1, "{failed}: {pause}");
        }
    }
}
