//! `OffsetCommit`: by a member of the current generation, or from outside while the group is empty.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use klamm_wire::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use klamm_wire::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::shape::{INT32, INT64, Shape, TEXT, structs};
use super::{Call, Handler};
use crate::group::Identity;
use crate::offsets::Committed;
use crate::settings::BrokerSettings;

pub(crate) struct OffsetCommit;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;

    const REQUEST: Shape = Shape {
        flexible: 8,
        fields: &[
            TEXT,
            INT32,
            TEXT,
            TEXT.since(7),
            INT64.until(4),
            structs(&[TEXT, structs(&[INT32, INT64, INT32.since(6), TEXT])]),
        ],
    };

    async fn handle(call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let identity = Identity {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_deref().map(str::to_owned),
        };
        let generation = request.generation_id_or_member_epoch;
        if let Err(error) = call.node.groups.check_commit(&request.group_id, &identity, generation) {
            return Self::refuse(call, request, error);
        }
        let at_ms = call.node.config.clock.now_ms();
        let mut commits = Vec::new();
        let group = request.group_id.to_string();
        let mut response = respond(request, |topic, partition| {
            let known = call.node.topics.get(topic).and_then(|t| t.partition(partition.partition_index));
            known.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            if metadata.len() > BrokerSettings::OFFSET_METADATA_MAX_BYTES {
                return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
            }
            commits.push(Committed {
                topic: topic.to_owned(),
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: metadata.to_owned(),
                at_ms,
            });
            Ok(())
        });
        if call.node.offsets.commit(&group, commits).is_err() {
            // Nothing was committed. Clients try again at the coordinator.
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = ErrorCode::COORDINATOR_NOT_AVAILABLE.code();
            }
        }
        response
    }

    fn refuse(_: &Call<'_>, request: OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
        respond(request, |_, _| Err(error))
    }
}

fn respond(
    request: OffsetCommitRequest,
    mut one: impl FnMut(&str, &OffsetCommitRequestPartition) -> Result<(), ErrorCode>,
) -> OffsetCommitResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let error = one(&topic.name, partition).err().unwrap_or(ErrorCode::NONE);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        topics.push(OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    OffsetCommitResponse::default().with_topics(topics)
}
