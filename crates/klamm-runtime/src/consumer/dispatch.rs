//! The task that takes a consumer's events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use klamm_client::{
    CommitError, CommitErrorKind, Committer, ConsumeError, Consumer, Event, FetchedBatch, Revoking,
    TopicPartition,
};
use klamm_contract::Delivery;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::progress::Progress;
use super::worker::Worker;
use super::{Handler, LoopOptions, LoopReport};

/// Hands batches to the workers of their partitions and follows the group.
pub(super) struct Dispatcher<H> {
    consumer: Consumer,
    committer: Committer,
    handler: Arc<H>,
    progress: Arc<Progress>,
    delivery: Delivery,
    options: LoopOptions,
    workers: BTreeMap<TopicPartition, Running>,
    /// The periodic commit under way; the one of a revoke must come after it.
    committing: JoinSet<()>,
}

/// A worker's task. Dropping it aborts it.
struct Running {
    batches: mpsc::UnboundedSender<FetchedBatch>,
    stop: watch::Sender<bool>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<H: Handler> Dispatcher<H> {
    pub(super) fn new(
        consumer: Consumer,
        handler: Arc<H>,
        progress: Arc<Progress>,
        delivery: Delivery,
        options: LoopOptions,
    ) -> Dispatcher<H> {
        let (committer, workers) = (consumer.committer(), BTreeMap::new());
        Dispatcher {
            consumer,
            committer,
            handler,
            progress,
            delivery,
            options,
            workers,
            committing: JoinSet::new(),
        }
    }

    /// Runs until a budget to stop in comes, or the consumer cannot go on.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<Option<Duration>>) -> LoopReport {
        /// To end in when nobody said how long it may take.
        const BUDGET: Duration = Duration::from_secs(30);
        let mut commits = interval(self.options.commit_interval.max(Duration::from_millis(1)));
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let error = loop {
            tokio::select! {
                biased;
                // Also when the handle was dropped, and then this task is about to be aborted.
                () = stop.wait_for(Option::is_some).map(drop) => break None,
                _ = commits.tick() => self.commit_in_background(),
                event = self.consumer.next() => {
                    let Some(event) = event else { break None };
                    if let Some(error) = self.on_event(event).await {
                        break Some(error);
                    }
                }
            }
        };
        let budget = stop.borrow().unwrap_or(BUDGET);
        self.shut_down(Instant::now() + budget, error).await
    }

    /// Returns the error after which the consumer cannot go on.
    async fn on_event(&mut self, event: Event) -> Option<ConsumeError> {
        match event {
            Event::Assigned(partitions) => self.start_workers(partitions),
            Event::Batch(batch) => self.hand_over(batch),
            Event::Revoking(revoking) => self.revoke(revoking).await,
            Event::Lost(partitions) => {
                for partition in &partitions {
                    self.workers.remove(partition);
                }
                // Another member may have committed by now: ours would take its progress back.
                let _uncommitted = self.progress.revoked(&partitions);
            }
            Event::Error(error) => {
                self.progress.trouble(error.to_string());
                return Some(error).filter(|error| !error.is_retryable());
            }
            _ => {}
        }
        None
    }

    fn start_workers(&mut self, partitions: Vec<TopicPartition>) {
        self.progress.assigned(&partitions);
        self.consumer.resume(&partitions);
        for partition in partitions {
            let (batches, receiver) = mpsc::unbounded_channel();
            let (stop, stopped) = watch::channel(false);
            let stopping = Arc::new(AtomicBool::new(false));
            let worker = Worker {
                partition: partition.clone(),
                handler: Arc::clone(&self.handler),
                progress: Arc::clone(&self.progress),
                committer: self.committer.clone(),
                delivery: self.delivery,
                retries: self.options.retries,
                batches: receiver,
                stop: stopped,
                stopping: Arc::clone(&stopping),
            };
            let task = tokio::spawn(worker.run());
            self.workers.insert(partition, Running { batches, stop, stopping, task });
        }
    }

    fn hand_over(&self, batch: FetchedBatch) {
        let partition = batch.partition().clone();
        let Some(worker) = self.workers.get(&partition) else { return };
        if worker.batches.send(batch).is_err() {
            // Its handler failed for good: nothing more is fetched for it.
            self.consumer.pause([partition]);
        }
    }

    /// Drains and commits within the group's patience, so that the next owner starts after our last finished record.
    async fn revoke(&mut self, revoking: Revoking) {
        let began = Instant::now();
        // The commit inside of the revoke needs its share.
        self.drain(revoking.partitions(), began + revoking.budget() * 6 / 10).await;
        self.finish_background_commit(began + revoking.budget() * 8 / 10).await;
        let positions = self.progress.revoked(revoking.partitions());
        let outcome = revoking.finish(positions.clone()).await;
        if !positions.is_empty() {
            self.progress.committed(&positions, &outcome);
        }
    }

    /// Lets the handler calls of these partitions come to their end; returns how many had to be aborted.
    async fn drain(&mut self, partitions: &[TopicPartition], deadline: Instant) -> usize {
        let mut running: Vec<Running> =
            partitions.iter().filter_map(|partition| self.workers.remove(partition)).collect();
        for worker in &running {
            worker.stopping.store(true, Ordering::Release);
            worker.stop.send_replace(true);
        }
        let mut abandoned = 0;
        for worker in &mut running {
            abandoned += usize::from(timeout_at(deadline, &mut worker.task).await.is_err());
        }
        abandoned
    }

    /// Commits beside the events, because the coordinator may take its time.
    fn commit_in_background(&mut self) {
        while self.committing.try_join_next().is_some() {}
        let positions = self.progress.to_commit();
        if positions.is_empty() || !self.committing.is_empty() {
            return;
        }
        let (committer, progress) = (self.committer.clone(), Arc::clone(&self.progress));
        self.committing.spawn(async move {
            let outcome = committer.commit(positions.clone()).await;
            progress.committed(&positions, &outcome);
        });
    }

    async fn finish_background_commit(&mut self, deadline: Instant) {
        // When it takes longer, it goes on in the committing thread, and a commit there waits behind it.
        drop(timeout_at(deadline, self.committing.join_next()).await);
    }

    async fn shut_down(mut self, deadline: Instant, error: Option<ConsumeError>) -> LoopReport {
        let budget = deadline - Instant::now();
        let partitions: Vec<TopicPartition> = self.workers.keys().cloned().collect();
        let drained = Instant::now() + budget * 6 / 10;
        let abandoned = self.drain(&partitions, drained).await;
        self.finish_background_commit(Instant::now() + budget / 10).await;
        let committed = self.commit_last(Instant::now() + budget * 2 / 10).await;
        let stats = self.progress.stats();
        // The consumer leaves the group on its own threads; this only waits for it.
        let left_group = self.consumer.close(deadline.saturating_duration_since(Instant::now())).await;
        LoopReport {
            processed: stats.processed,
            failures: stats.failures,
            abandoned,
            committed,
            error,
            left_group,
        }
    }

    async fn commit_last(&self, deadline: Instant) -> Result<(), CommitError> {
        let positions = self.progress.to_commit();
        if positions.is_empty() {
            return Ok(());
        }
        let late = || CommitError::new(CommitErrorKind::Coordinator, "no answer before the budget was over");
        let outcome = timeout_at(deadline, self.committer.commit(positions.clone())).await;
        let outcome = outcome.unwrap_or_else(|_| Err(late()));
        self.progress.committed(&positions, &outcome);
        outcome
    }
}
