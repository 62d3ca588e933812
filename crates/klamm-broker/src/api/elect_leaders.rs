//! `ElectLeaders` (KIP-183, KIP-460): the one broker leads everything already, so that no election is needed.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use klamm_wire::protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::rights::Right;
use super::shape::{INT8, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(crate) struct ElectLeaders;

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;
    type Response = ElectLeadersResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[INT8.since(1), structs(&[TEXT, plain(&INT32)]), INT32] };

    async fn handle(call: &Call<'_>, request: ElectLeadersRequest) -> ElectLeadersResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        if !matches!(request.election_type, PREFERRED | UNCLEAN) {
            let message = format!("Unknown election type {}", request.election_type);
            let refusal = Refusal::new(ErrorCode::INVALID_REQUEST, message);
            return respond(request, |_, _| refusal.clone())
                .with_error_code(ErrorCode::INVALID_REQUEST.code());
        }
        if request.topic_partitions.is_none() {
            // Of all partitions only those are told that had no leader before.
            let topics = call.node.topics.all().into_iter().map(|topic| {
                ReplicaElectionResult::default().with_topic(TopicName(text(topic.name.as_str())))
            });
            return ElectLeadersResponse::default().with_replica_election_results(topics.collect());
        }
        respond(request, |topic, partition| elect(call, topic, partition))
    }

    fn throttled(response: &mut ElectLeadersResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: ElectLeadersRequest, error: ErrorCode) -> ElectLeadersResponse {
        respond(request, |_, _| Refusal::new(error, error.meaning())).with_error_code(error.code())
    }
}

fn elect(call: &Call<'_>, name: &str, partition: i32) -> Refusal {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let Some(topic) = call.node.topics.get(name) else {
        return Refusal::new(unknown, format!("No such topic as {name}"));
    };
    match topic.partition(partition) {
        Some(_) => {
            let message = "Leader election not needed for topic partition.";
            Refusal::new(ErrorCode::ELECTION_NOT_NEEDED, message)
        }
        None => Refusal::new(unknown, format!("No such partition as {name}-{partition}")),
    }
}

fn respond(request: ElectLeadersRequest, one: impl Fn(&str, i32) -> Refusal) -> ElectLeadersResponse {
    let topics = request.topic_partitions.unwrap_or_default().into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|&index| {
            let refusal = one(&topic.topic, index);
            PartitionResult::default()
                .with_partition_id(index)
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message)))
        });
        let partitions = partitions.collect();
        ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions)
    });
    ElectLeadersResponse::default().with_replica_election_results(topics.collect())
}
