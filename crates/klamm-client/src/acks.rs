//! From a send to its outcome: the bookkeeping that any data path reports to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::{ProduceError, ProduceErrorKind};

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Partition.
    pub partition: i32,
    /// Offset; -1 when the broker only said that it has the record already.
    pub offset: i64,
    /// Milliseconds since the epoch: what the record was sent with, or the broker's time if the topic says so.
    pub timestamp_ms: i64,
}

/// The outcome of one record.
pub(crate) type Outcome = Result<Receipt, ProduceError>;

/// The outcomes of a set of records, in the order of the set.
#[derive(Debug, Clone)]
pub struct Acks {
    outcomes: Vec<Outcome>,
}

impl Acks {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// No records?
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// Each record's outcome.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<&Receipt, &ProduceError>> {
        self.outcomes.iter().map(Result::as_ref)
    }

    /// All receipts, or the first error.
    pub fn into_receipts(self) -> Result<Vec<Receipt>, ProduceError> {
        self.outcomes.into_iter().collect()
    }
}

/// A set of records on its way. Resolves when each of them has its outcome.
///
/// Dropping it changes nothing for the records: they are sent, and only their outcome is not seen.
#[must_use = "a batch that nobody waits for may have failed unseen"]
#[derive(Debug)]
pub struct BatchPending {
    acks: oneshot::Receiver<Vec<Outcome>>,
    len: usize,
}

/// One record on its way. Resolves to its receipt or to an error.
///
/// Dropping it changes nothing for the record: it is sent, and only its outcome is not seen.
#[must_use = "a record that nobody waits for may have failed unseen"]
#[derive(Debug)]
pub struct Pending {
    batch: BatchPending,
}

impl Future for BatchPending {
    type Output = Acks;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Acks> {
        let outcomes = ready!(Pin::new(&mut self.acks).poll(cx)).unwrap_or_else(|_| {
            let closed = ProduceError::new("producer", None, ProduceErrorKind::Closed);
            vec![Err(closed); self.len]
        });
        Poll::Ready(Acks { outcomes })
    }
}

impl Future for Pending {
    type Output = Result<Receipt, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut acks = ready!(Pin::new(&mut self.batch).poll(cx));
        let closed = || Err(ProduceError::new("producer", None, ProduceErrorKind::Closed));
        Poll::Ready(acks.outcomes.pop().unwrap_or_else(closed))
    }
}

impl BatchPending {
    /// The same for a set of one record.
    pub(crate) fn single(self) -> Pending {
        Pending { batch: self }
    }
}

/// All sets of records that are on their way.
///
/// A data path opens a set, reports the outcome of each record by its [`Ticket`], and never touches a caller's future.
/// The memory that a set reserved is free again when its last record has an outcome.
pub(crate) struct Outstanding {
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Default)]
struct State {
    sets: Vec<Option<Set>>,
    free: Vec<u32>,
    records: usize,
    bytes: usize,
}

struct Set {
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    done: oneshot::Sender<Vec<Outcome>>,
    bytes: usize,
    _memory: OwnedSemaphorePermit,
}

/// Names one record of one open set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    set: u32,
    record: u32,
}

