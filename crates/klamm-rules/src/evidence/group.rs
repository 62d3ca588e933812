//! Consumer groups, looked at over a window of time.

use serde::{Deserialize, Serialize};

use super::live::Configs;
use crate::Seen;

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// The members assign partitions.
    #[default]
    Classic,
    /// The broker assigns partitions (KIP-848).
    Consumer,
    /// Records are shared, without order (KIP-932).
    Share,
    /// A Kafka Streams application (KIP-1071).
    Streams,
    /// Something else that uses the group protocol: Connect, a registry.
    Other,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// `group.id`.
    pub name: String,
    /// Protocol.
    pub kind: GroupKind,
    /// `protocol.type` of a classic group: `consumer`, `connect`, `sr`.
    pub protocol_type: String,
    /// Assignor that is in use.
    pub assignor: String,
    /// Members at the last look.
    pub members: Vec<Member>,
    /// State and members, a look each, oldest first.
    pub states: Vec<StateSample>,
    /// Committed offsets, over the window.
    pub offsets: Vec<GroupOffset>,
    /// Effective configuration of the group (resource type GROUP, since 4.0): `share.auto.offset.reset`, `streams.num.standby.replicas` …
    pub configs: Seen<Configs>,
    /// Why offsets or members are missing.
    pub missing: Vec<String>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Member {
    /// Id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Host.
    pub host: String,
    /// What it was given; `None` when that cannot be read.
    pub assigned: Option<Vec<AssignedPartitions>>,
    /// Topics that it subscribes to, where the protocol tells.
    pub subscribed: Vec<String>,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssignedPartitions {
    /// Topic.
    pub topic: String,
    /// Partitions.
    pub partitions: Vec<i32>,
}

/// A group at one look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateSample {
    /// When, in milliseconds since the first look.
    pub at_ms: i64,
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance` …
    pub state: String,
    /// Members' ids, sorted.
    pub members: Vec<String>,
    /// Epoch of the group, where the protocol tells.
    pub epoch: Option<i32>,
}

/// A committed offset at the first and the last look of the window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Committed at the first look.
    pub committed_first: i64,
    /// Committed at the last look.
    pub committed: i64,
    /// End (last stable offset) at the first look; `None` when it could not be had.
    pub end_first: Option<i64>,
    /// End at the last look.
    pub end: Option<i64>,
    /// First offset that was stored at the last look.
    pub start: Option<i64>,
    /// Milliseconds between the looks; 0 after a single one.
    pub window_ms: i64,
    /// When it was committed, in milliseconds since 1970: only `__consumer_offsets` tells.
    pub committed_at_ms: Option<i64>,
    /// When its record expires, by the time stamps of records around it: milliseconds until the log start passes it.
    pub oldest_unread_ms: Option<i64>,
}

impl GroupOffset {
    /// Records that are not read yet, from the log start on, at the last look.
    pub fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed.max(self.start.unwrap_or(0))).max(0))
    }

    /// The same at the first look.
    pub fn lag_first(&self) -> Option<i64> {
        Some((self.end_first? - self.committed_first.max(self.start.unwrap_or(0))).max(0))
    }
}
