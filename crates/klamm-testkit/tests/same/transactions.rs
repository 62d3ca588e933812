//! Transactions, with zombies among the producers: old epochs, wrong sequences, ends that repeat, offsets of old generations.

use std::collections::BTreeMap;

use klamm_testkit::Dice;
use klamm_testkit::anyhow::Result;
use klamm_wire::batch::ProducerStamp;
use klamm_wire::protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::describe_producers_request::TopicRequest;
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, CreateTopicsRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, EndTxnRequest, FindCoordinatorRequest, GroupId, InitProducerIdRequest,
    OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};

use crate::answers::{self, NOW};
use crate::conversation::Talk;
use crate::side::{Side, code, text, topic, wait_for_markers};

const PARTITIONS: i32 = 2;

/// Who acts: a transactional id, the holder so many holders before the present one, and an epoch that may be off.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    txn: usize,
    back: usize,
    off: i16,
}

#[derive(Debug, Clone)]
pub enum Step {
    Init { who: Who, held: bool },
    Add { who: Who, partition: i32 },
    Produce { who: Who, version: i16, partition: i32, sequence: i32, transactional: bool },
    End { who: Who, version: i16, commit: bool },
    AddOffsets { who: Who },
    CommitOffset { who: Who, version: i16, offset: i64, generation: i32 },
    Offset { stable: bool },
    Fetch { partition: i32, offset: i64, isolation: i8 },
    List { partition: i32, timestamp: i64, isolation: i8 },
    Describe { txn: usize },
    Producers { partition: i32 },
}

pub struct Conversation {
    topic: String,
    group: String,
    ids: [String; 2],
    /// Sequence that comes next, by id and partition.
    next: BTreeMap<(usize, i32), i32>,
    /// Which of the two flows each id follows, most of the time.
    two: [bool; 2],
}

impl Conversation {
    pub fn new(index: usize) -> Self {
        let name = |what: &str| format!("{what}-{index}");
        Self {
            topic: name("t"),
            // Java's hash of one is positive, of the other negative: it says where the group's offsets are.
            group: name(if index.is_multiple_of(2) { "g" } else { "consumers" }),
            ids: [name("a"), name("b")],
            next: BTreeMap::new(),
            two: [index.is_multiple_of(2), !index.is_multiple_of(3)],
        }
    }

    fn stamp(&self, side: &Side, who: Who, sequence: i32) -> ProducerStamp {
        let (id, epoch) = self.holder(side, who);
        ProducerStamp { id, epoch, base_sequence: sequence }
    }

    fn holder(&self, side: &Side, who: Who) -> (i64, i16) {
        let (id, epoch) = side.holder(&self.ids[who.txn], who.back);
        (id, epoch.saturating_add(who.off))
    }

    fn id(&self, txn: usize) -> TransactionalId {
        TransactionalId(text(&self.ids[txn]))
    }
}

impl Talk for Conversation {
    type Step = Step;

