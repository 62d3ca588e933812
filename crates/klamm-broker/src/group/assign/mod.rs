//! The server-side assignors of the `consumer` protocol (KIP-848): who is to have which partition.
//!
//! Pure functions from a [`GroupSpec`] to one [`Assignment`] a member. Each gives every partition of a subscribed topic to
//! exactly one member that is subscribed to it. Kafka goes through members in the order of a hash table, this in the order
//! of their ids: the sizes of the parts are Kafka's, which member gets the larger one may differ.

mod heterogeneous;
mod homogeneous;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// What an assignor knows of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupSpec {
    pub members: BTreeMap<String, MemberSpec>,
    /// Number of partitions of every topic that a member is subscribed to.
    pub partitions: BTreeMap<Uuid, i32>,
    /// Whether all members are subscribed to the same topics.
    pub homogeneous: bool,
}

/// What an assignor knows of a member.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberSpec {
    pub instance_id: Option<String>,
    pub topics: BTreeSet<Uuid>,
    /// What the last target assignment gave it.
    pub assigned: Assignment,
}

/// An assignor by its name in `group.remote.assignor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// Even numbers of partitions over all topics, and as little movement as that allows.
    Uniform,
    /// Consecutive partitions topic by topic, in the order of instance and member ids.
    Range,
}

impl Assignor {
    /// In the order of Kafka's `group.consumer.assignors`: the first is the default.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    pub fn assign(self, spec: &GroupSpec) -> BTreeMap<String, Assignment> {
        match self {
            _ if spec.members.is_empty() => BTreeMap::new(),
            Self::Uniform if spec.homogeneous => homogeneous::assign(spec),
            Self::Uniform => heterogeneous::assign(spec),
            Self::Range => range::assign(spec),
        }
    }
}

impl GroupSpec {
    fn partition_count(&self, topic: Uuid) -> i32 {
        self.partitions.get(&topic).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
