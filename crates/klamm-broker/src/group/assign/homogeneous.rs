//! `uniform` when all members are subscribed to the same topics: everybody keeps what fits its share, the rest goes to
//! those who have too little.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Assignment, GroupSpec};

/// A member's share is the quotient of partitions and members; as many members as the remainder says get one more.
pub(super) fn assign(spec: &GroupSpec) -> BTreeMap<String, Assignment> {
    let Some(topics) = spec.members.values().next().map(|member| &member.topics) else {
        return BTreeMap::new();
    };
    let owned: BTreeSet<(Uuid, i32)> =
        spec.members.values().flat_map(|member| pairs(&member.assigned)).collect();
    let all = topics.iter().flat_map(|&topic| (0..spec.partition_count(topic)).map(move |p| (topic, p)));
    let (mut free, mut total) = (Vec::new(), 0_usize);
    for partition in all {
        total += 1;
        if !owned.contains(&partition) {
            free.push(partition);
        }
    }
    let count = spec.members.len();
    let share = total / count;
    let mut larger_shares = total % count;

    let mut targets = BTreeMap::new();
    let mut wanting = Vec::new();
    for (index, (id, member)) in spec.members.iter().enumerate() {
        let mut takes_larger = larger_shares > 0;
        let mut room = share + usize::from(takes_larger);
        let mut kept = Assignment::new();
        for (topic, partition) in pairs(&member.assigned).filter(|(topic, _)| topics.contains(topic)) {
            if room > 0 {
                room -= 1;
                kept.entry(topic).or_default().insert(partition);
            } else {
                free.push((topic, partition));
            }
        }
        // The larger share is left to somebody who already fills it, unless only as many members follow as must take one.
        if room > 0 && takes_larger && count - index > larger_shares {
            room -= 1;
            takes_larger = false;
        }
        if takes_larger {
            larger_shares -= 1;
        }
        wanting.extend((room > 0).then(|| (id.clone(), room)));
        targets.insert(id.clone(), kept);
    }

    let mut free = free.into_iter();
    for (id, room) in wanting {
        let target: &mut Assignment = targets.entry(id).or_default();
        for (topic, partition) in free.by_ref().take(room) {
            target.entry(topic).or_default().insert(partition);
        }
    }
    targets
}

fn pairs(assignment: &Assignment) -> impl Iterator<Item = (Uuid, i32)> + '_ {
    assignment.iter().flat_map(|(&topic, partitions)| partitions.iter().map(move |&p| (topic, p)))
}
