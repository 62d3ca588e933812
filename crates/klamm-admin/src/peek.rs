//! The time stamp of the batch at an offset, in many partitions at once: a look, not a reading.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::CallOptions;
use klamm_wire::batch::BatchView;
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::{BrokerId, FetchRequest};

use crate::Admin;
use crate::each::{Leaders, PerPartition, Told, Wanted};
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::pace::Peer;
use crate::read::FETCH_VERSION;

/// Partitions in one request.
const PARTITIONS_PER_REQUEST: usize = 32;
/// Bytes that each partition may answer with: the first batch, when it is no larger.
const PARTITION_BYTES: i32 = 64 << 10;
/// Bytes of a whole answer.
const ANSWER_BYTES: i32 = 4 << 20;

impl Admin {
    /// The largest time stamp, in milliseconds since 1970, of the batch at an offset of each partition; `None` when the batch is
    /// larger than what was asked for (64 KiB), or there is none. Needs READ on the topics.
    pub async fn batch_times(
        &self,
        leaders: &Leaders,
        offsets: &BTreeMap<String, BTreeMap<i32, i64>>,
    ) -> PerPartition<Option<i64>> {
        self.at_leaders("look at batches", leaders, PARTITIONS_PER_REQUEST, &|peer, wanted| async move {
            ask(&peer, &wanted, offsets).await
        })
        .await
    }
}

async fn ask(
    peer: &Peer,
    wanted: &Wanted,
    offsets: &BTreeMap<String, BTreeMap<i32, i64>>,
) -> Result<Told<Option<i64>>, AdminError> {
    let offset = |topic: &str, partition: i32| offsets.get(topic)?.get(&partition).copied();
    let of_topic = |(topic, partitions): (&String, &Vec<i32>)| {
        let partitions = partitions.iter().filter_map(|partition| {
            let at = FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_last_fetched_epoch(-1)
                .with_fetch_offset(offset(topic, *partition)?)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(PARTITION_BYTES);
            Some(at)
        });
        FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions.collect())
    };
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(ANSWER_BYTES)
        .with_session_epoch(-1)
        .with_topics(wanted.iter().map(of_topic).collect());
    let answer =
        peer.call_with(&request, CallOptions { max_version: Some(FETCH_VERSION), timeout: None }).await?;
    ErrorCode::from(answer.error_code)
        .ok()
        .map_err(|code| AdminError::kafka(code, None, "read", "the topics"))?;
    let told = answer.responses.iter().flat_map(|topic| {
        topic.partitions.iter().map(|told| {
            let resource = format!("topic {} partition {}", topic.topic.0, told.partition_index);
            let refused = |code| AdminError::kafka(code, None, "read", &resource);
            let records = told.records.as_deref().unwrap_or_default();
            // The header says all; whether the records after it are whole does not matter.
            let time = BatchView::parse_header(records).ok().map(|(batch, _)| batch.max_timestamp_ms());
            let time = ErrorCode::from(told.error_code).ok().map_err(refused).map(|()| time);
            (topic.topic.0.to_string(), told.partition_index, time)
        })
    });
    Ok(told.collect())
}
