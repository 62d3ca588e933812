//! `TxnOffsetCommit`: offsets that are committed with a transaction (KIP-98), by a member of the current generation (KIP-447). From version 5 on the group
//! joins the transaction by itself (KIP-890).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use klamm_wire::protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use klamm_wire::protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use uuid::Uuid;

use super::rights::Right;
use super::shape::{INT16, INT32, INT64, Shape, TEXT, structs};
use super::{Call, Handler, names};
use crate::group::Identity;
use crate::offsets::Committed;
use crate::transactions::{Operation, offsets_place};

/// The first version that knows `TRANSACTION_ABORTABLE`.
const ABORTABLE: i16 = 4;
/// The first version of transactions version 2.
const ADDS: i16 = 5;

pub(crate) struct TxnOffsetCommit;

impl Handler for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    type Response = TxnOffsetCommitResponse;

    const REQUEST: Shape = Shape {
        flexible: 3,
        fields: &[
            TEXT,
            TEXT,
            INT64,
            INT16,
            INT32.since(3),
            TEXT.since(3),
            TEXT.since(3),
            structs(&[TEXT, structs(&[INT32, INT64, INT32.since(2), TEXT])]),
        ],
    };

    async fn handle(call: &Call<'_>, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let rights = call
            .check_transactional_id(Right::Write, &request.transactional_id)
            .and_then(|()| call.check_group(Right::Read, &request.group_id));
        if let Err(error) = rights {
            return Self::refuse(call, request, error);
        }
        let at_ms = call.node.config.clock.now_ms();
        let mut known = Vec::new();
        let mut response = respond(&request, |topic, partition| {
            call.check_topic(Right::Read, topic)?;
            let found = call.node.topics.get(topic).and_then(|t| t.partition(partition.partition_index));
            found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            known.push(offset(topic, partition, at_ms));
            Ok(())
        });
        if known.is_empty() {
            return response;
        }
        // What is too large is refused by itself; everything else happens to all or to none.
        let (too_large, fit): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|offset| call.node.is_too_long(&offset.metadata));
        let outcome = commit(call, &request, fit);
        for topic in &mut response.topics {
            for partition in topic.partitions.iter_mut().filter(|partition| partition.error_code == 0) {
                let is_this = |offset: &Committed| {
                    offset.topic == **topic.name && offset.partition == partition.partition_index
                };
                let error = match outcome {
                    Err(error) => error,
                    Ok(()) if too_large.iter().any(is_this) => ErrorCode::OFFSET_METADATA_TOO_LARGE,
                    Ok(()) => ErrorCode::NONE,
                };
                partition.error_code = error.code();
            }
        }
        response
    }

    fn throttled(response: &mut TxnOffsetCommitResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &TxnOffsetCommitRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: TxnOffsetCommitRequest, error: ErrorCode) -> TxnOffsetCommitResponse {
        respond(&request, |_, _| Err(error))
    }
}

fn commit(
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<Committed>,
) -> Result<(), ErrorCode> {
    let operation = match call.version {
        ADDS.. => Operation::Add,
        ABORTABLE.. => Operation::VerifyAbortable,
        _ => Operation::Verify,
    };
    let holder = (request.producer_id.0, request.producer_epoch);
    let (id, group) = (request.transactional_id.as_str(), request.group_id.as_str());
    let identity = Identity {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_deref().map(str::to_owned),
    };
    let node = call.node;
    node.transactions.within(node, Some(id), holder, offsets_place(group), operation, |_| {
        let id = |topic: &str| node.topics.get(topic).map_or(Uuid::nil(), |topic| topic.id);
        let partitions: Vec<_> = offsets.iter().map(|offset| (id(&offset.topic), offset.partition)).collect();
        node.groups.check_txn_commit(group, &identity, request.generation_id, &partitions)?;
        node.offsets.add_pending(holder.0, group, offsets).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
    })?
}

fn offset(topic: &str, partition: &TxnOffsetCommitRequestPartition, at_ms: i64) -> Committed {
    Committed {
        topic: topic.to_owned(),
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().unwrap_or_default().to_owned(),
        at_ms,
    }
}

fn respond(
    request: &TxnOffsetCommitRequest,
    mut one: impl FnMut(&str, &TxnOffsetCommitRequestPartition) -> Result<(), ErrorCode>,
) -> TxnOffsetCommitResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let error = one(&topic.name, partition).err().unwrap_or(ErrorCode::NONE);
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        let name = topic.name.clone();
        topics.push(TxnOffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions));
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}
