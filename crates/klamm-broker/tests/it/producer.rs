//! A transactional producer by hand, request by request, and the offsets of its group.

use std::io;

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp};
use klamm_wire::protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, InitProducerIdRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};

use crate::client::*;

/// The last versions of the classic flow, and those of version 2 (KIP-890).
pub const CLASSIC: Versions = Versions { produce: 11, end: 4, offsets: 4 };
pub const TWO: Versions = Versions { produce: 12, end: 5, offsets: 5 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub produce: i16,
    pub end: i16,
    pub offsets: i16,
}

/// It writes to the two partitions of topic `t`, and commits offsets of group `g`.
pub struct Producer<'a> {
    pub client: &'a mut Client,
    pub versions: Versions,
    pub id: i64,
    pub epoch: i16,
    pub sequences: [i32; 2],
}

pub const MINUTE: i32 = 60_000;

pub fn txn() -> TransactionalId {
    TransactionalId(text("txn"))
}

pub fn init(client: &mut Client, held: (i64, i16), timeout_ms: i32) -> Result<(i64, i16), ErrorCode> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(txn()))
        .with_transaction_timeout_ms(timeout_ms)
        .with_producer_id(ProducerId(held.0))
        .with_producer_epoch(held.1);
    let answer = client.call(5, &request);
    match answer.error_code {
        0 => Ok((answer.producer_id.0, answer.producer_epoch)),
        code => Err(ErrorCode::from(code)),
    }
}

/// A member of a classic group, as a commit names it.
#[derive(Debug, Clone)]
pub struct Member {
    pub id: String,
    pub generation: i32,
}

impl<'a> Producer<'a> {
    pub fn start(client: &'a mut Client, versions: Versions) -> Self {
        let (id, epoch) = init(client, (-1, -1), MINUTE).unwrap();
        Self { client, versions, id, epoch, sequences: [0, 0] }
    }

    pub fn send(&mut self, value: &str) -> ErrorCode {
        self.try_send(0, value).unwrap()
    }

    pub fn try_send(&mut self, partition: i32, value: &str) -> io::Result<ErrorCode> {
        let sequence = self.sequences[partition as usize];
        let stamp = ProducerStamp { id: self.id, epoch: self.epoch, base_sequence: sequence };
        let code = try_send(self.client, self.versions, stamp, partition, value)?;
        self.sequences[partition as usize] += i32::from(code.is_ok());
        Ok(code)
    }

    pub fn add(&mut self, partitions: &[i32]) -> ErrorCode {
        self.try_add(partitions).unwrap()
    }

    pub fn try_add(&mut self, partitions: &[i32]) -> io::Result<ErrorCode> {
        let topic =
            AddPartitionsToTxnTopic::default().with_name(topic("t")).with_partitions(partitions.to_vec());
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(txn())
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer = self.client.try_call(3, &request)?;
        let first = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
        Ok(ErrorCode::from(first.partition_error_code))
    }

    pub fn try_add_group(&mut self) -> io::Result<ErrorCode> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(txn())
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text("g")));
        Ok(ErrorCode::from(self.client.try_call(4, &request)?.error_code))
    }

    /// Ends, and takes over the epoch that version 2 gives.
    pub fn end(&mut self, committed: bool) -> ErrorCode {
        self.try_end(committed).unwrap()
    }

    pub fn try_end(&mut self, committed: bool) -> io::Result<ErrorCode> {
        let request = EndTxnRequest::default()
            .with_transactional_id(txn())
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        let answer = self.client.try_call(self.versions.end, &request)?;
        if answer.error_code == 0 && self.versions.end >= TWO.end {
            (self.id, self.epoch, self.sequences) = (answer.producer_id.0, answer.producer_epoch, [0, 0]);
        }
        Ok(ErrorCode::from(answer.error_code))
    }

    /// Commits for nobody's generation.
    pub fn commit_offset(&mut self, offset: i64) -> ErrorCode {
        self.try_commit_offset(offset, &Member { id: String::new(), generation: -1 }).unwrap()
    }

    pub fn try_commit_offset(&mut self, offset: i64, member: &Member) -> io::Result<ErrorCode> {
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic =
            TxnOffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(txn())
            .with_group_id(GroupId(text("g")))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_member_id(text(&member.id))
            .with_generation_id(member.generation)
            .with_topics(vec![topic]);
        let answer = self.client.try_call(self.versions.offsets, &request)?;
        Ok(ErrorCode::from(answer.topics[0].partitions[0].error_code))
    }
}

pub fn send(client: &mut Client, versions: Versions, stamp: ProducerStamp, value: &str) -> ErrorCode {
    try_send(client, versions, stamp, 0, value).unwrap()
}

fn try_send(
    client: &mut Client,
    versions: Versions,
    stamp: ProducerStamp,
    partition: i32,
    value: &str,
) -> io::Result<ErrorCode> {
    let mut builder = BatchBuilder::new(Compression::None).producer(stamp).transactional();
    builder.append(NOW, Some(b"key"), Some(value.as_bytes()), &[]);
    let records: Bytes = builder.finish().unwrap().into();
    let request = produce_request("t", partition, records).with_transactional_id(Some(txn()));
    let answer = client.try_call(versions.produce, &request)?;
    Ok(ErrorCode::from(answer.responses[0].partition_responses[0].error_code))
}

/// What group `g` has committed for partition 0 of `t`.
pub fn offset(client: &mut Client, stable: bool) -> Result<i64, ErrorCode> {
    let topics = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let group =
        OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topics]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable);
    let answer = client.call(8, &request).groups.remove(0).topics.remove(0).partitions.remove(0);
    match answer.error_code {
        0 => Ok(answer.committed_offset),
        code => Err(ErrorCode::from(code)),
    }
}

/// Commits for partition 0 of `t`, as somebody who is no member of group `g`.
pub fn try_commit(client: &mut Client, offset: i64) -> io::Result<ErrorCode> {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    Ok(ErrorCode::from(client.try_call(8, &request)?.topics[0].partitions[0].error_code))
}
