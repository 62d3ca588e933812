//! Who may commit and fetch offsets, and which offsets expire.

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;
use uuid::Uuid;

use super::super::consumer::ConsumerGroup;
use super::super::ledger::Entry;
use super::super::messages::{Identity, Phase};
use super::super::state::{CommitKind, Group};
use super::{Coordinator, Slot, State};

/// The first version of `OffsetCommit` that members of the `consumer` protocol may use, and that says that there is no
/// such group.
const KNOWS_CONSUMER_GROUPS: i16 = 9;

/// Who commits, and how it says so.
#[derive(Debug, Clone)]
pub(crate) struct Committer {
    pub identity: Identity,
    /// Generation of the classic protocol, or member epoch; -1 from outside a group.
    pub generation: i32,
    /// Version of `OffsetCommit`.
    pub version: i16,
}

/// When offsets of a group expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Counted from here (milliseconds since the epoch), or from the commit.
    since_ms: Option<i64>,
    /// Topics whose offsets are in use.
    in_use: BTreeSet<String>,
    retention_ms: i64,
}

impl Expiry {
    /// Whether an offset that was committed at this time is too old.
    pub fn has_come(&self, topic: &str, committed_ms: i64, now_ms: i64) -> bool {
        let since_ms = self.since_ms.unwrap_or(committed_ms);
        !self.in_use.contains(topic) && now_ms.saturating_sub(since_ms) >= self.retention_ms
    }
}

impl Coordinator {
    /// Makes empty classic groups of those that have offsets and nothing else: they are in no journal of groups.
    pub fn adopt(&self, groups: impl IntoIterator<Item = String>) {
        let mut state = self.lock();
        groups.into_iter().for_each(|group| self.insert_empty(&mut state, &group));
    }

    /// A group that somebody commits offsets to from outside is an empty classic one, even if the commit is refused afterwards. It
    /// goes when offsets are looked for that have expired.
    fn insert_empty(&self, state: &mut State, group: &str) {
        let empty = || Slot::Classic { machine: Group::new(self.settings.classic), recorded: None };
        state.groups.entry(group.to_owned()).or_insert_with(empty);
    }

