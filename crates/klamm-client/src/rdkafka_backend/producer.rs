//! The producing half.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use klamm_admin::ClientOptions;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use super::answers::Answers;
use super::errors::Tried;
use super::{config, errors};
use crate::acks::{Outcome, Outstanding, Ticket};
use crate::{
    ClientError, ClientErrorKind, ProduceError, ProduceErrorKind, ProducerOptions, Receipt, RecordView,
};

/// `BaseProducer::poll` uses all of its time, so this is how soon a stop is seen; outcomes are reported as they come.
const POLL: Duration = Duration::from_millis(50);

/// A topic that was created a moment ago may not be known to the broker that is asked.
const UNKNOWN_TOPIC_RETRIES: u32 = 5;
const UNKNOWN_TOPIC_BACKOFF: Duration = Duration::from_millis(100);

const _: () = assert!(usize::BITS >= 64, "a ticket travels through librdkafka as one pointer-sized number");

/// A running librdkafka producer with its polling thread.
pub(crate) struct ProducerPath {
    producer: Arc<BaseProducer<Context>>,
    stop: Arc<AtomicBool>,
    metadata_timeout: Duration,
}

impl ProducerPath {
    /// Starts librdkafka and its thread.
    pub(crate) fn start(
        cluster: &ClientOptions,
        options: &ProducerOptions,
        outstanding: Arc<Outstanding>,
    ) -> Result<ProducerPath, ClientError> {
        let context = Context {
            outstanding: Arc::clone(&outstanding),
            answers: Answers::default(),
            delivery_timeout: options.delivery_timeout,
        };
        let producer: BaseProducer<Context> =
            config::producer(cluster, options).create_with_context(context).map_err(start_error)?;
        let producer = Arc::new(producer);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = Thread { producer: Arc::clone(&producer), outstanding, stop: Arc::clone(&stop) };
        thread::Builder::new()
            .name("klamm-producer".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| ClientError::new(ClientErrorKind::Start { message: error.to_string() }))?;
        Ok(ProducerPath { producer, stop, metadata_timeout: cluster.request_timeout })
    }

    /// Takes a record in. Never blocks; the outcome is reported by `ticket`, unless this fails.
    pub(crate) fn enqueue(
        &self,
        topic: &str,
        partition: i32,
        record: &RecordView<'_>,
        ticket: Ticket,
    ) -> Result<(), ProduceErrorKind> {
        let mut out: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(topic, ticket.to_bits() as usize).partition(partition);
        out.key = record.key;
        out.payload = record.value;
        out.timestamp = record.timestamp_ms;
        out.headers = headers(record);
        self.producer.send(out).map_err(|(error, _)| {
            let context = self.producer.context();
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            errors::produce(code, topic, partition, context.tried(ticket), &context.answers)
        })
    }

    /// Asks the cluster for the topic's number of partitions.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<i32, ProduceErrorKind> {
        let (producer, timeout, name) = (Arc::clone(&self.producer), self.metadata_timeout, topic.to_owned());
        // The call blocks, for at most the request timeout each time.
        let asked = tokio::task::spawn_blocking(move || ask_partitions(&producer, &name, timeout)).await;
        asked.unwrap_or(Err(ProduceErrorKind::Closed))
    }

    /// Ends it now: what has no outcome yet resolves as closed.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl fmt::Debug for ProducerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerPath").finish_non_exhaustive()
    }
}

/// The polling thread. It outlives the path, so that librdkafka, whose end may block, never ends on an async thread.
struct Thread {
    producer: Arc<BaseProducer<Context>>,
    outstanding: Arc<Outstanding>,
    stop: Arc<AtomicBool>,
}

impl Thread {
    fn run(self) {
        loop {
            self.producer.poll(POLL);
            if self.stop.load(Ordering::Acquire) {
                self.producer.purge(PurgeConfig::default().queue().inflight());
                self.producer.poll(POLL);
                self.outstanding.close_all();
            }
            // Dropped by everybody else: go on until each record has its outcome, which its delivery timeout bounds.
            if Arc::strong_count(&self.producer) == 1 && self.outstanding.load().records == 0 {
                return;
            }
        }
    }
}

struct Context {
    outstanding: Arc<Outstanding>,
    answers: Answers,
    delivery_timeout: Duration,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.answers.log(facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // "All brokers down" follows the reason that says why, and would hide it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.answers.client_error(reason);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let ticket = Ticket::from_bits(ticket as u64);
        self.outstanding.resolve(ticket, self.outcome(result, ticket));
    }
}

impl Context {
    fn tried(&self, ticket: Ticket) -> Tried {
        let since = self.outstanding.since(ticket).unwrap_or_else(Instant::now);
        Tried { since, limit: self.delivery_timeout }
    }

    fn outcome(&self, result: &DeliveryResult<'_>, ticket: Ticket) -> Outcome {
        match result {
            Ok(message) => Ok(receipt(message)),
            Err((error, message)) => {
                let (topic, partition) = (message.topic(), message.partition());
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let kind = errors::produce(code, topic, partition, self.tried(ticket), &self.answers);
                Err(ProduceError::new(topic, Some(partition), kind))
            }
        }
    }
}

fn receipt(message: &BorrowedMessage<'_>) -> Receipt {
    Receipt {
        partition: message.partition(),
        // Unknown after a duplicate that the broker had forgotten the place of.
        offset: message.offset().max(-1),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
    }
}

fn headers(record: &RecordView<'_>) -> Option<OwnedHeaders> {
    let mut headers = record.headers().peekable();
    headers.peek()?;
    Some(headers.fold(OwnedHeaders::new(), |owned, header| {
        owned.insert(Header { key: header.name, value: header.value })
    }))
}

fn ask_partitions(
    producer: &BaseProducer<Context>,
    topic: &str,
    timeout: Duration,
) -> Result<i32, ProduceErrorKind> {
    let answers = &producer.context().answers;
    for attempt in 0.. {
        let metadata = producer
            .client()
            .fetch_metadata(Some(topic), timeout)
            .map_err(|error| errors::metadata(&error, timeout, answers))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(ProduceErrorKind::UnknownTopic);
        };
        let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        match found.error() {
            None if partitions > 0 => return Ok(partitions),
            _ if attempt < UNKNOWN_TOPIC_RETRIES => thread::sleep(UNKNOWN_TOPIC_BACKOFF),
            None => return Err(ProduceErrorKind::UnknownTopic),
            Some(error) => {
                let code = RDKafkaErrorCode::from(error);
                let tried = Tried { since: Instant::now(), limit: timeout };
                return Err(errors::produce(code, topic, -1, tried, answers));
            }
        }
    }
    Err(ProduceErrorKind::UnknownTopic)
}

pub(super) fn start_error(error: KafkaError) -> ClientError {
    match error {
        KafkaError::ClientConfig(_, problem, name, value) => ClientError::setting(name, value, problem),
        other => ClientError::new(ClientErrorKind::Start { message: other.to_string() }),
    }
}
