//! Produce requests and their answers, from the machine's words to the wire's and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use klamm_contract::Acks;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::produce_response::PartitionProduceResponse;
use klamm_wire::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, TopicName,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::produce::{Answer, Identity, Part, Producer, Slot};

/// The last version that names topics; later ones want their ids.
pub(super) const LAST_WITH_NAMES: i16 = 12;

/// What is the same in all produce requests of a producer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) acks: Acks,
    pub(super) request_timeout: Duration,
}

/// The request for these parts, and their slots.
pub(super) fn produce(parts: Vec<Part>, machine: &Producer, terms: Terms) -> (ProduceRequest, Vec<Slot>) {
    let mut slots = Vec::with_capacity(parts.len());
    let mut topics: BTreeMap<Arc<str>, Vec<PartitionProduceData>> = BTreeMap::new();
    for Part { slot, bytes, .. } in parts {
        let (topic, partition) = machine.name(slot);
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(bytes));
        topics.entry(Arc::clone(topic)).or_default().push(data);
        slots.push(slot);
    }
    let topic = |(name, data): (Arc<str>, Vec<PartitionProduceData>)| {
        let name = TopicName(StrBytes::from_string(name.to_string()));
        TopicProduceData::default().with_name(name).with_partition_data(data)
    };
    let acks = match terms.acks {
        Acks::All => -1,
        Acks::Leader => 1,
    };
    let request = ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(i32::try_from(terms.request_timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics.into_iter().map(topic).collect());
    (request, slots)
}

/// What the broker says of each of these partitions.
pub(super) fn answers(response: ProduceResponse, slots: &[Slot], machine: &Producer) -> Vec<(Slot, Answer)> {
    let by_name: HashMap<(&str, i32), Slot> = slots
        .iter()
        .map(|slot| {
            let (topic, partition) = machine.name(*slot);
            ((&**topic, partition), *slot)
        })
        .collect();
    let mut answers = Vec::with_capacity(slots.len());
    for topic in response.responses {
        for partition in topic.partition_responses {
            if let Some(slot) = by_name.get(&(topic.name.0.as_str(), partition.index)) {
                answers.push((*slot, answer(partition)));
            }
        }
    }
    answers
}

fn answer(partition: PartitionProduceResponse) -> Answer {
    let refused = partition.record_errors.into_iter().filter_map(|error| {
        let message = error.batch_index_error_message.map(|message| message.to_string());
        Some((u32::try_from(error.batch_index).ok()?, message))
    });
    Answer {
        code: ErrorCode::from(partition.error_code),
        base_offset: partition.base_offset,
        append_time_ms: Some(partition.log_append_time_ms).filter(|ms| *ms >= 0),
        message: partition.error_message.map(|message| message.to_string()),
        refused: refused.collect(),
    }
}

/// Asks for a fresh producer id.
pub(super) fn identity() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX)
}

/// The id that was given.
pub(super) fn identified(response: &InitProducerIdResponse) -> Result<Identity, ErrorCode> {
    ErrorCode::from(response.error_code).ok()?;
    Ok(Identity { id: response.producer_id.0, epoch: response.producer_epoch })
}
