//! What the coordinator and the cluster say.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use klamm_kafka::ErrorCode;

use super::super::Told;
use super::super::assign::{
    ConsumerSubscription, Member, Previous, Strategy, Topics, decode_assignment, encode_assignment,
};
use super::{
    AskId, Classic, JoinAnswer, JoinedMember, Leading, METADATA_MAX_AGE, MemberId, NEWS_AFTER, Phase,
    SyncAnswer, Watch,
};
use crate::{ConsumeErrorKind, TopicPartition};

/// `protocol_type` of groups of consumers.
const PROTOCOL_TYPE: &str = "consumer";

impl Classic {
    /// `FindCoordinator` answered: the broker.
    pub(crate) fn found(&mut self, id: AskId, found: Result<i32, ErrorCode>, now: Instant) {
        if self.coordinator.pending.take_if(|pending| *pending == id).is_none() {
            return;
        }
        match found {
            Ok(broker) => {
                self.coordinator.broker = Some(broker);
                self.coordinator.retry.reset();
                self.heart.heard = now;
            }
            Err(error @ ErrorCode::INVALID_GROUP_ID) => self.fail_for_good(error),
            Err(error) => {
                self.coordinator.retry.later(now);
                self.report(error);
            }
        }
    }

    /// Metadata has come: all that there is of the topics that were asked for.
    pub(crate) fn topics(&mut self, id: AskId, topics: Topics, now: Instant) {
        if let Phase::Leading(leading) = &mut self.phase
            && leading.pending == Some(id)
        {
            let Leading { strategy, members, topics: wanted, skip_assignment, .. } = leading;
            let strategy = *strategy;
            let mut assignments = Vec::new();
            if !*skip_assignment {
                let lists = strategy.assign(&topics, members);
                let encoded = members.iter().zip(lists);
                assignments =
                    encoded.map(|(member, list)| (member.id.clone(), encode_assignment(&list))).collect();
            }
            let wanted = std::mem::take(wanted);
            let at = now + if is_whole(&wanted, &topics) { METADATA_MAX_AGE } else { NEWS_AFTER };
            self.watch = Some(Watch { topics: wanted, seen: topics, at, pending: None });
            self.phase = Phase::Syncing { pending: None, strategy, assignments };
            return;
        }
        let with_racks = self.settings.rack.is_some();
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.pending == Some(id)) else { return };
        watch.pending = None;
        watch.at = now + if is_whole(&watch.topics, &topics) { METADATA_MAX_AGE } else { NEWS_AFTER };
        self.look.reset();
        if shape(&watch.seen, with_racks) != shape(&topics, with_racks) {
            self.rejoin.get_or_insert("cached metadata has changed");
        }
    }

    /// `JoinGroup` answered.
    pub(crate) fn joined(&mut self, id: AskId, answer: JoinAnswer, now: Instant) {
        if !matches!(self.phase, Phase::Joining(pending) if pending == id) {
            return;
        }
        self.phase = Phase::Unjoined;
        match answer.error {
            ErrorCode::NONE => self.admitted(answer, now),
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.member_id = answer.member_id;
                self.generation = None;
                // A member without an id owns nothing; one that does has missed something.
                self.lose_all();
                self.join.soon(now);
            }
            error => self.not_in(error, now),
        }
    }

    /// `SyncGroup` answered.
    pub(crate) fn synced(&mut self, id: AskId, answer: SyncAnswer, now: Instant) {
        let Phase::Syncing { pending, strategy, .. } = self.phase else { return };
        if pending != Some(id) {
            return;
        }
        self.phase = Phase::Unjoined;
        match answer.error {
            ErrorCode::NONE if answer.protocol.as_deref().is_some_and(|name| name != strategy.name()) => {
                self.fail_for_good(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
            }
            ErrorCode::NONE => self.assigned(strategy, &answer.assignment, now),
            ErrorCode::REBALANCE_IN_PROGRESS => self.join.soon(now),
            error => self.not_in(error, now),
        }
        if matches!(self.phase, Phase::Unjoined) {
            self.rejoin.get_or_insert("rebalance failed");
        }
    }

    /// A step of joining was refused.
    fn not_in(&mut self, error: ErrorCode, now: Instant) {
        match error {
            ErrorCode::ILLEGAL_GENERATION => {
                self.expelled(error, MemberId::Kept);
                self.join.soon(now);
            }
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.expelled(error, MemberId::Gone);
                self.join.soon(now);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
                self.lose_coordinator();
                self.join.later(now);
            }
            ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
            | ErrorCode::INVALID_SESSION_TIMEOUT
            | ErrorCode::INVALID_GROUP_ID
            | ErrorCode::UNSUPPORTED_VERSION => self.fail_for_good(error),
            error => {
                self.join.later(now);
                self.report(error);
            }
        }
    }

    /// `Heartbeat` answered.
    pub(crate) fn alive(&mut self, id: AskId, answer: Result<(), ErrorCode>, now: Instant) {
        // One of an older generation is not waited for any more.
        if self.heart.pending.take_if(|pending| *pending == id).is_none() {
            return;
        }
        match answer {
            Ok(()) => {
                self.heart.heard = now;
                self.heart.backoff.reset();
            }
            Err(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.heart.heard = now;
                self.heart.backoff.reset();
                if matches!(self.phase, Phase::Stable) {
                    self.rejoin.get_or_insert("group is already rebalancing");
                }
            }
            Err(ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR) => {
                self.lose_coordinator();
                self.heart.at = now + self.heart.backoff.next();
            }
            Err(error @ ErrorCode::ILLEGAL_GENERATION) => self.expelled(error, MemberId::Kept),
            Err(error @ ErrorCode::UNKNOWN_MEMBER_ID) => self.expelled(error, MemberId::Gone),
            Err(error @ ErrorCode::FENCED_INSTANCE_ID) => self.fail_for_good(error),
            Err(error) => {
                self.heart.at = now + self.heart.backoff.next();
                self.report(error);
            }
        }
    }

    /// `LeaveGroup` answered, whatever it says: nobody waits for it.
    pub(crate) fn left(&mut self, id: AskId) {
        self.leaving.take_if(|pending| *pending == id);
    }

    /// There is no answer: the connection broke, or it took too long.
    pub(crate) fn failed(&mut self, id: AskId, now: Instant) {
        self.left(id);
        if self.coordinator.pending.take_if(|pending| *pending == id).is_some() {
            self.coordinator.retry.later(now);
        }
        if self.heart.pending.take_if(|pending| *pending == id).is_some() {
            self.lose_coordinator();
            self.heart.at = now + self.heart.backoff.next();
        }
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.pending == Some(id)) {
            watch.pending = None;
            watch.at = now + self.look.next();
        }
        match &mut self.phase {
            Phase::Joining(pending) | Phase::Syncing { pending: Some(pending), .. } if *pending == id => {
                self.phase = Phase::Unjoined;
                self.lose_coordinator();
                self.join.later(now);
                self.rejoin.get_or_insert("rebalance failed");
            }
            Phase::Leading(leading) if leading.pending == Some(id) => {
                leading.pending = None;
                leading.not_before = Some(now + self.join.backoff.next());
            }
            _ => {}
        }
    }

    /// The group has a new generation, and this member is in it.
    fn admitted(&mut self, answer: JoinAnswer, now: Instant) {
        let is_ours = answer.protocol_type.as_deref().is_none_or(|kind| kind == PROTOCOL_TYPE);
        let strategy = answer.protocol.as_deref().and_then(Strategy::named);
        let Some(strategy) = strategy.filter(|strategy| is_ours && self.strategies.contains(strategy)) else {
            return self.fail_for_good(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        };
        let is_leader = answer.leader == answer.member_id;
        self.member_id = answer.member_id;
        self.generation = Some(answer.generation);
        (self.heart.at, self.heart.heard) = (now + self.settings.heartbeat_interval, now);
        self.phase = if is_leader {
            let members: Vec<Member> = answer.members.into_iter().map(read).collect();
            let topics: BTreeSet<Arc<str>> =
                members.iter().flat_map(|member| member.subscription.topics.iter().cloned()).collect();
            Phase::Leading(Leading {
                pending: None,
                not_before: None,
                strategy,
                members,
                topics: topics.into_iter().collect(),
                skip_assignment: answer.skip_assignment,
            })
        } else {
            Phase::Syncing { pending: None, strategy, assignments: Vec::new() }
        };
    }

    /// The member that leads has decided.
    fn assigned(&mut self, strategy: Strategy, bytes: &Bytes, now: Instant) {
        let known: HashSet<&str> = self.topics.iter().map(AsRef::as_ref).collect();
        let partitions = decode_assignment(bytes);
        let is_foreign =
            |partition: &TopicPartition| !known.contains(partition.topic.as_ref()) || partition.partition < 0;
        let Some(partitions) = partitions.filter(|partitions| !partitions.iter().any(is_foreign)) else {
            let why = "the member that leads has sent an assignment that is none of this subscription";
            if self.reported.replace(ErrorCode::INCONSISTENT_GROUP_PROTOCOL).is_none() {
                self.tell(ConsumeErrorKind::Other, why);
            }
            return self.join.later(now);
        };
        self.phase = Phase::Stable;
        self.join.reset();
        (self.rejoin, self.reported) = (None, None);
        match strategy {
            Strategy::Sticky => {
                let partitions = partitions.clone();
                self.previous = Some(Previous { partitions, generation: self.generation });
            }
            Strategy::CooperativeSticky => self.cooperative_generation = self.generation,
            Strategy::Range | Strategy::RoundRobin => {}
        }
        let assigned: BTreeSet<TopicPartition> = partitions.into_iter().collect();
        let added: Vec<_> = assigned.difference(&self.owned).cloned().collect();
        let gone: Vec<_> = self.owned.difference(&assigned).cloned().collect();
        if !gone.is_empty() {
            self.revoke(gone, now);
            self.rejoin = Some("need to revoke partitions and re-join");
        }
        if !added.is_empty() {
            self.owned.extend(added.iter().cloned());
            self.told.push(Told::Assigned(added));
        }
    }

    /// The group has gone on without this member.
    fn expelled(&mut self, error: ErrorCode, member_id: MemberId) {
        if !self.owned.is_empty() {
            self.tell(ConsumeErrorKind::LeftBehind, &format!("it went on without this member: {error}"));
        }
        self.drop_out(member_id);
        self.rejoin = Some("the group went on without this member");
    }

    fn fail_for_good(&mut self, error: ErrorCode) {
        self.drop_out(MemberId::Gone);
        self.phase = Phase::Ended;
        self.tell(ConsumeErrorKind::Fatal, &error.to_string());
    }

    /// Tells what will not pass by itself, once.
    fn report(&mut self, error: ErrorCode) {
        let passes = error.is_retriable() || error == ErrorCode::REBALANCE_IN_PROGRESS;
        if passes || self.reported == Some(error) {
            return;
        }
        self.reported = Some(error);
        let kind = match error {
            ErrorCode::GROUP_AUTHORIZATION_FAILED => ConsumeErrorKind::Denied,
            _ => ConsumeErrorKind::Other,
        };
        self.tell(kind, &error.to_string());
    }
}

/// One whose words cannot be read wants nothing.
fn read(member: JoinedMember) -> Member {
    let subscription = ConsumerSubscription::decode(&member.metadata).unwrap_or_default();
    Member { id: member.id, instance_id: member.instance_id, subscription }
}

fn is_whole(wanted: &[Arc<str>], topics: &Topics) -> bool {
    wanted.iter().all(|topic| topics.get(topic).is_some_and(|partitions| !partitions.is_empty()))
}

/// What of the topics decides an assignment: racks only if this member has one, as in Java.
fn shape(topics: &Topics, with_racks: bool) -> Vec<(&str, Vec<BTreeSet<&str>>)> {
    topics
        .iter()
        .map(|(name, partitions)| {
            let racks = partitions.iter().map(|racks| {
                racks.iter().filter(|_| with_racks).map(AsRef::as_ref).collect::<BTreeSet<&str>>()
            });
            (name.as_ref(), racks.collect())
        })
        .collect()
}
