//! What [`Classic`](super::Classic) asks, and what it is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_kafka::ErrorCode;

use super::super::assign::Strategy;

/// Names an ask until its end; an answer to one that is not waited for any more changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AskId(pub(super) u64);

/// Something to ask. [`failed`](super::Classic::failed) ends any of them that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) id: AskId,
    pub(crate) what: What,
}

/// A request, but for what the settings say in all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// `FindCoordinator`, at any broker; [`found`](super::Classic::found) ends it.
    Coordinator,
    /// The partitions of these topics and the racks of their replicas, from fresh metadata; [`topics`](super::Classic::topics) ends it.
    Topics(Vec<Arc<str>>),
    /// `JoinGroup`; [`joined`](super::Classic::joined) ends it.
    Join {
        broker: i32,
        member_id: String,
        protocols: Vec<(Strategy, Bytes)>,
        reason: &'static str,
        /// The coordinator may wait for all members before it answers: how long the answer may take.
        timeout: Duration,
    },
    /// `SyncGroup`; [`synced`](super::Classic::synced) ends it.
    Sync {
        broker: i32,
        member_id: String,
        generation: i32,
        strategy: Strategy,
        /// By member id; only the member that leads has any.
        assignments: Vec<(String, Bytes)>,
    },
    /// `Heartbeat`; [`alive`](super::Classic::alive) ends it.
    Heartbeat { broker: i32, member_id: String, generation: i32 },
    /// `LeaveGroup`, also while a join is under way; [`left`](super::Classic::left) ends it.
    Leave { broker: i32, member_id: String, reason: &'static str },
}

/// An answer to `JoinGroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinAnswer {
    pub(crate) error: ErrorCode,
    pub(crate) generation: i32,
    /// Since version 7.
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// Also with `MEMBER_ID_REQUIRED`.
    pub(crate) member_id: String,
    pub(crate) members: Vec<JoinedMember>,
}

#[cfg(test)]
impl JoinAnswer {
    pub(super) fn refused(error: ErrorCode, member_id: &str) -> JoinAnswer {
        JoinAnswer {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// A member, as the one that leads is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

/// An answer to `SyncGroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncAnswer {
    pub(crate) error: ErrorCode,
    /// Since version 5.
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}
