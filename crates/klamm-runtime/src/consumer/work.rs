//! What a handler gets, and what it answers.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use klamm_client::{FetchedBatch, RecordView, TopicPartition};
use klamm_track::Epoch;

use super::progress::Progress;

/// Does a service's work. Any `Fn(Work) -> impl Future<Output = Result<(), HandlerError>>` is one.
pub trait Handler: Send + Sync + 'static {
    /// Works on the records of one partition, in order. `Ok` means that all that [`Work::records`] gave are finished.
    ///
    /// After an error it is called again for those that are not finished, as often as [`Retries`](crate::Retries) says.
    /// A panic counts as an error.
    fn handle(&self, work: Work) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Work) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle(&self, work: Work) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(work)
    }
}

/// Why a handler could not do its work. Any error turns into one that is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    message: String,
    again: bool,
}

impl HandlerError {
    /// Trying again may do better: a downstream service is away.
    pub fn retry(message: impl fmt::Display) -> HandlerError {
        HandlerError { message: message.to_string(), again: true }
    }

    /// Trying again will not do better: the record itself is wrong. The partition stops at it.
    pub fn stop(message: impl fmt::Display) -> HandlerError {
        HandlerError { message: message.to_string(), again: false }
    }

    /// Whether the handler is called again.
    pub fn is_retryable(&self) -> bool {
        self.again
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// Not an `Error` itself, so that every error can turn into one by `?`.
impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> HandlerError {
        HandlerError::retry(error)
    }
}

/// A batch of records of one partition to work on. Cheap to clone; its memory is held until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Work {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    batch: FetchedBatch,
    epoch: Epoch,
    progress: Arc<Progress>,
    /// The partition is about to be let go.
    stopping: Arc<AtomicBool>,
    /// Records below are finished.
    position: AtomicI64,
    /// The lowest offset that was held back because of `stopping`.
    cut: AtomicI64,
}

impl Work {
    pub(super) fn new(
        batch: FetchedBatch,
        epoch: Epoch,
        progress: Arc<Progress>,
        stopping: Arc<AtomicBool>,
    ) -> Work {
        let position = AtomicI64::new(batch.first_offset());
        let cut = AtomicI64::new(i64::MAX);
        Work { inner: Arc::new(Inner { batch, epoch, progress, stopping, position, cut }) }
    }

    /// Where the records come from.
    pub fn partition(&self) -> &TopicPartition {
        self.inner.batch.partition()
    }

    /// The records that are not finished, in order. Each borrows from the batch.
    ///
    /// It ends early when the partition is about to be let go. What it held back is not finished by the handler's `Ok`
    /// and goes to the partition's next owner, so a handler need not look out for that.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        let Inner { batch, stopping, position, cut, .. } = &*self.inner;
        let position = position.load(Ordering::Acquire);
        batch.records().skip_while(move |record| record.offset < position).take_while(move |record| {
            let goes_on = !stopping.load(Ordering::Acquire);
            if !goes_on {
                cut.fetch_min(record.offset, Ordering::AcqRel);
            }
            goes_on
        })
    }

    /// The records up to this offset are finished, before the handler returns: an error after that does not repeat them,
    /// and they can be committed already.
    pub fn finish_through(&self, offset: i64) {
        let Inner { batch, epoch, progress, position, .. } = &*self.inner;
        let before = position.fetch_max(offset.saturating_add(1), Ordering::AcqRel);
        let finished =
            batch.records().map(|record| record.offset).filter(|at| (before..=offset).contains(at));
        progress.finish(batch.partition(), *epoch, finished);
    }

    /// The partition is about to be let go, or went to another member already: a long handler may return with an error,
    /// and is not called again.
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Acquire) || self.inner.batch.is_stale()
    }

    /// First offset that is not finished.
    pub(super) fn position(&self) -> i64 {
        self.inner.position.load(Ordering::Acquire)
    }

    /// The handler returned `Ok`: what it was given is finished. False when something was held back.
    pub(super) fn finish(&self) -> bool {
        let next = self.inner.batch.next_offset();
        let cut = self.inner.cut.load(Ordering::Acquire);
        self.finish_through(next.min(cut) - 1);
        cut >= next
    }

    pub(super) fn batch(&self) -> &FetchedBatch {
        &self.inner.batch
    }
}
