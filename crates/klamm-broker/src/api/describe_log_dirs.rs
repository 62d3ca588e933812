//! `DescribeLogDirs` (KIP-113): the one directory, the bytes of each partition in it, and (from version 4, KIP-827) the size and
//! free space of its file system. Version 5 with its mark for cordoned directories is not offered.

use std::collections::{BTreeMap, BTreeSet};

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use klamm_wire::protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use klamm_wire::protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::topics::Topic;

pub(crate) struct DescribeLogDirs;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[structs(&[TEXT, plain(&INT32)])] };

    async fn handle(call: &Call<'_>, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        if let Err(error) = call.check_cluster(Right::Describe) {
            return Self::refuse(call, request, error);
        }
        let topics = match request.topics {
            None => call.node.topics.all().iter().map(|topic| describe(topic, |_| true)).collect(),
            Some(wanted) => chosen(call, wanted),
        };
        let dir = DescribeLogDirsResult::default().with_log_dir(text(call.node.log_dir.as_str()));
        let dir = match file_system_bytes(&call.node.log_dir) {
            Ok((total, usable)) => dir.with_topics(topics).with_total_bytes(total).with_usable_bytes(usable),
            // The folder is gone: to Kafka the directory is offline then.
            Err(_) => dir.with_error_code(ErrorCode::KAFKA_STORAGE_ERROR.code()),
        };
        DescribeLogDirsResponse::default().with_results(vec![dir])
    }

    fn throttled(response: &mut DescribeLogDirsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: DescribeLogDirsRequest, error: ErrorCode) -> DescribeLogDirsResponse {
        DescribeLogDirsResponse::default().with_error_code(error.code())
    }
}

/// The partitions that were asked for and exist; those that do not are left out.
fn chosen(call: &Call<'_>, wanted: Vec<DescribableLogDirTopic>) -> Vec<DescribeLogDirsTopic> {
    let mut by_name = BTreeMap::<TopicName, BTreeSet<i32>>::new();
    for topic in wanted {
        by_name.entry(topic.topic).or_default().extend(topic.partitions);
    }
    let topics = by_name.into_iter().filter_map(|(name, partitions)| {
        let topic = call.node.topics.get(&name)?;
        Some(describe(&topic, |index| partitions.contains(&index)))
    });
    topics.filter(|topic| !topic.partitions.is_empty()).collect()
}

fn describe(topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let logs = topic.partitions();
    let partitions = (0_i32..).zip(&logs).filter(|(index, _)| wanted(*index)).map(|(index, log)| {
        DescribeLogDirsPartition::default()
            .with_partition_index(index)
            .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX))
    });
    DescribeLogDirsTopic::default()
        .with_name(TopicName(text(topic.name.as_str())))
        .with_partitions(partitions.collect())
}

/// Total and free bytes of the file system that holds `dir`.
fn file_system_bytes(dir: &str) -> Result<(i64, i64), rustix::io::Errno> {
    let stat = rustix::fs::statvfs(dir)?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
    Ok((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}
