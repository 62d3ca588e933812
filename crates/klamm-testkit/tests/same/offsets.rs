//! Classic groups of one member at a time, with what is left of those before: old generations, unknown members, fenced instances, offsets from outside.

use klamm_testkit::Dice;
use klamm_testkit::anyhow::Result;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use klamm_wire::protocol::messages::leave_group_request::MemberIdentity;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use klamm_wire::protocol::messages::{
    CreateTopicsRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
};

use crate::conversation::Talk;
use crate::side::{Side, code, text, topic};

/// A member by the order in which they were named; one that nobody named is unknown.
type Member = usize;

#[derive(Debug, Clone)]
pub enum Step {
    /// A member without a name asks for one, and joins by it.
    Join {
        instance: bool,
        protocol: &'static str,
    },
    /// A member joins again.
    Rejoin {
        member: Member,
        protocol: &'static str,
    },
    Sync {
        member: Member,
        off: i32,
        instance: bool,
    },
    Heartbeat {
        member: Member,
        off: i32,
        instance: bool,
    },
    Leave {
        member: Member,
        version: i16,
    },
    Commit {
        member: Option<Member>,
        off: i32,
        partition: i32,
        offset: i64,
        metadata: usize,
    },
    Fetch {
        all: bool,
    },
    Describe,
    List {
        state: &'static str,
    },
    Delete,
}

pub struct Conversation {
    topic: String,
    group: String,
    instance: String,
    /// How many members were named.
    named: usize,
    /// Somebody is in the group: who joins next would wait for him.
    taken: bool,
}

impl Conversation {
    pub fn new(index: usize) -> Self {
        let name = |what: &str| format!("{what}-{index}");
        Self { topic: name("o"), group: name("og"), instance: name("i"), named: 0, taken: false }
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.group))
    }

    fn instance(&self, with: bool) -> Option<klamm_wire::protocol::protocol::StrBytes> {
        with.then(|| text(&self.instance))
    }
}

fn member_id(side: &Side, member: Member) -> String {
    side.members.get(member).cloned().unwrap_or_else(|| format!("stranger-{member}"))
}

/// A member's name as the other side knows it.
fn symbol(side: &mut Side, id: &str) -> String {
    if id.is_empty() {
        return "none".to_owned();
    }
    let at = side.members.iter().position(|known| known == id).unwrap_or_else(|| {
        side.members.push(id.to_owned());
        side.members.len() - 1
    });
    format!("m{at}")
}

impl Talk for Conversation {
    type Step = Step;