    fn begin(&self, side: &mut Side) -> Result<()> {
        let new = CreatableTopic::default()
            .with_name(topic(&self.topic))
            .with_num_partitions(PARTITIONS)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        side.settled(7, &request, |answer| answer.topics[0].error_code)?;
        // The internal topics of coordinators are made by the first who asks.
        for (kind, key) in [(1, &self.ids[0]), (1, &self.ids[1]), (0, &self.group)] {
            let request =
                FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text(key)]);
            side.settled(4, &request, |answer| answer.coordinators[0].error_code)?;
        }
        side.barrier(&self.topic)?;
        Ok(())
    }

    fn next(&mut self, dice: &mut Dice) -> Step {
        let txn = dice.among(0..2) as usize;
        let odd = dice.among(0..10);
        let who = Who {
            txn,
            back: if odd == 0 { dice.among(1..3) as usize } else { 0 },
            off: if odd == 1 { [-1, 1, 30_000][dice.among(0..3) as usize] } else { 0 },
        };
        let two = self.two[txn] != (dice.among(0..12) == 0);
        let partition = dice.among(0..PARTITIONS as u64) as i32;
        let isolation = dice.among(0..2) as i8;
        match dice.among(0..24) {
            0..3 => Step::Init { who, held: dice.among(0..3) == 0 },
            3..6 => Step::Add { who, partition },
            6..13 => {
                let next = self.next.get(&(txn, partition)).copied().unwrap_or(0);
                let sequence = match dice.among(0..8) {
                    0 => next + 1,
                    1 => (next - 1).max(0),
                    2 => 0,
                    _ => next,
                };
                let version = if two { 12 } else { [9, 11][dice.among(0..2) as usize] };
                // An epoch to come that is written outside of a transaction makes Kafka refuse the marker of the present one, for ever.
                let transactional = dice.among(0..12) != 0 || who.off > 0;
                Step::Produce { who, version, partition, sequence, transactional }
            }
            13..17 => Step::End { who, version: if two { 5 } else { 4 }, commit: dice.among(0..2) == 0 },
            17 => Step::AddOffsets { who },
            18 => Step::CommitOffset {
                who,
                version: if two { 5 } else { [3, 4][dice.among(0..2) as usize] },
                offset: dice.among(0..100) as i64,
                generation: if dice.among(0..4) == 0 { 1 } else { -1 },
            },
            19 => Step::Offset { stable: isolation == 1 },
            20 => Step::Fetch { partition, offset: dice.among(0..6) as i64, isolation },
            21 => {
                let timestamp = [-1, -2, -3, NOW, NOW + 1][dice.among(0..5) as usize];
                Step::List { partition, timestamp, isolation }
            }
            22 => Step::Describe { txn },
            _ => Step::Producers { partition },
        }
    }

    fn ask(&self, side: &mut Side, step: &Step) -> Result<String> {
        match *step {
            Step::Init { who, held } => self.init(side, who, held),
            Step::Add { who, partition } => self.add(side, who, partition),
            Step::Produce { who, version, partition, sequence, transactional } => {
                let stamp = self.stamp(side, who, sequence);
                if stamp.id < 0 || stamp.epoch < 0 {
                    return Ok("nobody".to_owned());
                }
                let records = answers::batch(Some(stamp), transactional, 1, NOW)?;
                let id = transactional.then_some(self.ids[who.txn].as_str());
                answers::produce(side, version, id, (&self.topic, partition), records)
            }
            Step::End { who, version, commit } => self.end(side, who, version, commit),
            Step::AddOffsets { who } => {
                let (id, epoch) = self.holder(side, who);
                let request = AddOffsetsToTxnRequest::default()
                    .with_transactional_id(self.id(who.txn))
                    .with_producer_id(ProducerId(id))
                    .with_producer_epoch(epoch)
                    .with_group_id(GroupId(text(&self.group)));
                Ok(code(side.settled(4, &request, |answer| answer.error_code)?.error_code))
            }
            Step::CommitOffset { who, version, offset, generation } => {
                self.commit_offset(side, who, version, offset, generation)
            }
            Step::Offset { stable } => self.offset(side, stable),
            Step::Fetch { partition, offset, isolation } => {
                answers::fetch(side, &self.topic, partition, offset, isolation)
            }
            Step::List { partition, timestamp, isolation } => {
                answers::list(side, &self.topic, partition, timestamp, isolation)
            }
            Step::Describe { txn } => self.describe(side, txn),
            Step::Producers { partition } => self.producers(side, partition),
        }
    }

    fn heard(&mut self, step: &Step, answer: &str) {
        match step {
            Step::Init { who, .. } | Step::End { who, version: 5, .. } if answer.starts_with("NONE") => {
                self.next.retain(|(txn, _), _| *txn != who.txn);
            }
            Step::Produce { who, partition, sequence, .. } if answer.starts_with("NONE") => {
                self.next.insert((who.txn, *partition), sequence + 1);
            }
            _ => {}
        }
    }
}

