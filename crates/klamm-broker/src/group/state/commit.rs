//! Whether offsets may be committed, and which of them are in use.

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;

use super::Group;
use crate::group::embedded;
use crate::group::messages::{Identity, Phase};

/// How a commit comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitKind {
    /// `OffsetCommit`.
    Plain,
    /// `TxnOffsetCommit`: who commits need not name itself, and a rebalance does not matter.
    Transactional,
}

impl Group {
    /// Whether a commit may be made: by a member of the current generation, or (`generation` below 0) from outside
    /// while the group has no members.
    pub fn check_commit(
        &mut self,
        identity: &Identity,
        generation: i32,
        kind: CommitKind,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        if generation >= 0 || !identity.member_id.is_empty() || identity.instance_id.is_some() {
            self.check_member(identity, generation)?;
        } else if kind == CommitKind::Plain && self.phase != Phase::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if kind == CommitKind::Transactional {
            return Ok(());
        }
        if self.phase == Phase::CompletingRebalance {
            // The assignment is about to change hands: the new owner must not find a commit that moves under it.
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.touch(&identity.member_id, now_ms);
        Ok(())
    }

    /// Whether it uses the embedded protocol of Java's consumer, so that subscriptions can be read.
    pub fn embeds_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(embedded::PROTOCOL_TYPE)
    }

    /// The topics that members are subscribed to; `None` if that cannot be told.
    pub fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.embeds_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(embedded::subscribed_topics(&member.subscription(Some(protocol)))?);
        }
        Some(topics)
    }

    /// Whether offsets of the topic are in use. What cannot be told counts as in use.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.embeds_consumer_protocol(),
        }
    }
}
