//! What outlives a classic group's process, and what goes along when a group changes its protocol.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A classic group at a generation that has its assignments, or without members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicState {
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// When the group came to its state, by the wall clock: offsets expire by it.
    pub since_ms: i64,
    /// The eldest first.
    pub members: Vec<ClassicMember>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicMember {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i64,
    pub rebalance_timeout_ms: i64,
    /// Name and subscription, the preferred one first. The journal has only the one that the group chose, as Kafka's.
    #[serde(with = "super::hex::pairs")]
    pub protocols: Vec<(String, Bytes)>,
    #[serde(with = "super::hex::one")]
    pub assignment: Bytes,
}

impl ClassicMember {
    /// What it subscribes to, in the words of `protocol`.
    pub fn subscription(&self, protocol: Option<&str>) -> Bytes {
        let chosen = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        chosen.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }
}

impl ClassicState {
    /// The protocol that most members prefer among those that all of them know.
    pub fn choose_protocol(&self) -> Option<String> {
        choose_protocol(self.members.iter().map(|member| member.protocols.as_slice()))
    }
}

/// The protocol that most members prefer among those that all of them know.
pub(crate) fn choose_protocol<'a>(
    members: impl Iterator<Item = &'a [(String, Bytes)]> + Clone,
) -> Option<String> {
    let count = members.clone().count();
    let mut known = BTreeMap::<&str, usize>::new();
    for (name, _) in members.clone().flatten() {
        *known.entry(name).or_default() += 1;
    }
    let mut votes = BTreeMap::<&str, usize>::new();
    for protocols in members {
        let preferred =
            protocols.iter().map(|(name, _)| name.as_str()).find(|name| known.get(name) == Some(&count));
        *votes.entry(preferred?).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
}