impl Conversation {
    fn init(&self, side: &mut Side, who: Who, held: bool) -> Result<String> {
        let (id, epoch) = if held { self.holder(side, who) } else { (-1, -1) };
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id(who.txn)))
            .with_transaction_timeout_ms(600_000)
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch);
        let answer = side.settled(5, &request, |answer| answer.error_code)?;
        if answer.error_code == 0 {
            let holder = (answer.producer_id.0, answer.producer_epoch);
            side.held.entry(self.ids[who.txn].clone()).or_default().push(holder);
        }
        let number = side.number(answer.producer_id.0);
        Ok(format!("{} {number} epoch {}", code(answer.error_code), answer.producer_epoch))
    }

    fn add(&self, side: &mut Side, who: Who, partition: i32) -> Result<String> {
        let (id, epoch) = self.holder(side, who);
        let topic =
            AddPartitionsToTxnTopic::default().with_name(topic(&self.topic)).with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id(who.txn))
            .with_v3_and_below_producer_id(ProducerId(id))
            .with_v3_and_below_producer_epoch(epoch)
            .with_v3_and_below_topics(vec![topic]);
        let error = |answer: &klamm_wire::protocol::messages::AddPartitionsToTxnResponse| {
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        };
        Ok(code(error(&side.settled(3, &request, error)?)))
    }

    fn end(&self, side: &mut Side, who: Who, version: i16, commit: bool) -> Result<String> {
        let (id, epoch) = self.holder(side, who);
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id(who.txn))
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_committed(commit);
        let answer = side.settled(version, &request, |answer| answer.error_code)?;
        if answer.error_code == 0 && version >= 5 {
            let holder = (answer.producer_id.0, answer.producer_epoch);
            side.held.entry(self.ids[who.txn].clone()).or_default().push(holder);
        }
        wait_for_markers(side, &self.ids[who.txn])?;
        let number = side.number(answer.producer_id.0);
        Ok(format!("{} {number} epoch {}", code(answer.error_code), answer.producer_epoch))
    }

    fn commit_offset(
        &self,
        side: &mut Side,
        who: Who,
        version: i16,
        offset: i64,
        generation: i32,
    ) -> Result<String> {
        let (id, epoch) = self.holder(side, who);
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topics = TxnOffsetCommitRequestTopic::default()
            .with_name(topic(&self.topic))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id(who.txn))
            .with_group_id(GroupId(text(&self.group)))
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_generation_id(generation)
            .with_topics(vec![topics]);
        let answer = side.settled(version, &request, |answer| answer.topics[0].partitions[0].error_code)?;
        Ok(code(answer.topics[0].partitions[0].error_code))
    }

    fn offset(&self, side: &mut Side, stable: bool) -> Result<String> {
        let topics =
            OffsetFetchRequestTopics::default().with_name(topic(&self.topic)).with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_topics(Some(vec![topics]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable);
        let answer = side.settled(8, &request, |answer| answer.groups[0].error_code)?;
        let group = &answer.groups[0];
        let offsets = group
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| format!("{} {}", code(partition.error_code), partition.committed_offset));
        Ok(format!("{} {:?}", code(group.error_code), offsets.collect::<Vec<_>>()))
    }

    fn describe(&self, side: &mut Side, txn: usize) -> Result<String> {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![self.id(txn)]);
        let answer = side.settled(0, &request, |answer| answer.transaction_states[0].error_code)?;
        let state = &answer.transaction_states[0];
        let mut topics: Vec<_> = state
            .topics
            .iter()
            .map(|topic| {
                let mut partitions = topic.partitions.clone();
                partitions.sort_unstable();
                format!("{} {partitions:?}", topic.topic.as_str())
            })
            .collect();
        topics.sort();
        let number = side.number(state.producer_id.0);
        Ok(format!(
            "{} {} {number} epoch {} timeout {} {topics:?}",
            code(state.error_code),
            state.transaction_state.as_str(),
            state.producer_epoch,
            state.transaction_timeout_ms
        ))
    }

    fn producers(&self, side: &mut Side, partition: i32) -> Result<String> {
        let wanted =
            TopicRequest::default().with_name(topic(&self.topic)).with_partition_indexes(vec![partition]);
        let answer = side.call(0, &DescribeProducersRequest::default().with_topics(vec![wanted]))?;
        let partition = &answer.topics[0].partitions[0];
        let mut all = Vec::new();
        for producer in &partition.active_producers {
            all.push(format!(
                "{} epoch {} seq {} open {}",
                side.number(producer.producer_id.0),
                producer.producer_epoch,
                producer.last_sequence,
                producer.current_txn_start_offset
            ));
        }
        all.sort();
        Ok(format!("{} {all:?}", code(partition.error_code)))
    }
}
