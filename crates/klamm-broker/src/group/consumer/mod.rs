//! One group of the `consumer` protocol (KIP-848): epochs, the target assignment, and members on their way to it.
//!
//! The rules are those of Kafka's `ConsumerGroup`, `GroupMetadataManager`, `TargetAssignmentBuilder` and
//! `CurrentAssignmentBuilder`. The group is a value: an event gives a new value or a refusal. What a restart must know of
//! it is written as the difference of two values ([`changes`]); deadlines are not part of that.

mod changes;
mod classic;
mod fence;
mod heartbeat;
mod member;
mod reconcile;
mod regexes;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use klamm_kafka::ErrorCode;
use uuid::Uuid;

use super::assign::{Assignment, Assignor};
use super::image::TopicsImage;
use crate::config::MigrationPolicy;
use crate::error::Refusal;

pub(crate) use changes::Changes;
pub(crate) use heartbeat::{Beat, BeatAnswer};
pub(crate) use member::{ClassicPart, LEFT_FOR_NOW, Member, MemberState};

/// The epoch of a new group (`ModernGroup`). The first subscription begins the next one; without, members are assigned nothing at this one.
const FIRST_EPOCH: i32 = 1;

/// What a group obeys: the broker's settings, where the group has none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerSettings {
    pub session_timeout_ms: i64,
    pub heartbeat_interval_ms: i32,
    /// Least time between two target assignments.
    pub assignment_interval_ms: i64,
    pub max_size: usize,
    pub regex_refresh_interval_ms: i64,
    /// Whether a group may change its protocol while it has members.
    pub migration: MigrationPolicy,
    /// `group.max.size`, for a group that is about to become a classic one.
    pub classic_max_size: usize,
    /// Assignors that members may ask for; the first is the default.
    pub assignors: Vec<Assignor>,
}

/// What an event happens in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub image: &'a TopicsImage,
    pub settings: &'a ConsumerSettings,
    pub now_ms: i64,
}

/// A group. Cloning it is cheap: members and assignments are shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerGroup {
    id: String,
    epoch: i32,
    /// Topics of the subscriptions with their numbers of partitions, as `epoch` knows them: Kafka's metadata hash.
    topics: Arc<BTreeMap<Uuid, i32>>,
    target_epoch: i32,
    members: BTreeMap<String, Arc<Member>>,
    targets: BTreeMap<String, Arc<Assignment>>,
    /// The topics that each regular expression matched when it was last resolved.
    regexes: BTreeMap<String, Arc<BTreeSet<String>>>,

    timers: BTreeMap<String, Timers>,
    target_at_ms: Option<i64>,
    /// Whether `topics` was compared with the image, since a topic changed that the group was subscribed to: Kafka's metadata refresh.
    compared: bool,
    /// When the regular expressions were resolved last, and by which image.
    resolved: Option<(i64, u64)>,
    turned_classic: Option<Downgrade>,
}

/// Only members of the classic protocol are left: the group goes on as a classic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Downgrade {
    /// They have what the target assignment gives them.
    AsItIs,
    /// Somebody left, or subscriptions have changed: they must assign anew.
    Rebalance,
}

/// When a member is fenced, should nothing happen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timers {
    session_ms: i64,
    /// For a member that must give up partitions at this epoch.
    revocation: Option<Deadline>,
    /// For a member of the classic protocol that must join again, and for one that must sync.
    join_ms: Option<i64>,
    sync_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deadline {
    at_ms: i64,
    epoch: i32,
}

impl ConsumerGroup {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), epoch: FIRST_EPOCH, ..Self::default() }
    }

    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    pub fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the last event left only members of the classic protocol, so that the group must become a classic one.
    pub fn turned_classic(&self) -> Option<Downgrade> {
        self.turned_classic
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(Arc::as_ref)
    }

    /// What the target assignment gives a member.
    pub fn target(&self, member_id: &str) -> Arc<Assignment> {
        self.targets.get(member_id).cloned().unwrap_or_default()
    }

    /// Kafka's name of the state.
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The assignor that most members ask for.
    pub fn assignor(&self, settings: &ConsumerSettings) -> Assignor {
        let mut votes = BTreeMap::<Assignor, usize>::new();
        for assignor in self.members.values().filter_map(|member| member.assignor()) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().max().copied();
        let chosen = votes.into_iter().find(|(_, count)| Some(*count) == most).map(|(assignor, _)| assignor);
        chosen.or(settings.assignors.first().copied()).unwrap_or(Assignor::Uniform)
    }

    /// Whether a member is subscribed to the topic, so that its offsets are in use.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| {
            let matched = self.regexes.get(&member.regex).is_some_and(|topics| topics.contains(topic));
            matched || member.topics.contains(topic)
        })
    }

    /// Names of all topics that members are subscribed to.
    pub fn all_subscribed_names(&self) -> BTreeSet<String> {
        self.members.values().flat_map(|member| self.subscribed_names(member)).cloned().collect()
    }

    /// Ids of the existing topics that a member is subscribed to.
    fn subscription(&self, member: &Member, image: &TopicsImage) -> BTreeSet<Uuid> {
        self.subscribed_names(member).filter_map(|name| image.topic(name).map(|(id, _)| id)).collect()
    }

    fn subscribed_names<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a String> {
        let matched = self.regexes.get(&member.regex).filter(|_| !member.regex.is_empty());
        member.topics.iter().chain(matched.into_iter().flat_map(|topics| topics.iter()))
    }

    /// These topics have changed. They are looked at with the next heartbeat, if one of them concerns the group as it is subscribed now.
    pub fn topics_changed(&mut self, names: &BTreeSet<String>) {
        let concerned = self
            .members
            .values()
            .any(|member| self.subscribed_names(member).any(|name| names.contains(name)));
        self.compared &= !concerned;
    }

    /// The topics of all subscriptions that exist now.
    fn subscribed_topics(&self, image: &TopicsImage) -> BTreeMap<Uuid, i32> {
        let names = self.members.values().flat_map(|member| self.subscribed_names(member));
        names.filter_map(|name| image.topic(name)).collect()
    }

    /// A new epoch begins if `changed`, or if the topics of the subscriptions are not what they were.
    fn compare_topics(&mut self, image: &TopicsImage, changed: bool) -> Result<(), Refusal> {
        self.compared = true;
        let topics = self.subscribed_topics(image);
        if changed || topics != *self.topics {
            self.begin_epoch(topics)?;
        }
        Ok(())
    }

    fn begin_epoch(&mut self, topics: BTreeMap<Uuid, i32>) -> Result<(), Refusal> {
        let exhausted = || Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, "the group epoch is exhausted");
        self.epoch = self.epoch.checked_add(1).ok_or_else(exhausted)?;
        self.topics = Arc::new(topics);
        Ok(())
    }

    /// The member of a static instance.
    fn static_member(&self, instance_id: &str) -> Option<&Arc<Member>> {
        self.members.values().find(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    fn known(&self, member_id: &str) -> Result<&Arc<Member>, Refusal> {
        self.members.get(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, message)
        })
    }

    /// Whether another member still has the partition, or has yet to give it up.
    fn is_held_by_another(&self, member_id: &str, topic: Uuid, partition: i32) -> bool {
        self.members.iter().any(|(id, other)| id != member_id && other.holds(topic, partition))
    }
}

#[cfg(test)]
mod tests;
