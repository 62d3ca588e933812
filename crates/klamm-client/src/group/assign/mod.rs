//! Who reads what in a classic group: what the member that leads decides for all.
//!
//! The results are those of Java's assignors, in the same order where an order decides, so that it does not matter whose client leads.
//! They differ where Java's would fail or give a partition to a member that does not want it: see [`sticky`].

mod bytes;
#[cfg(test)]
mod examples_tests;
#[cfg(test)]
mod golden_tests;
mod java;
mod racks;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::bytes::Bytes;

use crate::{Assignor, TopicPartition};

pub(crate) use bytes::{Previous, SUBSCRIPTION_VERSION, decode_assignment, encode_assignment};

/// Partitions of topics by their numbers, each with the racks of its replicas.
pub(crate) type Topics = BTreeMap<Arc<str>, Vec<Vec<Arc<str>>>>;

/// One of `partition.assignment.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Strategy {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// Who is to be assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) subscription: ConsumerSubscription,
}

/// What a member tells when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConsumerSubscription {
    pub(crate) topics: Vec<Arc<str>>,
    /// What an assignor keeps with its members.
    pub(crate) user_data: Option<Bytes>,
    /// What it owns while it joins; in version 1 and later.
    pub(crate) owned: Vec<TopicPartition>,
    /// In which generation it got that; in version 2 and later.
    pub(crate) generation: Option<i32>,
    /// In version 3.
    pub(crate) rack: Option<Arc<str>>,
}

/// A topic that somebody wants: there is at least one partition.
#[derive(Debug, Clone, Copy)]
struct Topic<'a> {
    name: &'a Arc<str>,
    racks: &'a [Vec<Arc<str>>],
}

impl Strategy {
    const ALL: [Strategy; 4] =
        [Strategy::Range, Strategy::RoundRobin, Strategy::Sticky, Strategy::CooperativeSticky];

    /// What it is called in a group.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Strategy::Range => "range",
            Strategy::RoundRobin => "roundrobin",
            Strategy::Sticky => "sticky",
            Strategy::CooperativeSticky => "cooperative-sticky",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether members may keep their partitions while they join (KIP-429).
    pub(crate) fn is_cooperative(self) -> bool {
        self == Strategy::CooperativeSticky
    }

    /// What each of `members` gets, by its index.
    pub(crate) fn assign(self, topics: &Topics, members: &[Member]) -> Vec<Vec<TopicPartition>> {
        let wanted: BTreeSet<&str> =
            members.iter().flat_map(|member| member.subscription.topics.iter().map(AsRef::as_ref)).collect();
        let topics: Vec<Topic<'_>> = topics
            .iter()
            .filter(|(name, racks)| !racks.is_empty() && wanted.contains(name.as_ref()))
            .map(|(name, racks)| Topic { name, racks })
            .collect();
        match self {
            Strategy::Range => range::assign(&topics, members),
            Strategy::RoundRobin => round_robin::assign(&topics, members),
            Strategy::Sticky => sticky::assign(&topics, members),
            Strategy::CooperativeSticky => sticky::assign_cooperative(&topics, members),
        }
    }
}

impl From<Assignor> for Strategy {
    fn from(assignor: Assignor) -> Strategy {
        match assignor {
            Assignor::Range => Strategy::Range,
            Assignor::RoundRobin => Strategy::RoundRobin,
            Assignor::CooperativeSticky => Strategy::CooperativeSticky,
        }
    }
}

impl Member {
    fn wants(&self, topic: &str) -> bool {
        self.subscription.topics.iter().any(|wanted| wanted.as_ref() == topic)
    }

    fn rack(&self) -> Option<&str> {
        self.subscription.rack.as_deref().filter(|rack| !rack.is_empty())
    }
}

impl Topic<'_> {
    fn partition(&self, index: usize) -> TopicPartition {
        TopicPartition::new(Arc::clone(self.name), i32::try_from(index).unwrap_or(i32::MAX))
    }
}

/// Static members by their instance ids, then the others by their member ids: the order that survives a restart (KIP-345).
fn in_order(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    let key = |at: &usize| members.get(*at).map(|member| (member.instance_id.as_deref(), member.id.as_str()));
    order.sort_by(|left, right| match (key(left), key(right)) {
        (Some((Some(left), _)), Some((Some(right), _))) => java::compare(left, right),
        (Some((Some(_), _)), _) => std::cmp::Ordering::Less,
        (_, Some((Some(_), _))) => std::cmp::Ordering::Greater,
        (Some((None, left)), Some((None, right))) => java::compare(left, right),
        _ => std::cmp::Ordering::Equal,
    });
    order
}