    fn begin(&self, side: &mut Side) -> Result<()> {
        let new = CreatableTopic::default()
            .with_name(topic(&self.topic))
            .with_num_partitions(2)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        side.settled(7, &request, |answer| answer.topics[0].error_code)?;
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&self.group)]);
        side.settled(4, &request, |answer| answer.coordinators[0].error_code)?;
        let request = DescribeGroupsRequest::default().with_groups(vec![self.group()]);
        side.settled(5, &request, |answer| answer.groups[0].error_code)?;
        side.barrier(&self.topic)
    }

    fn next(&mut self, dice: &mut Dice) -> Step {
        let last = self.named.saturating_sub(1);
        let member = match dice.among(0..6) {
            0 => self.named + 3,
            1 => last.saturating_sub(1),
            _ => last,
        };
        let off = [0, 0, 0, 0, -1, 1][dice.among(0..6) as usize];
        let instance = dice.among(0..4) == 0;
        let protocol = ["range", "roundrobin"][dice.among(0..2) as usize];
        match dice.among(0..20) {
            0..4 if !self.taken => Step::Join { instance, protocol },
            0..2 => Step::Leave { member, version: [2, 5][dice.among(0..2) as usize] },
            2..4 => Step::Rejoin { member: last, protocol },
            4..7 => Step::Sync { member, off, instance },
            7..9 => Step::Heartbeat { member, off, instance },
            9..13 => Step::Commit {
                member: (dice.among(0..3) != 0).then_some(member),
                off,
                partition: dice.among(0..3) as i32,
                offset: dice.among(0..50) as i64,
                metadata: if dice.among(0..8) == 0 { 5_000 } else { 3 },
            },
            13..16 => Step::Fetch { all: dice.among(0..2) == 0 },
            16..18 => Step::Describe,
            18 => Step::List { state: ["Stable", "Empty", "Dead", "Nonsense"][dice.among(0..4) as usize] },
            _ => Step::Delete,
        }
    }

    fn ask(&self, side: &mut Side, step: &Step) -> Result<String> {
        match *step {
            Step::Join { instance, protocol } => {
                let first = self.join(side, "", self.instance(instance), protocol)?;
                match first.starts_with("MEMBER_ID_REQUIRED") {
                    true => {
                        let id = side.members.last().cloned().unwrap_or_default();
                        let second = self.join(side, &id, self.instance(instance), protocol)?;
                        Ok(format!("{first}, then {second}"))
                    }
                    false => Ok(first),
                }
            }
            Step::Rejoin { member, protocol } => {
                let id = member_id(side, member);
                self.join(side, &id, None, protocol)
            }
            Step::Sync { member, off, instance } => self.sync(side, member, off, instance),
            Step::Heartbeat { member, off, instance } => {
                let request = HeartbeatRequest::default()
                    .with_group_id(self.group())
                    .with_generation_id(side.generation + off)
                    .with_member_id(text(&member_id(side, member)))
                    .with_group_instance_id(self.instance(instance));
                Ok(code(side.settled(4, &request, |answer| answer.error_code)?.error_code))
            }
            Step::Leave { member, version } => self.leave(side, member, version),
            Step::Commit { member, off, partition, offset, metadata } => {
                self.commit(side, member, off, (partition, offset), metadata)
            }
            Step::Fetch { all } => self.fetch(side, all),
            Step::Describe => self.describe(side),
            Step::List { state } => self.list(side, state),
            Step::Delete => {
                let request = DeleteGroupsRequest::default().with_groups_names(vec![self.group()]);
                let answer = side.settled(2, &request, |answer| answer.results[0].error_code)?;
                Ok(code(answer.results[0].error_code))
            }
        }
    }

    fn heard(&mut self, step: &Step, answer: &str) {
        match step {
            Step::Join { .. } => {
                self.named = named_in(answer).max(self.named);
                self.taken = self.taken || answer.contains("NONE");
            }
            Step::Rejoin { .. } => self.named = named_in(answer).max(self.named),
            Step::Leave { .. } if answer.contains("left") => self.taken = false,
            _ => {}
        }
    }
}

/// How many members are named in an answer, by the highest.
fn named_in(answer: &str) -> usize {
    let names = answer.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.strip_prefix('m'));
    names.filter_map(|number| number.parse::<usize>().ok()).map(|number| number + 1).max().unwrap_or(0)
}