/// What is on its way, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Outstanding {
    pub(crate) fn new() -> Outstanding {
        Outstanding { state: Mutex::default(), idle: Notify::new() }
    }

    /// Opens a set of `len` records, which holds `memory` until its last outcome. The ticket names its first record.
    pub(crate) fn open(&self, len: u32, memory: OwnedSemaphorePermit) -> (Ticket, BatchPending) {
        let (done, acks) = oneshot::channel();
        let pending = BatchPending { acks, len: len as usize };
        if len == 0 {
            // Nothing will ever be reported for it.
            drop(done.send(Vec::new()));
            return (Ticket { set: u32::MAX, record: 0 }, pending);
        }
        let missing = len as usize;
        let bytes = memory.num_permits();
        let set = Set { outcomes: vec![None; missing], missing, done, bytes, _memory: memory };
        let mut state = self.lock();
        state.records += missing;
        state.bytes += bytes;
        let slot = match state.free.pop() {
            Some(slot) => {
                state.sets[slot as usize] = Some(set);
                slot
            }
            None => {
                state.sets.push(Some(set));
                u32::try_from(state.sets.len() - 1).unwrap_or(u32::MAX)
            }
        };
        (Ticket { set: slot, record: 0 }, pending)
    }

    /// Reports the outcome of one record. A second report for the same record changes nothing.
    pub(crate) fn resolve(&self, ticket: Ticket, outcome: Outcome) {
        self.resolve_all([(ticket, outcome)]);
    }

    /// Reports the outcomes of many records at once.
    pub(crate) fn resolve_all(&self, outcomes: impl IntoIterator<Item = (Ticket, Outcome)>) {
        let mut state = self.lock();
        let mut finished = Vec::new();
        for (ticket, outcome) in outcomes {
            finished.extend(state.resolve(ticket, outcome));
        }
        let all_done = state.records == 0;
        drop(state);
        for set in finished {
            // Nobody waits when the caller dropped the future; the memory is freed either way.
            drop(set.done.send(set.outcomes.into_iter().flatten().collect()));
        }
        if all_done {
            self.idle.notify_waiters();
        }
    }

    /// Gives every record that has none the outcome that the producer was closed.
    pub(crate) fn close_all(&self) {
        let open: Vec<(u32, usize)> = {
            let state = self.lock();
            let sets = (0u32..).zip(&state.sets);
            sets.filter_map(|(slot, set)| set.as_ref().map(|set| (slot, set.outcomes.len()))).collect()
        };
        for (set, len) in open {
            for record in 0..u32::try_from(len).unwrap_or(u32::MAX) {
                let closed = ProduceError::new("producer", None, ProduceErrorKind::Closed);
                self.resolve(Ticket { set, record }, Err(closed));
            }
        }
    }

    /// What is on its way.
    pub(crate) fn load(&self) -> Load {
        let state = self.lock();
        Load { records: state.records, bytes: state.bytes }
    }

    /// Returns when nothing is on its way.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Enlisted before the look at the count, so that the last outcome cannot slip in between.
            idle.as_mut().enable();
            if self.load().records == 0 {
                return;
            }
            idle.await;
        }
    }

    /// No code panics while it holds the lock, so its state is whole even if a thread died elsewhere.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives the set if this was its last outcome.
    fn resolve(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Set> {
        let set = self.sets.get_mut(ticket.set as usize)?.as_mut()?;
        let slot @ None = set.outcomes.get_mut(ticket.record as usize)? else { return None };
        *slot = Some(outcome);
        set.missing -= 1;
        let finished = set.missing == 0;
        self.records -= 1;
        if finished { self.close(ticket.set) } else { None }
    }

    fn close(&mut self, slot: u32) -> Option<Set> {
        let set = self.sets.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.bytes -= set.bytes;
        Some(set)
    }
}

impl Ticket {
    /// The ticket of the `index`-th record of the set.
    pub(crate) fn record(self, index: u32) -> Ticket {
        Ticket { record: index, ..self }
    }
}

impl fmt::Debug for Outstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outstanding").field("load", &self.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn receipt(offset: i64) -> Receipt {
        Receipt { partition: 0, offset, timestamp_ms: 0 }
    }

    async fn memory(budget: &Arc<Semaphore>, bytes: u32) -> OwnedSemaphorePermit {
        Arc::clone(budget).acquire_many_owned(bytes).await.unwrap()
    }

    #[tokio::test]
    async fn a_set_resolves_when_its_last_record_does_and_frees_its_memory() {
        let budget = Arc::new(Semaphore::new(100));
        let outstanding = Outstanding::new();
        let (ticket, pending) = outstanding.open(2, memory(&budget, 60).await);
        outstanding.resolve(ticket.record(1), Ok(receipt(8)));
        assert_eq!((budget.available_permits(), outstanding.load().records), (40, 1));
        outstanding.resolve(ticket.record(0), Ok(receipt(7)));
        assert_eq!(budget.available_permits(), 100);
        assert_eq!(pending.await.into_receipts().unwrap(), [receipt(7), receipt(8)]);
        outstanding.idle().await;
    }

    #[tokio::test]
    async fn a_second_report_for_a_record_changes_nothing() {
        let budget = Arc::new(Semaphore::new(10));
        let outstanding = Outstanding::new();
        let (ticket, pending) = outstanding.open(1, memory(&budget, 1).await);
        outstanding.resolve(ticket, Ok(receipt(1)));
        outstanding.resolve(ticket, Ok(receipt(2)));
        assert_eq!(pending.single().await.unwrap().offset, 1);
        assert_eq!(outstanding.load(), Load::default());
    }

    #[tokio::test]
    async fn closing_resolves_what_is_left() {
        let budget = Arc::new(Semaphore::new(10));
        let outstanding = Outstanding::new();
        let (ticket, pending) = outstanding.open(2, memory(&budget, 1).await);
        outstanding.resolve(ticket, Ok(receipt(1)));
        outstanding.close_all();
        let acks = pending.await;
        let closed: Vec<bool> = acks.iter().map(|outcome| outcome.is_err()).collect();
        assert_eq!(closed, [false, true]);
    }

    #[tokio::test]
    async fn a_dropped_future_leaves_no_trace() {
        let budget = Arc::new(Semaphore::new(10));
        let outstanding = Outstanding::new();
        let (ticket, pending) = outstanding.open(1, memory(&budget, 5).await);
        drop(pending);
        outstanding.resolve(ticket, Ok(receipt(1)));
        assert_eq!(budget.available_permits(), 10);
    }
}
