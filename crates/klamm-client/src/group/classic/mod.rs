//! A member of a classic group: the members share the partitions out among themselves, the coordinator keeps them in step.
//!
//! ```text
//! Unjoined ──join──► Joining ──► Leading (partitions of all topics) ──► Syncing ──► Stable
//!    ▲                       └── follows ─────────────────────────────────▲           │
//!    └──────────── the group rebalances, or goes on without this member ◄─────────────┘
//! ```
//!
//! A member whose strategies are all cooperative keeps its partitions while it joins, gives up only what the new assignment leaves out,
//! and then joins again (KIP-429). Any other gives up all before it joins. Errors end as in Java's `AbstractCoordinator`, except
//! that a member that may not use the group, or for which there is no room, goes on trying. As in Java, a static member that comes
//! back as the leader and is told to skip the assignment does not notice what was added to the topics while it was away.

mod answers;
mod ask;
#[cfg(test)]
mod sim;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode;

use super::assign::{Member, Previous, Strategy, Topics};
use super::{Membership, Settings, Subscription, Told};
use crate::backoff::Backoff;
use crate::random::mix;
use crate::{ConsumeError, ConsumeErrorKind, TopicPartition};

pub(crate) use ask::{Ask, AskId, JoinAnswer, JoinedMember, SyncAnswer, What};

/// How long the member that leads looks away from the topics (`metadata.max.age.ms`).
const METADATA_MAX_AGE: Duration = Duration::from_secs(300);
/// The same while a topic is not there yet.
const NEWS_AFTER: Duration = Duration::from_secs(1);
/// How many times in a row a refusal that a new join settles is followed by a join at once.
const HURRIES: u32 = 3;

/// No time in the protocol is longer.
const LONGEST: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);

#[derive(Debug)]
pub(crate) struct Classic {
    settings: Settings,
    topics: Vec<Arc<str>>,
    strategies: Vec<Strategy>,
    phase: Phase,
    coordinator: Coordinator,
    /// Empty if the coordinator has given none.
    member_id: String,
    generation: Option<i32>,
    owned: BTreeSet<TopicPartition>,
    /// What the application was asked to give up, in order.
    revoking: VecDeque<Revoking>,
    /// Why to join again, once nothing is in the way.
    rejoin: Option<&'static str>,
    join: Retry,
    heart: Heart,
    /// When the application was there last.
    polled: Instant,
    watch: Option<Watch>,
    /// Between looks at the topics that had no answer.
    look: Backoff,
    /// What `sticky` gave last; and when `cooperative-sticky` gave something.
    previous: Option<Previous>,
    cooperative_generation: Option<i32>,
    /// What is left to say to the coordinator, and the name of what was said.
    leave: Option<What>,
    leaving: Option<AskId>,
    asks: u64,
    told: Vec<Told>,
    /// The same trouble is told once, until something works again.
    reported: Option<ErrorCode>,
}

#[derive(Debug)]
enum Phase {
    /// Joins when all that stands in the way is done.
    Unjoined,
    Joining(AskId),
    /// Assigns to all, once it knows the partitions of their topics.
    Leading(Leading),
    /// Waits for its assignment.
    Syncing {
        pending: Option<AskId>,
        strategy: Strategy,
        assignments: Vec<(String, bytes::Bytes)>,
    },
    Stable,
    /// The application takes no events.
    Away,
    /// Leaves when all is given up.
    Closing,
    Ended,
}

#[derive(Debug)]
struct Leading {
    pending: Option<AskId>,
    not_before: Option<Instant>,
    strategy: Strategy,
    members: Vec<Member>,
    topics: Vec<Arc<str>>,
    /// Everybody keeps what they have (KIP-814).
    skip_assignment: bool,
}

#[derive(Debug)]
struct Coordinator {
    broker: Option<i32>,
    pending: Option<AskId>,
    retry: Retry,
}

#[derive(Debug)]
struct Revoking {
    partitions: Vec<TopicPartition>,
    until: Instant,
}

#[derive(Debug)]
struct Retry {
    not_before: Option<Instant>,
    backoff: Backoff,
    hurries: u32,
}

#[derive(Debug)]
struct Heart {
    at: Instant,
    pending: Option<AskId>,
    /// When the coordinator was heard last.
    heard: Instant,
    backoff: Backoff,
}

/// What the member that leads saw when it assigned.
#[derive(Debug)]
struct Watch {
    topics: Vec<Arc<str>>,
    seen: Topics,
    at: Instant,
    pending: Option<AskId>,
}

