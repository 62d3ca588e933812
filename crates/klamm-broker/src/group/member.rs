//! One member of a group.

use bytes::Bytes;

use super::messages::Token;

/// A member: what it brought, and what it waits for.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i64,
    pub rebalance_timeout_ms: i64,
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    pub session_deadline_ms: i64,
    pub waiting_join: Option<Token>,
    pub waiting_sync: Option<Token>,
    pub synced: bool,
    /// Whether its first join has not been answered yet.
    pub is_new: bool,
    /// Order in which members joined: the eldest leads.
    pub seniority: u64,
}

impl Member {
    /// What it subscribes to, in the words of `protocol`.
    pub fn subscription(&self, protocol: Option<&str>) -> Bytes {
        let chosen = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        chosen.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }

    /// Whether its session runs: not while it waits for the others, unless it is new.
    pub fn may_expire(&self) -> bool {
        self.is_new || (self.waiting_join.is_none() && self.waiting_sync.is_none())
    }
}
