//! One member of a `consumer` group.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::group::assign::{Assignment, Assignor};

/// The epoch of a static member that has left and will come back.
pub(crate) const LEFT_FOR_NOW: i32 = -2;

/// Partitions with the epoch at which each was assigned (KIP-1251), by topic.
pub(crate) type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Where a member is on its way to the target assignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberState {
    /// It has what it is to have at its epoch.
    #[default]
    Stable,
    /// It must give up partitions before it may go on.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
}

/// A member and its assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub topics: BTreeSet<String>,
    /// `SubscribedTopicRegex`; empty if there is none.
    pub regex: String,
    /// Name of the assignor that it asks for.
    pub server_assignor: Option<String>,
    /// Set if it speaks the classic protocol.
    pub classic: Option<ClassicPart>,
    pub state: MemberState,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub assigned: Held,
    pub revoking: Held,
}

/// What a member of the classic protocol brought to a `consumer` group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicPart {
    pub session_timeout_ms: i64,
    /// Name and subscription, the preferred one first.
    #[serde(with = "crate::group::hex::pairs")]
    pub protocols: Vec<(String, Bytes)>,
}

impl Member {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), rebalance_timeout_ms: -1, previous_epoch: -1, ..Self::default() }
    }

    pub fn assignor(&self) -> Option<Assignor> {
        self.server_assignor.as_deref().and_then(Assignor::parse)
    }

    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Whether it has the partition, or has yet to give it up.
    pub fn holds(&self, topic: Uuid, partition: i32) -> bool {
        self.assigned_at(topic, partition).is_some()
    }

    /// The epoch at which a partition was assigned that it has, or has yet to give up.
    pub fn assigned_at(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let of = |held: &Held| held.get(&topic)?.get(&partition).copied();
        of(&self.assigned).or_else(|| of(&self.revoking))
    }

    /// What it has, without epochs.
    pub fn assignment(&self) -> Assignment {
        partitions(&self.assigned)
    }

    /// What it has and what it has yet to give up.
    pub fn held(&self) -> Assignment {
        let mut held = self.assignment();
        for (topic, more) in partitions(&self.revoking) {
            held.entry(topic).or_default().extend(more);
        }
        held
    }
}

fn partitions(held: &Held) -> Assignment {
    held.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}