impl Classic {
    /// `strategies` in the order in which they are preferred. An expression is for the other protocol and counts as no topics.
    /// `random` decides the jitter of retries.
    pub(crate) fn new(
        mut settings: Settings,
        strategies: Vec<Strategy>,
        mut random: u64,
        now: Instant,
    ) -> Classic {
        let times = [
            &mut settings.session_timeout,
            &mut settings.heartbeat_interval,
            &mut settings.max_poll_interval,
            &mut settings.revoke_budget,
        ];
        times.into_iter().for_each(|time| *time = (*time).min(LONGEST));
        settings.rack = settings.rack.filter(|rack| !rack.is_empty());
        let topics = match &settings.subscription {
            Subscription::Topics(topics) => topics.iter().map(|topic| Arc::from(topic.as_str())).collect(),
            Subscription::Regex(_) => Vec::new(),
        };
        let mut backoff = || Backoff::of_java(mix(&mut random));
        Classic {
            topics,
            strategies,
            phase: Phase::Unjoined,
            coordinator: Coordinator { broker: None, pending: None, retry: Retry::new(backoff()) },
            member_id: String::new(),
            generation: None,
            owned: BTreeSet::new(),
            revoking: VecDeque::new(),
            rejoin: None,
            join: Retry::new(backoff()),
            heart: Heart { at: now, pending: None, heard: now, backoff: backoff() },
            polled: now,
            watch: None,
            look: backoff(),
            previous: None,
            cooperative_generation: None,
            leave: None,
            leaving: None,
            asks: 0,
            told: Vec::new(),
            reported: None,
            settings,
        }
    }

    /// Whose the commits are; `None` while this member does not belong to the group.
    pub(crate) fn membership(&self) -> Option<Membership> {
        let instance_id = self.settings.instance_id.clone();
        self.generation.map(|epoch| Membership { member_id: self.member_id.clone(), epoch, instance_id })
    }

    /// Where commits go.
    pub(crate) fn coordinator(&self) -> Option<i32> {
        self.coordinator.broker
    }

    /// What to tell the application, in order.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Nothing will be asked or told any more: it was closed, or it cannot go on.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended) && self.leave.is_none() && self.leaving.is_none()
    }

    /// The application was there. The shell says so when an event is taken, and whenever none waits to be taken.
    pub(crate) fn polled(&mut self, now: Instant) {
        self.polled = now;
        if matches!(self.phase, Phase::Away) {
            self.phase = Phase::Unjoined;
            self.rejoin = Some("the application is back");
            self.join.reset();
        }
    }

    /// The application has finished its work on what the oldest [`Told::Revoking`] named that was not lost meanwhile.
    pub(crate) fn revoked(&mut self, _now: Instant) {
        for partition in self.revoking.pop_front().map_or_else(Vec::new, |revoking| revoking.partitions) {
            self.owned.remove(&partition);
        }
    }

    /// Gives up all and leaves. A static member stays away without a word, so that it finds its partitions again.
    pub(crate) fn close(&mut self, now: Instant) {
        self.pass(now);
        match self.phase {
            Phase::Ended | Phase::Closing => return,
            Phase::Stable | Phase::Unjoined if self.generation.is_some() => self.revoke_all(now),
            _ => self.lose_all(),
        }
        self.phase = Phase::Closing;
        (self.rejoin, self.watch) = (None, None);
    }

    /// All members of such a group keep their partitions while they join.
    fn is_cooperative(&self) -> bool {
        self.strategies.iter().all(|strategy| strategy.is_cooperative())
    }

    fn next_id(&mut self) -> AskId {
        self.asks += 1;
        AskId(self.asks)
    }

    /// Asks the application for what it has and was not asked for yet.
    fn revoke_all(&mut self, now: Instant) {
        let asked: HashSet<&TopicPartition> =
            self.revoking.iter().flat_map(|revoking| &revoking.partitions).collect();
        let rest = self.owned.iter().filter(|partition| !asked.contains(partition)).cloned().collect();
        self.revoke(rest, now);
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>, now: Instant) {
        if !partitions.is_empty() {
            self.told.push(Told::Revoking(partitions.clone()));
            self.revoking.push_back(Revoking { partitions, until: now + self.settings.revoke_budget });
        }
    }

    fn lose_all(&mut self) {
        self.revoking.clear();
        let lost: Vec<_> = std::mem::take(&mut self.owned).into_iter().collect();
        if !lost.is_empty() {
            self.told.push(Told::Lost(lost));
        }
    }

    /// The group has gone on without this member, or it does not know what the group does.
    fn drop_out(&mut self, member_id: MemberId) {
        self.lose_all();
        self.generation = None;
        (self.heart.pending, self.watch) = (None, None);
        if member_id == MemberId::Gone {
            self.member_id.clear();
        }
        if !matches!(self.phase, Phase::Closing | Phase::Ended | Phase::Away) {
            self.phase = Phase::Unjoined;
        }
    }

    fn tell(&mut self, kind: ConsumeErrorKind, why: &str) {
        let message = format!("group {}: {why}", self.settings.group);
        self.told.push(Told::Error(ConsumeError { kind, message }));
    }
}

/// What becomes of the member id when a generation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberId {
    /// The coordinator still knows it.
    Kept,
    Gone,
}

impl Retry {
    fn new(backoff: Backoff) -> Retry {
        Retry { not_before: None, backoff, hurries: 0 }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    fn later(&mut self, now: Instant) {
        self.not_before = Some(now + self.backoff.next());
    }

    /// At once, unless that has not helped.
    fn soon(&mut self, now: Instant) {
        if self.hurries < HURRIES {
            self.hurries += 1;
            self.not_before = None;
        } else {
            self.later(now);
        }
    }

    fn reset(&mut self) {
        self.backoff.reset();
        (self.not_before, self.hurries) = (None, 0);
    }
}
