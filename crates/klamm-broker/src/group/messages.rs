//! What goes into a group and comes out of it, and what it tells about itself.

use bytes::Bytes;
use klamm_kafka::ErrorCode;

/// Stands for a join or sync that waits for its answer.
pub(crate) type Token = u64;

/// Answers that fell due, in order.
pub(crate) type Replies = Vec<(Token, Reply)>;

/// The answer to a join or a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Join(JoinAnswer),
    Sync(SyncAnswer),
}

/// A member as it names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub member_id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    pub identity: Identity,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i64,
    pub rebalance_timeout_ms: i64,
    pub protocol_type: String,
    /// Name and subscription, the preferred one first.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether a new dynamic member must come back with the id it is given (KIP-394).
    pub requires_known_member_id: bool,
    /// Whether the client understands `skip_assignment` (KIP-814).
    pub supports_skip_assignment: bool,
    /// The id that a new member is to have.
    pub fresh_member_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JoinAnswer {
    pub error: Option<ErrorCode>,
    pub member_id: String,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    pub skip_assignment: bool,
    /// Only for the leader: every member with its subscription.
    pub members: Vec<(Identity, Bytes)>,
}

#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub identity: Identity,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignments: Vec<(String, Bytes)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncAnswer {
    pub error: Option<ErrorCode>,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl Phase {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group as `DescribeGroups` tells it.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub state: &'static str,
    pub protocol_type: String,
    pub protocol: String,
    pub members: Vec<MemberDescription>,
}

#[derive(Debug, Clone)]
pub(crate) struct MemberDescription {
    pub identity: Identity,
    pub client_id: String,
    pub client_host: String,
    pub subscription: Bytes,
    pub assignment: Bytes,
}
