//! `range`: each topic is cut into as many consecutive parts as it has subscribers, in the order of instance ids, then of
//! member ids. Static members therefore keep their parts, and topics with the same subscribers are co-partitioned.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Assignment, GroupSpec};

/// How a topic is cut.
struct Cut {
    share: i32,
    /// So many parts get one partition more.
    larger_parts: i32,
    next: i32,
}

pub(super) fn assign(spec: &GroupSpec) -> BTreeMap<String, Assignment> {
    let mut subscribers = BTreeMap::<Uuid, i32>::new();
    for topic in spec.members.values().flat_map(|member| &member.topics) {
        *subscribers.entry(*topic).or_default() += 1;
    }
    let mut cuts: BTreeMap<_, _> = subscribers
        .into_iter()
        .map(|(topic, count)| {
            let partitions = spec.partition_count(topic);
            (topic, Cut { share: partitions / count, larger_parts: partitions % count, next: 0 })
        })
        .collect();

    let mut order: Vec<_> = spec.members.iter().collect();
    // Members with an instance id come first.
    order.sort_by_key(|(id, member)| {
        (member.instance_id.is_none(), member.instance_id.clone(), (*id).clone())
    });
    let mut targets = BTreeMap::new();
    for (id, member) in order {
        let mut target = Assignment::new();
        for topic in &member.topics {
            let Some(cut) = cuts.get_mut(topic) else { continue };
            let larger = i32::from(cut.larger_parts > 0);
            cut.larger_parts -= larger;
            let part = cut.next..cut.next + cut.share + larger;
            cut.next = part.end;
            if !part.is_empty() {
                target.insert(*topic, part.collect());
            }
        }
        targets.insert(id.clone(), target);
    }
    targets
}
