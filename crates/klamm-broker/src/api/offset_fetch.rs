//! `OffsetFetch`: of one group, or from version 8 of several (KIP-709); by a member at its epoch (KIP-848), and in
//! version 10 with topics named by their ids. Asked for stable offsets (KIP-447) it answers
//! `UNSTABLE_OFFSET_COMMIT` for those that an open transaction may still change.

use std::collections::HashSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use klamm_wire::protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use klamm_wire::protocol::messages::{OffsetFetchResponse, TopicName};
use uuid::Uuid;

use super::rights::Right;
use super::shape::{BOOL, INT32, Shape, TEXT, UUID, plain, structs};
use super::topic_ids::{FetchRequest, FetchResponse, TOPIC_IDS};
use super::{Call, Handler, name_or_id, text};
use crate::offsets::Committed;

/// The first version with several groups.
const SEVERAL: i16 = 8;
/// The first version in which no list of topics means all.
const ALL_TOPICS: i16 = 2;

pub(crate) struct OffsetFetch;

impl Handler for OffsetFetch {
    type Request = FetchRequest;
    type Response = FetchResponse;

    const REQUEST: Shape = Shape {
        flexible: 6,
        fields: &[
            TEXT.until(7),
            structs(&[TEXT, plain(&INT32)]).until(7),
            structs(&[
                TEXT,
                TEXT.since(9),
                INT32.since(9),
                structs(&[TEXT.until(9), UUID.since(10), plain(&INT32)]),
            ])
            .since(8),
            BOOL.since(7),
        ],
    };

    async fn handle(call: &Call<'_>, FetchRequest(request): FetchRequest) -> FetchResponse {
        let stable = request.require_stable;
        if call.version < SEVERAL {
            if let Err(error) = call.check_group(Right::Describe, &request.group_id) {
                return Self::refuse(call, FetchRequest(request), error);
            }
            let wanted = request.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let wanted = if call.version < ALL_TOPICS { Some(wanted.unwrap_or_default()) } else { wanted };
            let topics = read(call, &request.group_id, wanted, stable).into_iter().map(of_topic);
            return FetchResponse(OffsetFetchResponse::default().with_topics(topics.collect()));
        }
        let mut seen = HashSet::new();
        let once = request.groups.into_iter().filter(|group| seen.insert(group.group_id.clone()));
        let groups = once.map(|group| {
            let member = group.member_id.as_deref();
            let checked = call
                .check_group(Right::Describe, &group.group_id)
                .and_then(|()| call.node.groups.check_fetch(&group.group_id, member, group.member_epoch));
            if let Err(error) = checked {
                return OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id)
                    .with_error_code(error.code());
            }
            let mut unknown = Vec::new();
            let wanted = group.topics.map(|topics| {
                let named = topics.into_iter().filter_map(|topic| match name_of(call, &topic) {
                    Some(name) => Some((name, topic.partition_indexes)),
                    None => {
                        unknown.push(of_unknown_topic(topic));
                        None
                    }
                });
                named.collect()
            });
            let found = read(call, &group.group_id, wanted, stable);
            let topics = found.into_iter().filter_map(|topic| of_group_topic(call, topic)).chain(unknown);
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
        });
        FetchResponse(OffsetFetchResponse::default().with_groups(groups.collect()))
    }

    fn throttled(response: &mut FetchResponse, ms: i32) {
        response.0.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, request: &FetchRequest) -> Vec<String> {
        let first = request.0.topics.iter().flatten().map(|topic| topic.name.to_string());
        let groups = request.0.groups.iter().flat_map(|group| group.topics.iter().flatten());
        let several = groups.filter_map(|topic| name_or_id(call, &topic.name, topic.topic_id));
        first.chain(several).collect()
    }

    fn refuse(call: &Call<'_>, FetchRequest(request): FetchRequest, error: ErrorCode) -> FetchResponse {
        if call.version < SEVERAL {
            // Version 1 has room for an error only at each partition.
            let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
                let partitions = topic.partition_indexes.iter().map(|partition| {
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(*partition)
                        .with_error_code(error.code())
                        .with_committed_offset(-1)
                });
                OffsetFetchResponseTopic::default()
                    .with_name(topic.name)
                    .with_partitions(partitions.collect())
            });
            let topics = if call.version < ALL_TOPICS { topics.collect() } else { Vec::new() };
            let refused = OffsetFetchResponse::default().with_error_code(error.code()).with_topics(topics);
            return FetchResponse(refused);
        }
        let groups = request.groups.into_iter().map(|group| {
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(error.code())
        });
        FetchResponse(OffsetFetchResponse::default().with_groups(groups.collect()))
    }
}

