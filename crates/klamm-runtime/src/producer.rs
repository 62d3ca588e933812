//! The producer that holds to a topic's contract.

use std::future::Future;
use std::pin::Pin;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use klamm_admin::{Admin, ClientOptions};
use klamm_client::{Acks, FlushError, InFlight, Producer, ProducerOptions, Receipt, Record, RecordSet};
use klamm_contract::{Breach, TopicContract, keeps};

use crate::latency::Recorder;
use crate::{ConnectError, ConnectErrorKind, Latency, SendError, SendErrorKind};

/// Sends to one topic, whose contract the cluster was seen to keep. Cheap to clone.
///
/// ```no_run
/// use klamm_client::{ClientOptions, Record};
/// use klamm_contract::TopicContract;
/// use klamm_runtime::DurableProducer;
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = ClientOptions::new(["localhost:9092"]);
/// let producer = DurableProducer::connect(&cluster, TopicContract::strong("orders")).await?;
/// let receipt = producer.send(Record::new("orders").key("4711").value("paid")).await?.await?;
/// println!("stored at {}/{}", receipt.partition, receipt.offset);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DurableProducer {
    producer: Producer,
    admin: Admin,
    contract: Arc<TopicContract>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    ignored: AtomicU64,
    latency: Recorder,
}

/// What a producer did so far, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProducerStats {
    /// Handed over.
    pub sent: u64,
    /// With a receipt that the caller saw.
    pub acknowledged: u64,
    /// With an error that the caller saw.
    pub failed: u64,
    /// Whose outcome the caller dropped unseen.
    pub ignored: u64,
    /// On their way.
    pub in_flight: InFlight,
    /// From hand-over until the caller saw the receipt.
    pub latency: Latency,
}

impl DurableProducer {
    /// Asks the live cluster whether it keeps `contract` and, if it does, opens a producer with the contract's producer
    /// layer.
    ///
    /// Cancelling it leaves nothing behind.
    ///
    /// # Errors
    /// `Weak` names each layer, setting and value that would break the contract, and what would be lost.
    pub async fn connect(
        cluster: &ClientOptions,
        contract: TopicContract,
    ) -> Result<DurableProducer, ConnectError> {
        let admin = Admin::connect(cluster).await?;
        let facts = admin.facts(slice::from_ref(&contract.topic)).await?;
        let topic = contract.topic.clone();
        if !facts.topics.contains_key(&topic) {
            return Err(ConnectError::new(ConnectErrorKind::TopicMissing { topic }));
        }
        let breaches = keeps(&contract, &facts);
        if !breaches.is_empty() {
            return Err(ConnectError::new(ConnectErrorKind::Weak { topic, breaches }));
        }
        let options = ProducerOptions::from_promise(&contract.layer_producer)?;
        let producer = Producer::open(cluster, options).await?;
        let counters = Arc::new(Counters::new());
        Ok(DurableProducer { producer, admin, contract: Arc::new(contract), counters })
    }

    /// Hands one record over and returns the future of its receipt. Waits while the buffer is full.
    ///
    /// Cancelling it before it returns sends nothing. An error means that nothing was sent.
    pub async fn send(&self, record: Record<'_>) -> Result<Pending, SendError> {
        self.check_topic(record.topic())?;
        let started = Instant::now();
        let pending = self.producer.send(record).await?;
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
        Ok(Pending { pending, open: Open::new(&self.counters, 1, started) })
    }

    /// Hands a set of records over, all or none, and returns the future of their outcomes. Waits while the buffer is full.
    ///
    /// Cancelling it before it returns sends nothing. An error means that nothing was sent.
    pub async fn send_batch(&self, set: &RecordSet) -> Result<BatchPending, SendError> {
        for topic in set.topics() {
            self.check_topic(topic)?;
        }
        let started = Instant::now();
        let pending = self.producer.send_batch(set).await?;
        let records = set.len() as u64;
        self.counters.sent.fetch_add(records, Ordering::Relaxed);
        Ok(BatchPending { pending, open: Open::new(&self.counters, records, started) })
    }

    /// The contract.
    pub fn contract(&self) -> &TopicContract {
        &self.contract
    }

    /// Asks the live cluster again: the breaches by now. A topic can be weakened while it is written to.
    ///
    /// # Errors
    /// The cluster cannot be asked, which says nothing about the contract.
    pub async fn recheck(&self) -> Result<Vec<Breach>, ConnectError> {
        let facts = self.admin.facts(slice::from_ref(&self.contract.topic)).await?;
        Ok(keeps(&self.contract, &facts))
    }

    /// What it did so far.
    pub fn stats(&self) -> ProducerStats {
        let Counters { sent, acknowledged, failed, ignored, latency } = &*self.counters;
        ProducerStats {
            sent: sent.load(Ordering::Relaxed),
            acknowledged: acknowledged.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            ignored: ignored.load(Ordering::Relaxed),
            in_flight: self.producer.in_flight(),
            latency: latency.summary(),
        }
    }

    /// Waits until every record that was handed over has its outcome, at most for `deadline`.
    ///
    /// Cancelling it changes nothing for the records.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        self.producer.flush(deadline).await
    }

    /// Flushes within `deadline` and closes for all clones. Records without an outcome by then resolve as closed.
    pub async fn close(&self, deadline: Duration) -> Result<(), FlushError> {
        self.producer.close(deadline).await
    }

    fn check_topic(&self, topic: &str) -> Result<(), SendError> {
        if topic == self.contract.topic {
            return Ok(());
        }
        let (topic, contract) = (topic.to_owned(), self.contract.topic.clone());
        Err(SendError::new(SendErrorKind::WrongTopic { topic, contract }))
    }
}

/// One record on its way. Resolves to its receipt or to an error; dropped before, it is counted as ignored.
#[must_use = "a record that nobody waits for may have failed unseen"]
#[derive(Debug)]
pub struct Pending {
    pending: klamm_client::Pending,
    open: Open,
}

impl Future for Pending {
    type Output = Result<Receipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.pending).poll(cx));
        self.open.seen(u64::from(outcome.is_ok()));
        Poll::Ready(outcome.map_err(SendError::from))
    }
}

/// A set of records on its way. Resolves when each has its outcome; dropped before, they are counted as ignored.
#[must_use = "a batch that nobody waits for may have failed unseen"]
#[derive(Debug)]
pub struct BatchPending {
    pending: klamm_client::BatchPending,
    open: Open,
}

impl Future for BatchPending {
    type Output = Acks;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Acks> {
        let acks = ready!(Pin::new(&mut self.pending).poll(cx));
        let acknowledged = acks.iter().filter(Result::is_ok).count();
        self.open.seen(acknowledged as u64);
        Poll::Ready(acks)
    }
}

/// Records whose outcome nobody has seen yet.
#[derive(Debug)]
struct Open {
    counters: Arc<Counters>,
    records: u64,
    started: Instant,
}

impl Open {
    fn new(counters: &Arc<Counters>, records: u64, started: Instant) -> Open {
        Open { counters: Arc::clone(counters), records, started }
    }

    /// All outcomes were seen, so many of them receipts.
    fn seen(&mut self, acknowledged: u64) {
        let records = std::mem::take(&mut self.records);
        self.counters.acknowledged.fetch_add(acknowledged, Ordering::Relaxed);
        self.counters.failed.fetch_add(records - acknowledged, Ordering::Relaxed);
        if acknowledged > 0 {
            self.counters.latency.record(self.started.elapsed());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.ignored.fetch_add(self.records, Ordering::Relaxed);
    }
}

impl Counters {
    fn new() -> Counters {
        Counters {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            latency: Recorder::new(),
        }
    }
}