    /// Whether `committer` may commit offsets of these partitions now, all of them or none.
    ///
    /// # Errors
    /// Of a classic group `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`, `ILLEGAL_GENERATION`, `REBALANCE_IN_PROGRESS`; of a
    /// `consumer` group `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH`, `UNSUPPORTED_VERSION`; `GROUP_ID_NOT_FOUND` or, before
    /// version 9, `ILLEGAL_GENERATION` if there is no such group.
    pub fn check_commit(
        &self,
        group: &str,
        committer: &Committer,
        partitions: &[(Uuid, i32)],
    ) -> Result<(), ErrorCode> {
        let Committer { identity, generation, version } = committer;
        let mut state = self.lock();
        match state.groups.get_mut(group) {
            Some(Slot::Classic { machine, .. }) => {
                machine.check_commit(identity, *generation, CommitKind::Plain, self.clock.monotonic_ms())
            }
            Some(Slot::Consumer(known)) => {
                let member = known.members().find(|member| member.id == identity.member_id);
                if *version < KNOWS_CONSUMER_GROUPS && member.is_some_and(|m| m.classic.is_none()) {
                    return Err(ErrorCode::UNSUPPORTED_VERSION);
                }
                known.check_commit(identity, *generation, CommitKind::Plain, partitions)
            }
            None if *generation < 0 => {
                self.insert_empty(&mut state, group);
                Ok(())
            }
            None if *version >= KNOWS_CONSUMER_GROUPS => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    /// Whether offsets of these partitions (topic id, nil if there is no such topic, and partition) may be added to a
    /// transaction: `TxnOffsetCommit`, whose member id and generation are optional. `generation` is -1 without them.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`, `ILLEGAL_GENERATION`.
    pub fn check_txn_commit(
        &self,
        group: &str,
        identity: &Identity,
        generation: i32,
        partitions: &[(Uuid, i32)],
    ) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        let checked = match state.groups.get_mut(group) {
            Some(Slot::Classic { machine, .. }) => {
                let now_ms = self.clock.monotonic_ms();
                machine.check_commit(identity, generation, CommitKind::Transactional, now_ms)
            }
            Some(Slot::Consumer(known)) => {
                known.check_commit(identity, generation, CommitKind::Transactional, partitions)
            }
            None if generation < 0 => {
                self.insert_empty(&mut state, group);
                Ok(())
            }
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        };
        checked.map_err(|error| match error {
            ErrorCode::STALE_MEMBER_EPOCH => ErrorCode::ILLEGAL_GENERATION,
            other => other,
        })
    }

    /// Whether a member at this epoch may fetch offsets. Only `consumer` groups ask; -1 without a member is from outside.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH`, or `ILLEGAL_GENERATION` for a member of the classic protocol.
    pub fn check_fetch(&self, group: &str, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let state = self.lock();
        let Some(Slot::Consumer(known)) = state.groups.get(group) else { return Ok(()) };
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = known.members().find(|member| Some(member.id.as_str()) == member_id);
        let member = member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match (member.epoch == epoch, &member.classic) {
            (true, _) => Ok(()),
            (false, None) => Err(ErrorCode::STALE_MEMBER_EPOCH),
            (false, Some(_)) => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    /// Whether offsets of the group may be deleted.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`; `NON_EMPTY_GROUP` of a classic group whose members use another protocol than the consumers'.
    pub fn check_delete_offsets(&self, group: &str) -> Result<(), ErrorCode> {
        match self.lock().groups.get(group) {
            Some(Slot::Classic { machine, .. })
                if machine.phase() != Phase::Empty && !machine.embeds_consumer_protocol() =>
            {
                Err(ErrorCode::NON_EMPTY_GROUP)
            }
            Some(_) => Ok(()),
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
        }
    }

    /// Whether a member is subscribed to the topic, so that its offsets are in use.
    pub fn is_subscribed_to(&self, group: &str, topic: &str) -> bool {
        match self.lock().groups.get(group) {
            Some(Slot::Classic { machine, .. }) => machine.is_subscribed_to(topic),
            Some(Slot::Consumer(known)) => known.is_subscribed_to(topic),
            None => false,
        }
    }

    /// When offsets of the group expire; `None`: not now. After Kafka's `OffsetExpirationConditionImpl`: of a classic
    /// group that is empty, when it has been so for the retention; else when the commit is that old and nobody is
    /// subscribed to the topic; while a classic group rebalances, never.
    pub fn expiry(&self, group: &str) -> Option<Expiry> {
        let by_commit = |in_use| {
            Some(Expiry { since_ms: None, in_use, retention_ms: self.settings.offsets_retention_ms })
        };
        match self.lock().groups.get(group) {
            None => by_commit(BTreeSet::new()),
            Some(Slot::Consumer(known)) => by_commit(known.all_subscribed_names()),
            Some(Slot::Classic { machine, .. }) if machine.protocol_type().is_empty() => {
                by_commit(BTreeSet::new())
            }
            Some(Slot::Classic { machine, recorded }) => match machine.phase() {
                Phase::Empty => {
                    let since_ms = recorded.as_ref().map(|recorded| recorded.since_ms);
                    Some(Expiry { since_ms, ..by_commit(BTreeSet::new())? })
                }
                Phase::Stable => by_commit(machine.subscribed_topics()?),
                Phase::PreparingRebalance | Phase::CompletingRebalance => None,
            },
        }
    }

    /// Forgets the groups that have neither members nor, as `has_offsets` tells, offsets.
    pub fn forget_unused(&self, has_offsets: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        let unused: Vec<_> = state
            .groups
            .iter()
            .filter(|(id, slot)| slot.is_empty() && !has_offsets(id))
            .map(|(id, _)| id.clone())
            .collect();
        for group in unused {
            // What the journal cannot take is forgotten with the next round.
            if state.record(&Entry::Gone { group: group.clone() }).is_ok() {
                state.groups.remove(&group);
            }
        }
        state.tidy();
    }
}

impl ConsumerGroup {
    /// Whether a commit may be made: by a member at its epoch, at an earlier one for partitions that it has had since
    /// then (KIP-1251), or from outside (`epoch` below 0) while the group has no members.
    pub fn check_commit(
        &self,
        identity: &Identity,
        epoch: i32,
        kind: CommitKind,
        partitions: &[(Uuid, i32)],
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let anonymous = epoch == -1 && identity.member_id.is_empty() && identity.instance_id.is_none();
        if kind == CommitKind::Transactional && anonymous {
            return Ok(());
        }
        let member = self.members().find(|member| member.id == identity.member_id);
        let member = member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let has_had = |(topic, partition): &(Uuid, i32)| {
            member.assigned_at(*topic, *partition).is_some_and(|since| since <= epoch)
        };
        if epoch == member.epoch || (epoch < member.epoch && partitions.iter().all(has_had)) {
            return Ok(());
        }
        match member.classic {
            None => Err(ErrorCode::STALE_MEMBER_EPOCH),
            Some(_) => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }
}