/// The name of a topic that is asked for; `None` if there is none with its id.
fn name_of(call: &Call<'_>, topic: &OffsetFetchRequestTopics) -> Option<TopicName> {
    if call.version < TOPIC_IDS {
        return Some(topic.name.clone());
    }
    let known = call.node.topics.get_by_id(topic.topic_id)?;
    Some(TopicName(text(known.name.as_str())))
}

fn of_unknown_topic(topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.into_iter().map(|index| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(-1)
            .with_metadata(Some(text("")))
            .with_error_code(ErrorCode::UNKNOWN_TOPIC_ID.code())
    });
    OffsetFetchResponseTopics::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
}

type Topics = Vec<(TopicName, Vec<Found>)>;

/// One partition's offset, or why it is not told.
struct Found {
    committed: Committed,
    error: ErrorCode,
}

/// What the group has committed for what is wanted; -1 where it has not. `None` wants everything.
fn read(call: &Call<'_>, group: &str, wanted: Option<Vec<(TopicName, Vec<i32>)>>, stable: bool) -> Topics {
    let offsets = &call.node.offsets;
    let none = |topic: &str, partition: i32| Committed {
        topic: topic.to_owned(),
        partition,
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
        at_ms: 0,
    };
    let found = |committed: Committed| match stable
        && offsets.is_pending(group, &committed.topic, committed.partition)
    {
        true => Found {
            committed: none(&committed.topic, committed.partition),
            error: ErrorCode::UNSTABLE_OFFSET_COMMIT,
        },
        false => Found { committed, error: ErrorCode::NONE },
    };
    if let Some(wanted) = wanted {
        let one = |topic: &TopicName, partition: i32| {
            if let Err(error) = call.check_topic(Right::Describe, topic) {
                return Found { committed: none(topic, partition), error };
            }
            found(offsets.get(group, topic, partition).unwrap_or_else(|| none(topic, partition)))
        };
        let of_topic = |(topic, partitions): (TopicName, Vec<i32>)| {
            let all = partitions.into_iter().map(|partition| one(&topic, partition)).collect();
            (topic, all)
        };
        return wanted.into_iter().map(of_topic).collect();
    }
    let mut topics = Topics::new();
    let visible = |committed: &Committed| call.check_topic(Right::Describe, &committed.topic).is_ok();
    for committed in offsets.all(group).into_iter().filter(visible) {
        match topics.last_mut() {
            Some((topic, all)) if **topic == *committed.topic => all.push(found(committed)),
            _ => topics.push((TopicName(text(committed.topic.as_str())), vec![found(committed)])),
        }
    }
    topics
}

fn of_topic((name, found): (TopicName, Vec<Found>)) -> OffsetFetchResponseTopic {
    let partitions = found.into_iter().map(|Found { committed, error }| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(committed.partition)
            .with_error_code(error.code())
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata)))
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

/// `None` for a topic without an id where it must be told.
fn of_group_topic(
    call: &Call<'_>,
    (name, found): (TopicName, Vec<Found>),
) -> Option<OffsetFetchResponseTopics> {
    let id = match call.version {
        TOPIC_IDS.. => call.node.topics.get(&name)?.id,
        _ => Uuid::nil(),
    };
    let partitions = found.into_iter().map(|Found { committed, error }| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(committed.partition)
            .with_error_code(error.code())
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata)))
    });
    let topic = OffsetFetchResponseTopics::default().with_name(name).with_topic_id(id);
    Some(topic.with_partitions(partitions.collect()))
}
