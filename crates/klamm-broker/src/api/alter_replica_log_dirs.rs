//! `AlterReplicaLogDirs` (KIP-113): there is one directory, and everything is in it already; any other is
//! `LOG_DIR_NOT_FOUND`.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use klamm_wire::protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler};

/// What Kafka appends to `<topic>-<partition>` while it copies a partition: a dot, 32 digits and `-future`.
const FUTURE_SUFFIX_BYTES: usize = 1 + 32 + "-future".len();

/// The longest name of a file.
const MAX_FILE_NAME_BYTES: usize = 255;

pub(crate) struct AlterReplicaLogDirs;

impl Handler for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    type Response = AlterReplicaLogDirsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[TEXT, structs(&[TEXT, plain(&INT32)])])] };

    async fn handle(call: &Call<'_>, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        respond(request, |dir, topic, partition| check(call, dir, topic, partition))
    }

    fn throttled(response: &mut AlterReplicaLogDirsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(
        _: &Call<'_>,
        request: AlterReplicaLogDirsRequest,
        error: ErrorCode,
    ) -> AlterReplicaLogDirsResponse {
        respond(request, |_, _, _| error)
    }
}

fn check(call: &Call<'_>, dir: &str, topic: &str, partition: i32) -> ErrorCode {
    let folder = format!("{topic}-{partition}");
    if folder.len() + FUTURE_SUFFIX_BYTES > MAX_FILE_NAME_BYTES {
        return ErrorCode::INVALID_TOPIC_EXCEPTION;
    }
    if dir != call.node.log_dir {
        return ErrorCode::LOG_DIR_NOT_FOUND;
    }
    match call.node.topics.get(topic).and_then(|topic| topic.partition(partition)) {
        Some(_) => ErrorCode::NONE,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}

fn respond(
    request: AlterReplicaLogDirsRequest,
    one: impl Fn(&str, &str, i32) -> ErrorCode,
) -> AlterReplicaLogDirsResponse {
    // A partition that is named for two directories is answered once, for the last of them.
    let mut results = BTreeMap::<TopicName, BTreeMap<i32, ErrorCode>>::new();
    for dir in request.dirs {
        for topic in dir.topics {
            let of_topic = results.entry(topic.name.clone()).or_default();
            let errors = topic.partitions.iter().map(|&index| (index, one(&dir.path, &topic.name, index)));
            of_topic.extend(errors);
        }
    }
    let results = results.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, error)| {
            AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(index)
                .with_error_code(error.code())
        });
        AlterReplicaLogDirTopicResult::default().with_topic_name(topic).with_partitions(partitions.collect())
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}
