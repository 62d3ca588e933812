//! Groups of the `consumer` protocol (KIP-848): members that join, stay, change their minds, lag behind, leave for now and come back, while topics grow
//! and go.

mod offsets;
mod place;
mod step;

use std::collections::{BTreeSet, VecDeque};

use klamm_testkit::Dice;
use klamm_testkit::anyhow::Result;
use klamm_wire::protocol::messages::consumer_group_describe_response::Assignment;
use klamm_wire::protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use klamm_wire::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DeleteGroupsRequest, DescribeGroupsRequest,
    FindCoordinatorRequest, GroupId, ListGroupsRequest,
};
use uuid::Uuid;

use crate::conversation::{Talk, alike};
use crate::side::{Side, code, text, topic};

pub use place::Place;
use place::{Parts, TOPICS, Told};
pub use step::Step;
use step::{Beat, Owned, Style};

/// What the letters of members, their instances, and the topics are called. Java's hash table has members of one letter in the order of the alphabet.
const LETTERS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Every other name in a subscription is that of a topic that nobody makes.
const NO_TOPIC: usize = TOPICS;

pub struct Conversation {
    pub group: String,
    names: [String; TOPICS + 1],
    regexes: Vec<String>,
    transaction: String,
    style: Style,
    /// Partitions of the topics that there are now. No two topics ever have as many: their order would be that of their ids.
    counts: [Option<i32>; TOPICS],
    /// Members that have joined.
    joined: BTreeSet<usize>,
    /// What is said before anything else.
    soon: VecDeque<Beat>,
}

impl Conversation {
    pub fn new(index: usize) -> Self {
        let name = |letter: &str| format!("q{index}-{letter}");
        let regexes = ["q{}-.*", "q{}-(a|c)", "q{}-b", "q{}-none", "q{}-[", ""];
        Self {
            group: format!("cg-{index}"),
            names: [name("a"), name("b"), name("c"), name("none")],
            regexes: regexes.iter().map(|regex| regex.replace("{}", &index.to_string())).collect(),
            transaction: format!("cgt-{index}"),
            style: Style::of(index),
            counts: [Some(3), Some(4), Some(2)],
            joined: BTreeSet::new(),
            soon: VecDeque::new(),
        }
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.group))
    }
}

impl Talk for Conversation {
    type Step = Step;

    fn begin(&self, side: &mut Side) -> Result<()> {
        for place in 0..TOPICS {
            place::make(side, &self.names[place], place, self.counts[place].unwrap_or(1))?;
        }
        for (kind, key) in [(0, &self.group), (1, &self.transaction)] {
            let request =
                FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text(key)]);
            side.settled(4, &request, |answer| answer.coordinators[0].error_code)?;
        }
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![self.group()]);
        side.settled(1, &request, |answer| answer.groups[0].error_code)?;
        known_to_coordinators(side, &self.names[0])
    }

    fn next(&mut self, dice: &mut Dice) -> Step {
        if let Some(beat) = self.soon.pop_front() {
            return Step::Beat(beat);
        }
        if dice.among(0..12) == 0 {
            // Everybody says what it has until all have what they are to have.
            let rounds = (0..3).flat_map(|_| self.joined.iter().copied());
            self.soon = rounds.map(Beat::at_rest).collect();
        }
        step::next(dice, self.style, &self.counts)
    }

    fn ask(&self, side: &mut Side, step: &Step) -> Result<String> {
        match step {
            Step::Beat(beat) => self.beat(side, beat),
            Step::Describe { version } => self.describe(side, *version),
            Step::DescribeClassic => {
                let request = DescribeGroupsRequest::default().with_groups(vec![self.group()]);
                let answer = side.settled(6, &request, |answer| answer.groups[0].error_code)?;
                let group = &answer.groups[0];
                Ok(format!("{} {}", code(group.error_code), group.group_state.as_str()))
            }
            Step::List { state, kind } => self.list(side, state, kind),
            Step::Delete => {
                let request = DeleteGroupsRequest::default().with_groups_names(vec![self.group()]);
                let answer = side.settled(2, &request, |answer| answer.results[0].error_code)?;
                Ok(code(answer.results[0].error_code))
            }
            Step::Commit { who, epoch, version, at, offset } => {
                self.commit(side, (*who, *epoch), *version, *at, *offset)
            }
            Step::Fetch { who, epoch, version } => self.fetch(side, *who, *epoch, *version),
            Step::DeleteOffset { at } => self.delete_offset(side, *at),
            Step::TxnCommit { who, epoch, at, offset, commit } => {
                self.commit_in_transaction(side, (*who, *epoch), *at, *offset, *commit)
            }
            Step::Grow { topic, to } => {
                let answer = place::grow(side, &self.names[*topic], *to)?;
                known_to_coordinators(side, &self.names[0])?;
                Ok(answer)
            }
            Step::Remove { topic } => {
                let answer = place::remove(side, &self.names[*topic])?;
                side.groups.ids[*topic] = Uuid::nil();
                known_to_coordinators(side, &self.names[0])?;
                Ok(answer)
            }
            Step::Make { topic, partitions } => {
                place::make(side, &self.names[*topic], *topic, *partitions)?;
                known_to_coordinators(side, &self.names[0])?;
                Ok("made".to_owned())
            }
        }
    }

    fn heard(&mut self, step: &Step, answer: &str) {
        match step {
            Step::Beat(beat) if answer.starts_with("NONE") => {
                self.joined.insert(beat.member);
            }
            Step::Grow { topic, to } => self.counts[*topic] = Some(*to),
            Step::Remove { topic } => self.counts[*topic] = None,
            Step::Make { topic, partitions } => self.counts[*topic] = Some(*partitions),
            _ => {}
        }
    }

    /// Kafka resolves expressions after its answer.
    fn rest(&self, sides: &mut [Side; 2], step: &Step) -> Result<()> {
        match step {
            Step::Beat(_) if self.style == Style::Regexes => {
                alike(sides, "the group", |side| self.describe(side, 1))
            }
            _ => Ok(()),
        }
    }
}

