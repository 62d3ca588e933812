//! How answers that several conversations get are written down.

use bytes::Bytes;
use klamm_testkit::anyhow::Result;
use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp, batches};
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::{
    BrokerId, FetchRequest, ListOffsetsRequest, ProduceRequest, TransactionalId,
};

use crate::side::{Side, code, text, topic};

/// The time of all records.
pub const NOW: i64 = 1_760_000_000_000;

/// One batch with so many records, all of one time.
pub fn batch(
    stamp: Option<ProducerStamp>,
    transactional: bool,
    records: usize,
    time_ms: i64,
) -> Result<Bytes> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some(stamp) = stamp {
        builder = builder.producer(stamp);
    }
    if transactional {
        builder = builder.transactional();
    }
    for index in 0..records {
        builder.append(time_ms, Some(b"key"), Some(format!("{index}").as_bytes()), &[]);
    }
    Ok(builder.finish()?.into())
}

/// Produces one batch: the error, and the base offset.
pub fn produce(
    side: &mut Side,
    version: i16,
    id: Option<&str>,
    (name, partition): (&str, i32),
    records: Bytes,
) -> Result<String> {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let answer =
        side.settled(version, &request, |answer| answer.responses[0].partition_responses[0].error_code)?;
    let answer = &answer.responses[0].partition_responses[0];
    Ok(format!("{} at {}", code(answer.error_code), answer.base_offset))
}

/// Fetches from an offset on: bounds, batches, and what was aborted.
pub fn fetch(side: &mut Side, name: &str, partition: i32, offset: i64, isolation: i8) -> Result<String> {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(1 << 20)
        .with_isolation_level(isolation)
        .with_topics(vec![FetchTopic::default().with_topic(topic(name)).with_partitions(vec![wanted])]);
    let answer = side.call(12, &request)?;
    let Some(data) = answer.responses.first().and_then(|topic| topic.partitions.first()) else {
        return Ok(format!("{} without partitions", code(answer.error_code)));
    };
    let mut parts = Vec::new();
    for batch in batches(data.records.as_deref().unwrap_or_default()) {
        let batch = batch?;
        batch.verify_crc()?;
        let producer = match batch.producer() {
            Some(stamp) => {
                format!("{} epoch {} seq {}", side.number(stamp.id), stamp.epoch, stamp.base_sequence)
            }
            None => "-".to_owned(),
        };
        let kind = match (batch.is_control(), batch.is_transactional()) {
            (true, _) => "marker",
            (_, true) => "transactional",
            _ => "plain",
        };
        parts.push(format!("{}..{} {kind} {producer}", batch.base_offset(), batch.last_offset()));
    }
    let aborted = data.aborted_transactions.as_ref().map(|all| {
        let mut all: Vec<_> = all
            .iter()
            .map(|aborted| format!("{} from {}", side.number(aborted.producer_id.0), aborted.first_offset))
            .collect();
        all.sort();
        all.join(", ")
    });
    Ok(format!(
        "{} start {} stable {} end {} [{}] aborted {aborted:?}",
        code(data.error_code),
        data.log_start_offset,
        data.last_stable_offset,
        data.high_watermark,
        parts.join("; ")
    ))
}

/// Lists one offset.
pub fn list(side: &mut Side, name: &str, partition: i32, timestamp: i64, isolation: i8) -> Result<String> {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![wanted])]);
    let answer = side.call(9, &request)?;
    let found = &answer.topics[0].partitions[0];
    // A marker has the time at which it was written.
    let time = if found.timestamp > NOW + 1 { "of a marker".to_owned() } else { found.timestamp.to_string() };
    Ok(format!("{} offset {} time {time}", code(found.error_code), found.offset))
}
