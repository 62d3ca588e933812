//! The work of one partition: batches one after another.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use futures_util::FutureExt;
use klamm_client::{Committer, FetchedBatch, Position, TopicPartition};
use klamm_contract::Delivery;
use klamm_track::Epoch;
use tokio::sync::{mpsc, watch};

use super::progress::Progress;
use super::{Handler, HandlerError, PartitionFailure, Retries, Work};

/// The worker of one assigned partition.
pub(super) struct Worker<H> {
    pub(super) partition: TopicPartition,
    pub(super) handler: Arc<H>,
    pub(super) progress: Arc<Progress>,
    pub(super) committer: Committer,
    pub(super) delivery: Delivery,
    pub(super) retries: Retries,
    /// Not bounded by count: batches hold credit of the consumer, which is bounded in bytes.
    pub(super) batches: mpsc::UnboundedReceiver<FetchedBatch>,
    pub(super) stop: watch::Receiver<bool>,
    /// The same for the handler, which looks at it between records.
    pub(super) stopping: Arc<AtomicBool>,
}

/// Why a batch was not finished.
enum Unfinished {
    /// The partition stops here.
    Failed(PartitionFailure),
    /// The worker was told to stop.
    Stopped,
}

impl<H: Handler> Worker<H> {
    /// Works until it is told to stop, the partition is gone, or the handler fails for good.
    pub(super) async fn run(mut self) {
        let mut epoch = None;
        loop {
            let batch = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                batch = self.batches.recv() => match batch {
                    Some(batch) => batch,
                    None => return,
                },
            };
            // Another member has it by now; working on it here would only repeat.
            if batch.is_stale() {
                continue;
            }
            match self.work_on(batch, &mut epoch).await {
                Ok(()) => {}
                Err(Unfinished::Stopped) => return,
                Err(Unfinished::Failed(failure)) => return self.progress.failed(failure),
            }
        }
    }

    async fn work_on(&mut self, batch: FetchedBatch, epoch: &mut Option<Epoch>) -> Result<(), Unfinished> {
        let first = batch.first_offset();
        let Some(taken) = self.progress.take(&batch, *epoch) else {
            let error = "the client handed records over out of order".to_owned();
            return Err(self.failed(first, 0, error));
        };
        *epoch = Some(taken);
        let work = Work::new(batch, taken, Arc::clone(&self.progress), Arc::clone(&self.stopping));
        match self.delivery {
            Delivery::AtMostOnce => self.once(work).await,
            Delivery::AtLeastOnce | Delivery::ExactlyOnce => self.until_finished(work).await,
        }
    }

    /// Commits first. A crash or a failure after that leaves records out; none is worked on twice.
    async fn once(&self, work: Work) -> Result<(), Unfinished> {
        let (first, offset) = (work.position(), work.batch().next_offset());
        let positions = vec![Position { partition: self.partition.clone(), offset }];
        let outcome = self.committer.commit(positions.clone()).await;
        self.progress.committed(&positions, &outcome);
        if let Err(error) = outcome {
            return Err(self.failed(first, 0, error.to_string()));
        }
        match self.call(&work).await {
            Ok(()) => finish(&work),
            Err(error) => Err(self.failed(work.position(), 1, error.to_string())),
        }
    }

    /// Calls the handler until all records are finished, or too often without progress.
    async fn until_finished(&mut self, work: Work) -> Result<(), Unfinished> {
        let (mut failed, mut position) = (0, work.position());
        loop {
            let Err(error) = self.call(&work).await else {
                return finish(&work);
            };
            if work.is_stopping() {
                return Err(Unfinished::Stopped);
            }
            failed = if work.position() > position { 1 } else { failed + 1 };
            position = work.position();
            if failed >= self.retries.attempts || !error.is_retryable() {
                return Err(self.failed(position, failed, error.to_string()));
            }
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return Err(Unfinished::Stopped),
                () = tokio::time::sleep(self.retries.pause(failed)) => {}
            }
        }
    }

    /// One call of the handler. A panic in it is its error, and the worker goes on.
    async fn call(&self, work: &Work) -> Result<(), HandlerError> {
        let started = Instant::now();
        let handler = Arc::clone(&self.handler);
        let work = work.clone();
        // The call itself may panic, before there is a future: so it happens inside of one.
        let call = async move { handler.handle(work).await };
        let outcome = AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(HandlerError::retry(format!("the handler panicked: {}", text.unwrap_or_default())))
        });
        let failed = outcome.as_ref().err().map(ToString::to_string);
        self.progress.called(started.elapsed(), failed.as_deref());
        outcome
    }

    fn failed(&self, offset: i64, attempts: u32, error: String) -> Unfinished {
        Unfinished::Failed(PartitionFailure { partition: self.partition.clone(), offset, attempts, error })
    }
}

fn finish(work: &Work) -> Result<(), Unfinished> {
    if work.finish() { Ok(()) } else { Err(Unfinished::Stopped) }
}