/// Waits until the coordinators know what the controller has decided: a change is told to them after it can be seen, and before the next one.
fn known_to_coordinators(side: &mut Side, of: &str) -> Result<()> {
    side.barrier(of)?;
    side.barrier(of)
}

impl Conversation {
    fn beat(&self, side: &mut Side, beat: &Beat) -> Result<String> {
        let told = side.groups.told(beat.member);
        let epoch = told.at(beat.epoch);
        let names = beat.names.map(|mask| {
            let names = (0..=NO_TOPIC).filter(|place| mask & (1 << place) != 0);
            names.map(|place| topic(&self.names[place])).collect()
        });
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group())
            .with_member_id(text(LETTERS[beat.member]))
            .with_member_epoch(epoch)
            .with_instance_id(beat.instance.map(|instance| text(&format!("i{instance}"))))
            .with_rebalance_timeout_ms(if beat.timeout { 600_000 } else { -1 })
            .with_subscribed_topic_names(names)
            .with_subscribed_topic_regex(beat.regex.map(|regex| text(&self.regexes[regex])))
            .with_server_assignor(beat.assignor.map(text))
            .with_topic_partitions(owned(beat.owned, &told, side.groups.ids));
        let answer = side.settled(beat.version, &request, |answer| answer.error_code)?;
        let parts = answer.assignment.as_ref().map(|assignment| {
            let topics = assignment.topic_partitions.iter();
            let parts = topics.map(|one| (one.topic_id, one.partitions.iter().copied().collect()));
            parts.collect::<Parts>()
        });
        let shown = match &answer.assignment {
            Some(assignment) => {
                let topics = assignment.topic_partitions.iter();
                side.groups.text(topics.map(|one| (one.topic_id, one.partitions.as_slice())))
            }
            None => "as it was".to_owned(),
        };
        if answer.error_code == 0 && epoch >= 0 {
            let parts = parts.unwrap_or(told.parts);
            // A heartbeat that changes nothing leaves the epoch before where it was.
            let previous = if answer.member_epoch == told.epoch { told.previous } else { told.epoch.max(1) };
            side.groups.members.insert(beat.member, Told { epoch: answer.member_epoch, previous, parts });
        }
        let every = answer.heartbeat_interval_ms;
        Ok(format!("{} epoch {} every {every} {shown}", code(answer.error_code), answer.member_epoch))
    }

    fn describe(&self, side: &mut Side, version: i16) -> Result<String> {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![self.group()]);
        let answer = side.call(version, &request)?;
        let group = &answer.groups[0];
        let parts = |assignment: &Assignment| {
            let topics = assignment.topic_partitions.iter();
            side.groups.text(topics.map(|one| (one.topic_id, one.partitions.as_slice())))
        };
        let mut members: Vec<_> = group
            .members
            .iter()
            .map(|member| {
                let mut names: Vec<_> =
                    member.subscribed_topic_names.iter().map(|name| name.to_string()).collect();
                names.sort();
                format!(
                    "{} of {:?} in {:?} epoch {} type {} reads {names:?} and {:?} has {} of {}",
                    member.member_id.as_str(),
                    member.instance_id.as_deref(),
                    member.rack_id.as_deref(),
                    member.member_epoch,
                    member.member_type,
                    member.subscribed_topic_regex.as_deref(),
                    parts(&member.assignment),
                    parts(&member.target_assignment)
                )
            })
            .collect();
        members.sort();
        Ok(format!(
            "{} {} epoch {} assigned {} by {:?}: {}",
            code(group.error_code),
            group.group_state.as_str(),
            group.group_epoch,
            group.assignment_epoch,
            group.assignor_name.as_str(),
            members.join("; ")
        ))
    }

    fn list(&self, side: &mut Side, state: &str, kind: &str) -> Result<String> {
        let filter = |word: &str| if word.is_empty() { Vec::new() } else { vec![text(word)] };
        let request =
            ListGroupsRequest::default().with_states_filter(filter(state)).with_types_filter(filter(kind));
        let answer = side.settled(5, &request, |answer| answer.error_code)?;
        let own = answer.groups.iter().find(|group| *group.group_id == *self.group);
        let own = own.map(|group| {
            let (state, kind) = (group.group_state.as_str(), group.group_type.as_str());
            format!("{state} {kind} {}", group.protocol_type.as_str())
        });
        Ok(format!("{} {own:?}", code(answer.error_code)))
    }
}

/// What a member says that it has.
fn owned(owned: Owned, told: &Told, ids: [Uuid; TOPICS]) -> Option<Vec<TopicPartitions>> {
    let mut parts = told.parts.clone();
    match owned {
        Owned::Silent => return None,
        Owned::Nothing => parts.clear(),
        Owned::Told => {}
        Owned::LessOne => {
            // The first by its place: ids are in another order on the other side.
            let first = ids.iter().find(|id| parts.get(*id).is_some_and(|all| !all.is_empty()));
            if let Some(all) = first.and_then(|id| parts.get_mut(id)) {
                all.pop_last();
            }
        }
        Owned::MoreThanTold => {
            parts.entry(ids[0]).or_default().extend([0, 1]);
        }
    }
    let topics = parts.into_iter().map(|(id, partitions)| {
        TopicPartitions::default().with_topic_id(id).with_partitions(partitions.into_iter().collect())
    });
    Some(topics.collect())
}
