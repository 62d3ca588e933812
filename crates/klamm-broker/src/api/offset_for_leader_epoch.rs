//! `OffsetForLeaderEpoch` (KIP-320): where the log of a leader epoch ends. There is one epoch, so it ends at the log end; a
//! later one is not known (-1).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use klamm_wire::protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use klamm_wire::protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, structs};
use super::{Call, Handler, names};
use crate::log::LEADER_EPOCH;

/// The client does not say, or the answer does not know.
const NO_EPOCH: i32 = -1;

pub(crate) struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    type Response = OffsetForLeaderEpochResponse;

    const REQUEST: Shape =
        Shape { flexible: 4, fields: &[INT32.since(3), structs(&[TEXT, structs(&[INT32, INT32, INT32])])] };

    async fn handle(call: &Call<'_>, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let all = call.check_cluster(Right::ClusterAction).is_ok();
        respond(request, |topic, wanted| {
            if !all {
                call.check_topic(Right::Describe, topic)?;
            }
            find(call, topic, wanted)
        })
    }

    fn throttled(response: &mut OffsetForLeaderEpochResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &OffsetForLeaderEpochRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.topic))
    }

    fn refuse(
        _: &Call<'_>,
        request: OffsetForLeaderEpochRequest,
        error: ErrorCode,
    ) -> OffsetForLeaderEpochResponse {
        respond(request, |_, _| Err(error))
    }
}

/// The epoch that answers, and where it ends.
fn find(call: &Call<'_>, topic: &str, wanted: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let log = call.node.topics.get(topic).and_then(|topic| topic.partition(wanted.partition));
    let log = log.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    match wanted.current_leader_epoch {
        NO_EPOCH | LEADER_EPOCH => {}
        ..NO_EPOCH => return Err(ErrorCode::FENCED_LEADER_EPOCH),
        _ => return Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
    let bounds = log.bounds();
    Ok(match wanted.leader_epoch {
        LEADER_EPOCH => (LEADER_EPOCH, bounds.high_watermark),
        // An epoch before the first one ended where the first one began.
        epoch if epoch < NO_EPOCH => (epoch, bounds.log_start),
        _ => (NO_EPOCH, -1),
    })
}

fn respond(
    request: OffsetForLeaderEpochRequest,
    one: impl Fn(&str, &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            match one(&topic.topic, wanted) {
                Ok((epoch, end_offset)) => answer.with_leader_epoch(epoch).with_end_offset(end_offset),
                Err(error) => {
                    answer.with_error_code(error.code()).with_leader_epoch(NO_EPOCH).with_end_offset(-1)
                }
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
