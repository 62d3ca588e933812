//! Offsets that members and others commit, fetch and delete, alone or within a transaction.

use klamm_testkit::anyhow::Result;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::{
    EndTxnRequest, InitProducerIdRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use klamm_wire::protocol::protocol::StrBytes;

use super::place::TOPICS;
use super::step::{At, Epoch};
use super::{Conversation, LETTERS};
use crate::side::{Side, code, text, topic, wait_for_markers};

/// Who acts: a member, or somebody from outside the group.
type Who = (Option<usize>, Epoch);

fn identity(side: &Side, (who, epoch): Who) -> (StrBytes, i32) {
    let Some(member) = who else { return (text(""), -1) };
    let told = side.groups.told(member);
    (text(LETTERS[member]), told.at(epoch))
}

impl Conversation {
    pub(super) fn commit(
        &self,
        side: &mut Side,
        who: Who,
        version: i16,
        at: At,
        offset: i64,
    ) -> Result<String> {
        let (member, epoch) = identity(side, who);
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(at.1)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("m")));
        let wanted = OffsetCommitRequestTopic::default()
            .with_name(topic(&self.names[at.0]))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group())
            .with_generation_id_or_member_epoch(epoch)
            .with_member_id(member)
            .with_topics(vec![wanted]);
        let answer = side.settled(version, &request, |answer| answer.topics[0].partitions[0].error_code)?;
        Ok(code(answer.topics[0].partitions[0].error_code))
    }

    pub(super) fn fetch(
        &self,
        side: &mut Side,
        who: Option<usize>,
        epoch: Epoch,
        version: i16,
    ) -> Result<String> {
        let (member, epoch) = identity(side, (who, epoch));
        let topics = (0..TOPICS).map(|place| {
            OffsetFetchRequestTopics::default()
                .with_name(topic(&self.names[place]))
                .with_partition_indexes(vec![0, 1, 2])
        });
        let mut group = OffsetFetchRequestGroup::default()
            .with_group_id(self.group())
            .with_topics(Some(topics.collect()));
        if version >= 9 {
            group = group.with_member_id(who.map(|_| member)).with_member_epoch(epoch);
        }
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer = side.settled(version, &request, |answer| answer.groups[0].error_code)?;
        let group = &answer.groups[0];
        let mut offsets = Vec::new();
        for topic in &group.topics {
            let name = topic.name.as_str();
            for partition in &topic.partitions {
                let (error, index) = (code(partition.error_code), partition.partition_index);
                offsets.push(format!("{name}-{index}: {error} {}", partition.committed_offset));
            }
        }
        offsets.sort();
        Ok(format!("{} {offsets:?}", code(group.error_code)))
    }

    pub(super) fn delete_offset(&self, side: &mut Side, at: At) -> Result<String> {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(at.1);
        let wanted = OffsetDeleteRequestTopic::default()
            .with_name(topic(&self.names[at.0]))
            .with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default().with_group_id(self.group()).with_topics(vec![wanted]);
        let answer = side.settled(0, &request, |answer| answer.error_code)?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let errors: Vec<_> = partitions.map(|partition| code(partition.error_code)).collect();
        Ok(format!("{} {errors:?}", code(answer.error_code)))
    }

    /// A whole transaction with one offset in it.
    pub(super) fn commit_in_transaction(
        &self,
        side: &mut Side,
        who: Who,
        at: At,
        offset: i64,
        commit: bool,
    ) -> Result<String> {
        let transaction = || TransactionalId(text(&self.transaction));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transaction()))
            .with_transaction_timeout_ms(600_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let producer = side.settled(5, &request, |answer| answer.error_code)?;
        let (member, epoch) = identity(side, who);
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(at.1)
            .with_committed_offset(offset);
        let topics = TxnOffsetCommitRequestTopic::default()
            .with_name(topic(&self.names[at.0]))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(transaction())
            .with_group_id(self.group())
            .with_producer_id(producer.producer_id)
            .with_producer_epoch(producer.producer_epoch)
            .with_generation_id(epoch)
            .with_member_id(member)
            .with_topics(vec![topics]);
        let answer = side.settled(5, &request, |answer| answer.topics[0].partitions[0].error_code)?;
        let committed = code(answer.topics[0].partitions[0].error_code);
        let request = EndTxnRequest::default()
            .with_transactional_id(transaction())
            .with_producer_id(producer.producer_id)
            .with_producer_epoch(producer.producer_epoch)
            .with_committed(commit);
        let answer = side.settled(5, &request, |answer| answer.error_code)?;
        wait_for_markers(side, &self.transaction)?;
        Ok(format!("{committed}, then {}", code(answer.error_code)))
    }
}
