//! From what a member owns to what it was assigned: first give up, then take, then acknowledge.

use std::collections::BTreeSet;
use std::time::Instant;

use uuid::Uuid;

use super::{Parts, Phase, Protocol848};
use crate::TopicPartition;
use crate::group::Told;

impl Protocol848 {
    pub(super) fn reconcile(&mut self, now: Instant) {
        if let Some((parts, until)) = &self.revoking {
            if now < *until {
                return;
            }
            let parts = parts.clone();
            self.revoking = None;
            self.lose(&parts);
            self.after_revoke(now);
            return;
        }
        if self.phase != Phase::Joined {
            return;
        }
        if self.closing {
            let all = self.owned.keys().copied().collect();
            if !self.begin_revoke(all, now) {
                self.leave(now);
            }
            return;
        }
        let Some(target) = self.target.take() else { return };
        let gone: Parts = self.owned.keys().filter(|part| !target.contains(part)).copied().collect();
        if self.begin_revoke(gone, now) {
            self.target = Some(target);
            return;
        }
        let mut added = Vec::new();
        let mut unresolved = false;
        for part in &target {
            if self.owned.contains_key(part) {
                continue;
            }
            match self.names.get(&part.0) {
                Some(name) => {
                    let partition = TopicPartition { topic: name.clone(), partition: part.1 };
                    self.owned.insert(*part, partition.clone());
                    added.push(partition);
                }
                None => unresolved = true,
            }
        }
        if !added.is_empty() {
            self.told.push_back(Told::Assigned(added.clone()));
        }
        if unresolved {
            self.target = Some(target);
        }
        // While only names are missing, what is owned is acknowledged when it changes.
        if !added.is_empty() || !unresolved {
            self.acknowledge_now(now);
        }
    }

    /// What the application gave up is acknowledged even if nothing else follows.
    pub(super) fn after_revoke(&mut self, now: Instant) {
        self.acknowledge_now(now);
        self.reconcile(now);
    }

    /// The ids without a name, if it is time to ask for them.
    pub(super) fn ask_names(&mut self, now: Instant) -> Option<Vec<Uuid>> {
        let unknown = self.unnamed();
        if unknown.is_empty() || self.names_at.is_some_and(|at| now < at) {
            return None;
        }
        self.naming = true;
        Some(unknown.into_iter().collect())
    }

    /// The ids of the assignment that there is no name for and that nobody asks about.
    pub(super) fn unnamed(&self) -> BTreeSet<Uuid> {
        let target = self.target.as_ref().filter(|_| !self.naming && self.phase == Phase::Joined);
        let ids = target.into_iter().flatten().map(|part| part.0);
        ids.filter(|id| !self.names.contains_key(id)).collect()
    }

    /// The group went on without this member.
    pub(super) fn lose_all(&mut self) {
        self.revoking = None;
        self.target = None;
        let all = self.owned.keys().copied().collect();
        self.lose(&all);
    }

    fn lose(&mut self, parts: &Parts) {
        let lost: Vec<_> = parts.iter().filter_map(|part| self.owned.remove(part)).collect();
        if !lost.is_empty() {
            self.told.push_back(Told::Lost(lost));
        }
    }

    fn begin_revoke(&mut self, parts: Parts, now: Instant) -> bool {
        if parts.is_empty() {
            return false;
        }
        let named = parts.iter().filter_map(|part| self.owned.get(part).cloned()).collect();
        self.told.push_back(Told::Revoking(named));
        self.revoking = Some((parts, now + self.settings.revoke_budget));
        true
    }

    /// The broker waits for it: the next heartbeat says what is owned, and goes at once unless one is backing off.
    fn acknowledge_now(&mut self, now: Instant) {
        self.acknowledge = true;
        if self.backoff.failures() == 0 && self.sent.is_none() {
            self.beat_at = Some(now);
        }
    }
}
