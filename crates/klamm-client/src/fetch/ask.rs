//! What [`Positions`](super::Positions) asks, and what it is answered.

use std::time::Duration;

use klamm_kafka::ErrorCode;

use super::Next;
use crate::{OffsetReset, TopicPartition};

/// What bounds reading.
#[derive(Debug, Clone)]
pub(crate) struct ReadBounds {
    pub(crate) reset: OffsetReset,
    /// Bytes of one partition that the application may hold, and those of all.
    pub(crate) partition_bytes: usize,
    pub(crate) total_bytes: usize,
    /// `max.partition.fetch.bytes` and `fetch.max.bytes`.
    pub(crate) partition_fetch_bytes: usize,
    pub(crate) fetch_bytes: usize,
    /// How long a nearer replica is used before the leader is asked again (`metadata.max.age.ms`).
    pub(crate) nearer_for: Duration,
}

/// Names a partition from its assignment to its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Claim(pub(super) u64);

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: i32,
    pub(crate) epoch: i32,
}

/// Something to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Who leads which partition.
    Metadata,
    /// `ListOffsets`: where a reader without a position begins.
    Offset { claim: Claim, partition: TopicPartition, leader: Leader, reset: OffsetReset },
    /// `OffsetForLeaderEpoch`: where the records of `epoch` end.
    EpochEnd { claim: Claim, partition: TopicPartition, leader: Leader, epoch: i32 },
    /// `Fetch`, of all that this broker has to give.
    Fetch(Question),
}

/// A fetch, as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(super) id: u64,
    pub(crate) broker: i32,
    pub(crate) parts: Vec<Part>,
    pub(crate) max_bytes: usize,
}

/// A partition of a fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) claim: Claim,
    pub(crate) partition: TopicPartition,
    pub(crate) from: Next,
    pub(crate) leader_epoch: i32,
    pub(crate) max_bytes: usize,
}

/// What a fetch brought for one partition, its records already taken.
#[derive(Debug)]
pub(crate) enum Brought {
    /// Records up to `next`, or none.
    Records {
        next: Next,
        bytes: usize,
    },
    /// This replica is nearer (KIP-392).
    Nearer {
        broker: i32,
    },
    /// Records of this epoch end there: what the reader had read before is not in the log any more.
    Diverged {
        end: Next,
    },
    /// A batch that cannot be read.
    Unreadable {
        why: String,
    },
    Error(ErrorCode),
}
