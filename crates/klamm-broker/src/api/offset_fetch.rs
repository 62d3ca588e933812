//! `OffsetFetch`: of one group, or from version 8 of several (KIP-709). `require_stable` makes no difference: there are no
//! transactions whose offsets could be pending.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use klamm_wire::protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::shape::{BOOL, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::offsets::Committed;

/// The first version with several groups.
const SEVERAL: i16 = 8;
/// The first version in which no list of topics means all.
const ALL_TOPICS: i16 = 2;

pub(crate) struct OffsetFetch;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;

    const REQUEST: Shape = Shape {
        flexible: 6,
        fields: &[
            TEXT.until(7),
            structs(&[TEXT, plain(&INT32)]).until(7),
            structs(&[TEXT, TEXT.since(9), INT32.since(9), structs(&[TEXT, plain(&INT32)])]).since(8),
            BOOL.since(7),
        ],
    };

    async fn handle(call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
        if call.version < SEVERAL {
            let wanted = request.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let wanted = if call.version < ALL_TOPICS { Some(wanted.unwrap_or_default()) } else { wanted };
            let topics = read(call, &request.group_id, wanted).into_iter().map(of_topic);
            return OffsetFetchResponse::default().with_topics(topics.collect());
        }
        let groups = request.groups.into_iter().map(|group| {
            let wanted = group.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let topics = read(call, &group.group_id, wanted).into_iter().map(of_group_topic);
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }

    fn refuse(call: &Call<'_>, request: OffsetFetchRequest, error: ErrorCode) -> OffsetFetchResponse {
        if call.version < SEVERAL {
            return OffsetFetchResponse::default().with_error_code(error.code());
        }
        let groups = request.groups.into_iter().map(|group| {
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(error.code())
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }
}

type Topics = Vec<(TopicName, Vec<Committed>)>;

/// What the group has committed for what is wanted; -1 where it has not. `None` wants everything.
fn read(call: &Call<'_>, group: &str, wanted: Option<Vec<(TopicName, Vec<i32>)>>) -> Topics {
    let offsets = &call.node.offsets;
    if let Some(wanted) = wanted {
        let one = |topic: &TopicName, partition: i32| {
            offsets.get(group, topic, partition).unwrap_or_else(|| Committed {
                topic: topic.to_string(),
                partition,
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
                at_ms: 0,
            })
        };
        let of_topic = |(topic, partitions): (TopicName, Vec<i32>)| {
            let all = partitions.into_iter().map(|partition| one(&topic, partition)).collect();
            (topic, all)
        };
        return wanted.into_iter().map(of_topic).collect();
    }
    let mut topics = Topics::new();
    for committed in offsets.all(group) {
        match topics.last_mut() {
            Some((topic, all)) if **topic == *committed.topic => all.push(committed),
            _ => topics.push((TopicName(text(committed.topic.as_str())), vec![committed])),
        }
    }
    topics
}

fn of_topic((name, committed): (TopicName, Vec<Committed>)) -> OffsetFetchResponseTopic {
    let partitions = committed.into_iter().map(|committed| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(committed.partition)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata)))
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

fn of_group_topic((name, committed): (TopicName, Vec<Committed>)) -> OffsetFetchResponseTopics {
    let partitions = committed.into_iter().map(|committed| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(committed.partition)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata)))
    });
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
}
