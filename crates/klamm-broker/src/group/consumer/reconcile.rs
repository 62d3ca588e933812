//! The next step of a member towards its target: first it gives up, then it gets what others have given up.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::member::Held;
use super::{ConsumerGroup, Member, MemberState};
use crate::group::assign::Assignment;
use crate::group::image::TopicsImage;

/// What a member says that it has: `None` if it says nothing.
pub(crate) type Owned = Option<Assignment>;

impl ConsumerGroup {
    /// The member after its next step; the same if there is none to make now.
    pub(super) fn step(
        &self,
        member: &Member,
        subscription_changed: bool,
        owned: &Owned,
        image: &TopicsImage,
    ) -> Member {
        let advance = || self.advance(member, owned, image);
        let trim = || self.trim(member, owned, image);
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => advance(),
            MemberState::UnrevokedPartitions if owns_any(owned, &member.revoking) => {
                if subscription_changed {
                    trim()
                } else {
                    member.clone()
                }
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => advance(),
            MemberState::Stable if subscription_changed => trim(),
            MemberState::Stable => member.clone(),
        }
    }

    /// Takes away the topics that the member is no longer subscribed to, within its epoch.
    fn trim(&self, member: &Member, owned: &Owned, image: &TopicsImage) -> Member {
        let subscription = self.subscription(member, image);
        let (kept, dropped): (Held, Held) =
            member.assigned.clone().into_iter().partition(|(topic, _)| subscription.contains(topic));
        // Kafka takes a step, too, if the member reads nothing any more and had nothing: it can no longer be at the epoch before.
        let reads_nothing = self.subscribed_names(member).next().is_none() && member.revoking.is_empty();
        if dropped.is_empty() && !reads_nothing {
            return member.clone();
        }
        let mut revoking = member.revoking.clone();
        for (topic, partitions) in dropped {
            revoking.entry(topic).or_default().extend(partitions);
        }
        let mut next = Member { assigned: kept, previous_epoch: member.epoch, ..member.clone() };
        if owns_any(owned, &revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.revoking = revoking;
        }
        next
    }

    /// Brings the member as near to its target as it can get now.
    fn advance(&self, member: &Member, owned: &Owned, image: &TopicsImage) -> Member {
        let subscription = self.subscription(member, image);
        let target = self.target(&member.id);
        let (mut kept, mut to_revoke, mut waits) = (Held::new(), Held::new(), false);
        let mut granted = Vec::new();
        let topics: BTreeSet<Uuid> = target.keys().chain(member.assigned.keys()).copied().collect();
        for topic in topics {
            let wanted = target.get(&topic).filter(|_| subscription.contains(&topic));
            let is_wanted = |partition: &i32| wanted.is_some_and(|wanted| wanted.contains(partition));
            let has = member.assigned.get(&topic).cloned().unwrap_or_default();
            for partition in wanted.into_iter().flatten().filter(|partition| !has.contains_key(partition)) {
                if self.is_held_by_another(&member.id, topic, *partition) {
                    waits = true;
                } else {
                    granted.push((topic, *partition));
                }
            }
            let (stays, goes): (_, std::collections::BTreeMap<_, _>) =
                has.into_iter().partition(|(partition, _)| is_wanted(partition));
            if !stays.is_empty() {
                kept.insert(topic, stays);
            }
            if !goes.is_empty() {
                to_revoke.insert(topic, goes);
            }
        }
        if owns_any(owned, &to_revoke) {
            return Member {
                state: MemberState::UnrevokedPartitions,
                previous_epoch: member.epoch,
                assigned: kept,
                revoking: to_revoke,
                ..member.clone()
            };
        }
        for (topic, partition) in granted {
            kept.entry(topic).or_default().insert(partition, self.target_epoch);
        }
        Member {
            state: if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable },
            epoch: self.target_epoch,
            previous_epoch: member.epoch,
            assigned: kept,
            revoking: Held::new(),
            ..member.clone()
        }
    }
}

/// Whether the member may still have one of `partitions`. If it does not say what it has, it may.
fn owns_any(owned: &Owned, partitions: &Held) -> bool {
    if partitions.is_empty() {
        return false;
    }
    let Some(owned) = owned else { return true };
    let mut pairs = partitions.iter().flat_map(|(topic, all)| all.keys().map(move |p| (topic, p)));
    pairs.any(|(topic, partition)| owned.get(topic).is_some_and(|all| all.contains(partition)))
}