impl Conversation {
    fn join(
        &self,
        side: &mut Side,
        member: &str,
        instance: Option<klamm_wire::protocol::protocol::StrBytes>,
        protocol: &str,
    ) -> Result<String> {
        let protocols = JoinGroupRequestProtocol::default().with_name(text(protocol));
        let request = JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_session_timeout_ms(60_000)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(text(member))
            .with_group_instance_id(instance)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocols]);
        let answer = side.settled(9, &request, |answer| answer.error_code)?;
        if answer.error_code == 0 {
            side.generation = answer.generation_id;
        }
        let id = symbol(side, &answer.member_id);
        let leader = symbol(side, &answer.leader);
        let protocol = answer.protocol_name.as_deref().unwrap_or("none").to_owned();
        let error = code(answer.error_code);
        let skip = answer.skip_assignment;
        Ok(format!("{error} {id} of {leader} generation {} {protocol} skip {skip}", answer.generation_id))
    }

    fn sync(&self, side: &mut Side, member: Member, off: i32, instance: bool) -> Result<String> {
        let id = member_id(side, member);
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text(&id))
            .with_assignment(bytes::Bytes::from_static(b"all of it"));
        let request = SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_generation_id(side.generation + off)
            .with_member_id(text(&id))
            .with_group_instance_id(self.instance(instance))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name((off == 0).then(|| text("range")))
            .with_assignments(vec![assignment]);
        let answer = side.settled(5, &request, |answer| answer.error_code)?;
        Ok(format!("{} {}", code(answer.error_code), answer.assignment.len()))
    }

    fn leave(&self, side: &mut Side, member: Member, version: i16) -> Result<String> {
        let id = text(&member_id(side, member));
        let request = LeaveGroupRequest::default().with_group_id(self.group());
        let request = match version {
            3.. => request.with_members(vec![MemberIdentity::default().with_member_id(id)]),
            _ => request.with_member_id(id),
        };
        let answer = side.settled(version, &request, |answer| answer.error_code)?;
        let members: Vec<_> = answer.members.iter().map(|member| code(member.error_code)).collect();
        let left = answer.error_code == 0 && members.iter().all(|code| code.starts_with("NONE"));
        Ok(format!("{} {members:?} {}", code(answer.error_code), if left { "left" } else { "stayed" }))
    }

    fn commit(
        &self,
        side: &mut Side,
        member: Option<Member>,
        off: i32,
        (partition, offset): (i32, i64),
        metadata: usize,
    ) -> Result<String> {
        let (id, generation) = match member {
            Some(member) => (member_id(side, member), side.generation + off),
            None => (String::new(), -1),
        };
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(&"m".repeat(metadata))));
        let topics = OffsetCommitRequestTopic::default()
            .with_name(topic(&self.topic))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(text(&id))
            .with_topics(vec![topics]);
        let answer = side.settled(8, &request, |answer| answer.topics[0].partitions[0].error_code)?;
        Ok(code(answer.topics[0].partitions[0].error_code))
    }

    fn fetch(&self, side: &mut Side, all: bool) -> Result<String> {
        let topics = OffsetFetchRequestTopics::default()
            .with_name(topic(&self.topic))
            .with_partition_indexes(vec![0, 1, 2]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(self.group())
            .with_topics((!all).then(|| vec![topics]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer = side.settled(8, &request, |answer| answer.groups[0].error_code)?;
        let group = &answer.groups[0];
        let mut offsets: Vec<_> = group
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| {
                let metadata = partition.metadata.as_deref().map_or(0, str::len);
                let (error, index) = (code(partition.error_code), partition.partition_index);
                format!("{index}: {error} {} with {metadata}", partition.committed_offset)
            })
            .collect();
        offsets.sort();
        Ok(format!("{} {offsets:?}", code(group.error_code)))
    }

    fn describe(&self, side: &mut Side) -> Result<String> {
        let request = DescribeGroupsRequest::default().with_groups(vec![self.group()]);
        let answer = side.settled(5, &request, |answer| answer.groups[0].error_code)?;
        let group = &answer.groups[0];
        let mut members = Vec::new();
        for member in &group.members {
            let id = symbol(side, &member.member_id);
            let instance = member.group_instance_id.as_deref().is_some();
            members.push(format!("{id} static {instance} assigned {}", member.member_assignment.len()));
        }
        members.sort();
        Ok(format!(
            "{} {} {:?} {:?} {members:?}",
            code(group.error_code),
            group.group_state.as_str(),
            group.protocol_type.as_str(),
            group.protocol_data.as_str()
        ))
    }

    fn list(&self, side: &mut Side, state: &str) -> Result<String> {
        let request = ListGroupsRequest::default().with_states_filter(vec![text(state)]);
        let answer = side.settled(5, &request, |answer| answer.error_code)?;
        let own = answer.groups.iter().find(|group| *group.group_id == *self.group);
        let own = own.map(|group| {
            let (state, kind) = (group.group_state.as_str(), group.group_type.as_str());
            format!("{state} {kind} {}", group.protocol_type.as_str())
        });
        Ok(format!("{} {own:?}", code(answer.error_code)))
    }
}
