//! What has moved from whom to whom, so that partitions of a topic do not change places.

use std::collections::BTreeMap;

use super::super::java::{self, Ordered};
use super::Ground;

type Pair = (usize, usize);

/// Each partition that moved counts as moved from its first owner to its last.
#[derive(Debug, Default)]
pub(super) struct Movements {
    by_topic: BTreeMap<usize, BTreeMap<Pair, Ordered>>,
    by_part: BTreeMap<usize, Pair>,
}

impl Movements {
    /// If a partition of this topic has gone the other way, that one goes back instead.
    pub(super) fn actual(&self, ground: &Ground<'_>, part: usize, from: usize, to: usize) -> usize {
        let from = self.by_part.get(&part).map_or(from, |(first, _)| *first);
        let of_topic = self.by_topic.get(&ground.topic_of(part));
        of_topic.and_then(|pairs| pairs.get(&(to, from))).and_then(Ordered::first).unwrap_or(part)
    }

    pub(super) fn record(&mut self, ground: &Ground<'_>, part: usize, from: usize, to: usize) {
        let topic = ground.topic_of(part);
        let pairs = self.by_topic.entry(topic).or_default();
        let first = match self.by_part.remove(&part) {
            Some(before) => {
                if let Some(moved) = pairs.get_mut(&before) {
                    moved.remove(part);
                    if moved.is_empty() {
                        pairs.remove(&before);
                    }
                }
                before.0
            }
            None => from,
        };
        if first != to {
            self.by_part.insert(part, (first, to));
            pairs.entry((first, to)).or_insert_with(Ordered::new).insert(hash(ground, part), part);
        }
    }
}

fn hash(ground: &Ground<'_>, part: usize) -> u32 {
    let topic = ground.topics.get(ground.topic_of(part)).map_or(0, |topic| java::hash(topic.name));
    java::hash_partition(topic, u32::try_from(ground.index_of(part)).unwrap_or(0))
}
