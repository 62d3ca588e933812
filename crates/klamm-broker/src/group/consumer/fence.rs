//! Members that are put out: they left, were silent for too long, or did not give up partitions in time.

use super::{ConsumerGroup, Deadline, Downgrade, MemberState, Scene, Timers};
use crate::error::Refusal;

impl ConsumerGroup {
    /// Removes members. A new epoch begins, whose target is computed with the next heartbeat.
    pub(super) fn fence(&mut self, ids: &[String], scene: Scene<'_>) -> Result<(), Refusal> {
        if ids.is_empty() {
            return Ok(());
        }
        let downgrade = self.may_become_classic_without(ids, scene.settings);
        for id in ids {
            self.members.remove(id);
            self.targets.remove(id);
            self.timers.remove(id);
        }
        if downgrade {
            self.turned_classic = Some(Downgrade::Rebalance);
            return Ok(());
        }
        self.forget_unused_regexes();
        let topics = self.subscribed_topics(scene.image);
        self.begin_epoch(topics)
    }

    /// When [`Self::tick`] must be called next, if nothing happens before.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let of = |timers: &Timers| {
            let revocation = timers.revocation.map(|deadline| deadline.at_ms);
            let all = [Some(timers.session_ms), revocation, timers.join_ms, timers.sync_ms];
            all.into_iter().flatten().min()
        };
        self.timers.values().filter_map(of).min()
    }

    /// Puts out the members whose time is up; gives whether there were any. The caller drops the group on a refusal.
    pub fn tick(&mut self, scene: Scene<'_>) -> Result<bool, Refusal> {
        let due = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| at_ms <= scene.now_ms);
        let mut late = Vec::new();
        for (id, timers) in &mut self.timers {
            let epoch = self.members.get(id).map(|member| member.epoch);
            // A deadline of an epoch that the member has left means nothing any more.
            let overdue = timers.revocation.filter(|deadline| deadline.at_ms <= scene.now_ms);
            let revocation = overdue.is_some_and(|deadline| Some(deadline.epoch) == epoch);
            if overdue.is_some() {
                timers.revocation = None;
            }
            if revocation || due(Some(timers.session_ms)) || due(timers.join_ms) || due(timers.sync_ms) {
                late.push(id.clone());
            }
        }
        self.fence(&late, scene)?;
        Ok(!late.is_empty())
    }

    /// Gives every member a whole session from now on, as after a restart.
    pub fn start_timers(&mut self, session_timeout_ms: i64, now_ms: i64) {
        let members: Vec<_> = self.members.values().cloned().collect();
        for member in members {
            let session_ms = member.classic.as_ref().map_or(session_timeout_ms, |c| c.session_timeout_ms);
            self.prolong(&member.id, session_ms, now_ms);
            if member.state == MemberState::UnrevokedPartitions && member.classic.is_none() {
                let at_ms = now_ms.saturating_add(member.rebalance_timeout_ms.into());
                self.timers_of(&member.id).revocation = Some(Deadline { at_ms, epoch: member.epoch });
            }
        }
    }
}
