//! `DescribeProducers` (KIP-664): the producers that a partition remembers, and what each has open.

use klamm_kafka::{ErrorCode, check_topic_name};
use klamm_wire::protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use klamm_wire::protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::log::ActiveProducer;

pub(crate) struct DescribeProducers;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;
    type Response = DescribeProducersResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[structs(&[TEXT, plain(&INT32)])] };

    async fn handle(call: &Call<'_>, request: DescribeProducersRequest) -> DescribeProducersResponse {
        respond(request, |topic, partition| {
            check_topic_name(topic).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
            call.check_topic(Right::Read, topic)?;
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let log = call.node.topics.get(topic).ok_or(unknown)?.partition(partition).ok_or(unknown)?;
            Ok(log.active_producers())
        })
    }

    fn throttled(response: &mut DescribeProducersResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(
        _: &Call<'_>,
        request: DescribeProducersRequest,
        error: ErrorCode,
    ) -> DescribeProducersResponse {
        respond(request, |_, _| Err(error))
    }
}

fn respond(
    request: DescribeProducersRequest,
    one: impl Fn(&str, i32) -> Result<Vec<ActiveProducer>, ErrorCode>,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&partition| {
            let response = PartitionResponse::default().with_partition_index(partition);
            match one(&topic.name, partition) {
                Ok(all) => response.with_active_producers(all.into_iter().map(state).collect()),
                Err(error) => {
                    response.with_error_code(error.code()).with_error_message(Some(text(error.meaning())))
                }
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch.into())
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp_ms)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.open_since)
}
