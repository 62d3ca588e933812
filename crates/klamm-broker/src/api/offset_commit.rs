//! `OffsetCommit`: by a member of the current generation or epoch (KIP-848), at an earlier epoch for partitions that it has had since
//! then (KIP-1251), or from outside while the group is empty. Topics are named by their ids in version 10.

use std::sync::Arc;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use klamm_wire::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::rights::Right;
use super::shape::{INT32, INT64, Shape, TEXT, UUID, structs};
use super::topic_ids::{CommitRequest, CommitResponse, TOPIC_IDS, told_id};
use super::{Call, Handler, name_or_id};
use crate::group::{Committer, Identity};
use crate::offsets::Committed;
use crate::topics::Topic;

pub(crate) struct OffsetCommit;

impl Handler for OffsetCommit {
    type Request = CommitRequest;
    type Response = CommitResponse;

    const REQUEST: Shape = Shape {
        flexible: 8,
        fields: &[
            TEXT,
            INT32,
            TEXT,
            TEXT.since(7),
            INT64.until(4),
            structs(&[TEXT.until(9), UUID.since(10), structs(&[INT32, INT64, INT32.since(6), TEXT])]),
        ],
    };

    async fn handle(call: &Call<'_>, CommitRequest(request): CommitRequest) -> CommitResponse {
        let committer = Committer {
            identity: Identity {
                member_id: request.member_id.to_string(),
                instance_id: request.group_instance_id.as_deref().map(str::to_owned),
            },
            generation: request.generation_id_or_member_epoch,
            version: call.version,
        };
        if let Err(error) = call.check_group(Right::Read, &request.group_id) {
            return Self::refuse(call, CommitRequest(request), error);
        }
        let node = call.node;
        let at_ms = node.config.clock.now_ms();
        let (mut commits, mut partitions) = (Vec::new(), Vec::new());
        let group = request.group_id.to_string();
        let mut somewhere = false;
        let mut response = respond(&request, call.version, |topic, partition| {
            let topic = known(call, topic)?;
            topic.partition(partition.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            somewhere = true;
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            if node.is_too_long(metadata) {
                return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
            }
            partitions.push((topic.id, partition.partition_index));
            commits.push(Committed {
                topic: topic.name.clone(),
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: metadata.to_owned(),
                at_ms,
            });
            Ok(())
        });
        if !somewhere {
            // As in Kafka, the group is asked only about partitions that exist.
            return CommitResponse(response);
        }
        if let Err(error) = node.groups.check_commit(&group, &committer, &partitions) {
            // What was refused before keeps its own error, but of metadata only the group would have told.
            replace(&mut response, &[ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE], error);
            return CommitResponse(response);
        }
        if node.offsets.commit(&group, commits).is_err() {
            // Nothing was committed. Clients try again at the coordinator.
            replace(&mut response, &[ErrorCode::NONE], ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        CommitResponse(response)
    }

    fn throttled(response: &mut CommitResponse, ms: i32) {
        response.0.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, CommitRequest(request): &CommitRequest) -> Vec<String> {
        request.topics.iter().filter_map(|topic| name_or_id(call, &topic.name, topic.topic_id)).collect()
    }

    fn refuse(call: &Call<'_>, request: CommitRequest, error: ErrorCode) -> CommitResponse {
        CommitResponse(respond(&request.0, call.version, |_, _| Err(error)))
    }
}

/// The topic, if it exists and may be read.
fn known(call: &Call<'_>, wanted: &OffsetCommitRequestTopic) -> Result<Arc<Topic>, ErrorCode> {
    let topics = &call.node.topics;
    if call.version >= TOPIC_IDS {
        let topic = topics.get_by_id(wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
        call.check_topic(Right::Read, &topic.name)?;
        return Ok(topic);
    }
    call.check_topic(Right::Read, &wanted.name)?;
    topics.get(&wanted.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

/// Where the answer says one of `old`, it says `new`.
fn replace(response: &mut OffsetCommitResponse, old: &[ErrorCode], new: ErrorCode) {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|one| old.iter().any(|old| old.code() == one.error_code)) {
        partition.error_code = new.code();
    }
}

fn respond(
    request: &OffsetCommitRequest,
    version: i16,
    mut one: impl FnMut(&OffsetCommitRequestTopic, &OffsetCommitRequestPartition) -> Result<(), ErrorCode>,
) -> OffsetCommitResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let error = one(topic, partition).err().unwrap_or(ErrorCode::NONE);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_topic_id(told_id(version, topic.topic_id))
                .with_partitions(partitions),
        );
    }
    OffsetCommitResponse::default().with_topics(topics)
}
