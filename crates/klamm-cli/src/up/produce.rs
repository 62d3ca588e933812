//! The writing half of the order service: events out, receipts in.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use klamm_client::{Effect, Record};
use klamm_runtime::{DurableProducer, Pending, SendError};
use klamm_track::{Checker, RecordId, SendEffect};
use tokio::sync::mpsc;

use super::orders::{NextEvent, Orders};
use super::pace::Pace;
use super::status::Counters;
use super::stop::{Stop, Why};

/// Header with the [`RecordId`] of a record.
pub const ID_HEADER: &str = "klamm-id";
/// Header with the time of sending: nanoseconds since the run started, big-endian.
pub const SENT_HEADER: &str = "klamm-sent";
/// Records without an outcome; then the generator waits.
pub const IN_FLIGHT: usize = 10_000;

/// What both halves of the service report to.
pub struct Book {
    /// The id of this run, in every record of it.
    pub run: u64,
    pub counters: Counters,
    checker: Mutex<Checker>,
    receipts: Mutex<Receipts>,
}

#[derive(Default)]
struct Receipts {
    /// By partition: the offset after the last record that was acknowledged.
    ends: BTreeMap<i32, i64>,
    first_failure: Option<SendError>,
}

impl Book {
    pub fn new(run: u64) -> Book {
        Book {
            run,
            counters: Counters::new(),
            checker: Mutex::new(Checker::new(run)),
            receipts: Mutex::default(),
        }
    }

    /// Reports to the checker.
    pub fn check<T>(&self, report: impl FnOnce(&mut Checker) -> T) -> T {
        report(&mut self.checker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// By partition: the offset after the last record that was acknowledged.
    pub fn acknowledged_ends(&self) -> BTreeMap<i32, i64> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).ends.clone()
    }

    /// The first send that failed.
    pub fn first_failure(&self) -> Option<SendError> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).first_failure.clone()
    }

    fn take_outcome(&self, id: RecordId, outcome: Result<klamm_client::Receipt, SendError>) -> Outcome {
        match outcome {
            Ok(receipt) => {
                self.check(|checker| checker.acknowledged(id, receipt.partition, receipt.offset));
                let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
                let end = receipts.ends.entry(receipt.partition).or_default();
                *end = (*end).max(receipt.offset + 1);
                self.counters.acknowledged.fetch_add(1, Ordering::Relaxed);
                Outcome::Acknowledged
            }
            Err(error) => {
                let effect = match error.effect() {
                    Effect::None => SendEffect::None,
                    _ => SendEffect::Unknown,
                };
                self.check(|checker| checker.failed(id, effect));
                let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
                receipts.first_failure.get_or_insert(error);
                Outcome::Failed
            }
        }
    }
}

#[derive(PartialEq)]
enum Outcome {
    Acknowledged,
    Failed,
}

/// A record on its way.
pub struct Sent {
    id: RecordId,
    pending: Pending,
}

/// Generates orders and sends them.
pub struct Writer {
    pub producer: DurableProducer,
    pub orders: Orders,
    pub pace: Pace,
    /// Records to send; `None` goes on until it is stopped.
    pub limit: Option<u64>,
    pub book: Arc<Book>,
    pub stop: Stop,
}

impl Writer {
    /// Sends until the limit is reached or the run is stopped.
    pub async fn run(mut self, outcomes: mpsc::Sender<Sent>) {
        let mut sent = 0;
        while self.limit.is_none_or(|limit| sent < limit) && self.stop.why() == Why::NotYet {
            let wait = self.pace.wait_before_next(self.book.counters.elapsed());
            let stop = self.stop.clone();
            let next = async {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                self.send_next().await
            };
            // Cancelled while it waits for time or for room, it has sent nothing.
            let next = tokio::select! {
                next = next => next,
                _ = stop.stopped() => return,
            };
            let Some(next) = next else { return };
            sent += 1;
            if outcomes.send(next).await.is_err() {
                return;
            }
        }
        self.stop.stop(Why::Done);
    }

    async fn send_next(&mut self) -> Option<Sent> {
        let NextEvent { event, seq } = self.orders.next_event();
        let id = RecordId { run: self.book.run, key: event.order_id, seq };
        // Numbers and text always become JSON.
        let value = serde_json::to_vec(&event).unwrap_or_default();
        let sent_at = u64::try_from(self.book.counters.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (key, sent_at, id_bytes) = (event.order_id.to_string(), sent_at.to_be_bytes(), id.to_bytes());
        let record = Record::new(&self.producer.contract().topic)
            .key(&key)
            .value(&value)
            .header(ID_HEADER, &id_bytes)
            .header(SENT_HEADER, &sent_at);
        let outcome = self.producer.send(record).await;
        self.book.check(|checker| {
            checker.sent(id);
            if event.state.is_final() {
                checker.closed(id.key, id.seq + 1);
            }
        });
        self.book.counters.sent.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(pending) => Some(Sent { id, pending }),
            Err(error) => {
                self.book.take_outcome(id, Err(error));
                self.stop.stop(Why::Failed);
                None
            }
        }
    }
}

/// Waits for every outcome, in the order of sending, and stops the run at the first failure.
pub async fn take_outcomes(mut sent: mpsc::Receiver<Sent>, book: Arc<Book>, stop: Stop) {
    while let Some(Sent { id, pending }) = sent.recv().await {
        if book.take_outcome(id, pending.await) == Outcome::Failed {
            stop.stop(Why::Failed);
        }
    }
}
