//! The producing client.

use klamm_contract::{Acks, Consistency, Layer, ProducerPromise};

use super::{Setting, Settings};
use crate::sizing::Load;
use crate::spec::{Produce, TopicSpec};
use crate::text;

const DELIVERY_TIMEOUT_MS: u64 = 120_000;
const REQUEST_TIMEOUT_MS: u64 = 30_000;
const LINGER_MS: u64 = 5;
const LINGER_THROUGHPUT_MS: u64 = 20;
/// `broker.session.timeout.ms`: a KRaft controller takes a silent broker for dead after this.
const BROKER_SESSION_MS: u64 = 9_000;
const MIN_BATCH: u64 = 16 << 10;
const MAX_BATCH: u64 = 512 << 10;
/// `max.request.size` of Kafka 4.
const DEFAULT_REQUEST_BYTES: u64 = 1 << 20;
/// Room for the batch header (61 bytes), and for the key, the headers and the record's own fields.
const RECORD_OVERHEAD: u64 = 16 << 10;

pub(crate) fn promise(topic: &TopicSpec, load: Load, partitions: u32) -> ProducerPromise {
    ProducerPromise {
        acks: Acks::All,
        idempotence: true,
        max_in_flight: 5,
        delivery_timeout_ms: DELIVERY_TIMEOUT_MS,
        request_timeout_ms: REQUEST_TIMEOUT_MS,
        linger_ms: linger_ms(topic.produce),
        batch_bytes: batch_bytes(load, partitions, topic.produce),
        compression: if topic.produce == Produce::Throughput { "zstd" } else { "lz4" }.to_owned(),
        max_request_bytes: (topic.write.largest.bytes() + RECORD_OVERHEAD).max(DEFAULT_REQUEST_BYTES),
    }
}

fn linger_ms(produce: Produce) -> u64 {
    match produce {
        Produce::Durable => LINGER_MS,
        Produce::Throughput => LINGER_THROUGHPUT_MS,
        Produce::LowLatency => 0,
    }
}

/// What one partition receives at the peak during one linger, as a power of two within reason.
fn batch_bytes(load: Load, partitions: u32, produce: Produce) -> u64 {
    let a_second = load.peak_bytes_per_second / u64::from(partitions.max(1));
    let in_linger = a_second.min(1 << 40) * linger_ms(produce) / 1_000;
    let least = if produce == Produce::Throughput { MIN_BATCH * 4 } else { MIN_BATCH };
    in_linger.clamp(least, MAX_BATCH).next_power_of_two().min(MAX_BATCH)
}

pub(crate) fn producer(
    topic: &TopicSpec,
    promise: &ProducerPromise,
    load: Load,
    partitions: u32,
    floor: u32,
) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Producer);
    durability(&mut s, topic, promise, floor);
    batching(&mut s, topic, promise, load, partitions);
    s.settings
}

/// What keeps records from being lost, doubled or reordered, and how long that is tried.
fn durability(s: &mut Settings, topic: &TopicSpec, promise: &ProducerPromise, floor: u32) {
    let acks = match topic.consistency {
        Consistency::Strong => format!(
            "an answer means that the whole in-sync set has the record, at least {} of it",
            text::copies(floor)
        ),
        Consistency::Eventual => {
            "every copy that is alive has the record; with a floor of 1 this waits for no other, and idempotence needs it"
                .to_owned()
        }
    };
    s.set("acks", "all", acks, "KIP-679");
    s.set(
        "enable.idempotence",
        "true",
        "a retry is stored once and in its place (librdkafka's default is false)",
        "KIP-98",
    );
    s.set(
        "max.in.flight.requests.per.connection",
        promise.max_in_flight,
        "brokers remember 5 batches of a producer, so order holds with 5 in flight: 1 is not needed",
        "KAFKA-5494",
    );
    s.set("retries", i32::MAX, "delivery.timeout.ms ends a record's tries, not their number", "KIP-91");
    s.set(
        "delivery.timeout.ms",
        promise.delivery_timeout_ms,
        format!(
            "outlasts a failover: {} until a broker counts as dead, then a request of up to {}, three times over",
            text::millis(BROKER_SESSION_MS),
            text::millis(REQUEST_TIMEOUT_MS)
        ),
        "KIP-91",
    );
    s.set(
        "request.timeout.ms",
        promise.request_timeout_ms,
        "one try; equal to replica.lag.time.max.ms, after which a slow replica leaves the in-sync set",
        "Kafka documentation: Producer Configs, request.timeout.ms",
    );
}

/// How records travel together.
fn batching(s: &mut Settings, topic: &TopicSpec, promise: &ProducerPromise, load: Load, partitions: u32) {
    let batch = text::bytes(promise.batch_bytes.into());
    let linger = promise.linger_ms;
    let in_linger =
        u128::from(load.peak_bytes_per_second / u64::from(partitions.max(1))) * u128::from(linger) / 1_000;
    let reason = if linger == 0 {
        "low_latency: a record goes as soon as the connection is free; under load batches form by themselves"
            .to_owned()
    } else {
        format!(
            "{}/s over {} is {} a partition in {linger} ms at the peak: a batch instead of single records",
            text::bytes(load.peak_bytes_per_second.into()),
            text::count(partitions, "partition"),
            text::bytes(in_linger)
        )
    };
    s.set("linger.ms", linger, reason, "KIP-1030");
    s.set(
        "batch.size",
        promise.batch_bytes,
        "holds what one partition receives during linger.ms at the peak",
        "KIP-1030",
    );
    s.set(
        "compression.type",
        &promise.compression,
        format!(
            "records of {} in batches of {batch} compress well; {}",
            topic.write.record,
            if promise.compression == "zstd" {
                "zstd packs most, for more CPU"
            } else {
                "lz4 costs little CPU"
            }
        ),
        "Kafka documentation: Producer Configs, compression.type",
    );
    s.set(
        "max.request.size",
        promise.max_request_bytes,
        format!("fits the largest record ({}) before compression", topic.write.largest),
        "Kafka documentation: Producer Configs, max.request.size",
    );
}
