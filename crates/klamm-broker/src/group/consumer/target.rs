//! The target assignment of the group's epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ConsumerGroup, Scene};
use crate::group::assign::{GroupSpec, MemberSpec};

impl ConsumerGroup {
    /// Computes the target assignment if the group's epoch has none, and if the last one is old enough.
    pub(super) fn compute_target(&mut self, homogeneous: Option<bool>, scene: Scene<'_>) {
        let too_early = self
            .target_at_ms
            .is_some_and(|at_ms| scene.now_ms < at_ms.saturating_add(scene.settings.assignment_interval_ms));
        if self.target_epoch >= self.epoch || too_early {
            return;
        }
        let partitions = self.subscribed_topics(scene.image);
        let members = self.members.iter().map(|(id, member)| {
            let spec = MemberSpec {
                instance_id: member.instance_id.clone(),
                topics: self.subscription(member, scene.image),
                assigned: self.target(id).as_ref().clone(),
            };
            (id.clone(), spec)
        });
        let homogeneous = homogeneous.unwrap_or_else(|| self.is_homogeneous());
        let spec = GroupSpec { members: members.collect(), partitions, homogeneous };
        for (id, target) in self.assignor(scene.settings).assign(&spec) {
            // What did not change stays the same value, so that the journal need not repeat it.
            if self.targets.get(&id).is_none_or(|known| **known != target) {
                self.targets.insert(id, Arc::new(target));
            }
        }
        self.target_epoch = self.epoch;
        self.target_at_ms = Some(scene.now_ms);
    }

    /// Whether all members are subscribed to the same names, or all to one regular expression and to nothing else.
    pub(super) fn is_homogeneous(&self) -> bool {
        let count = self.members.len();
        let mut by_regex = BTreeMap::<&str, usize>::new();
        let mut by_name = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            if !member.regex.is_empty() {
                *by_regex.entry(&member.regex).or_default() += 1;
            }
            for name in &member.topics {
                *by_name.entry(name).or_default() += 1;
            }
        }
        match by_regex.values().next() {
            None => by_name.values().all(|subscribers| *subscribers == count),
            Some(subscribers) => *subscribers == count && by_regex.len() == 1 && by_name.is_empty(),
        }
    }
}
