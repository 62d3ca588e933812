//! `sticky` and `cooperative-sticky`: balanced, and as it was as far as that goes, as `AbstractStickyAssignor` does.
//!
//! Three things are done better than Java does them. Partitions that somebody claims but that are not there any more are left out:
//! Java's bookkeeping of what is assigned goes astray over them. Nobody is given a topic for having had it once. And the number
//! of passes that balance has a bound.

mod constrained;
mod general;
mod movements;
mod near;

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::Previous;
use super::{Member, Topic, java};
use crate::TopicPartition;
use near::Near;

pub(super) fn assign(topics: &[Topic<'_>], members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let ground = Ground::new(topics, members);
    let claims = Claims::new(&ground, Previous::of_sticky);
    ground.named(&ground.balanced(claims).parts)
}

/// What is to move is left out: it goes on once its owner has let go of it, in the next generation (KIP-429).
pub(super) fn assign_cooperative(topics: &[Topic<'_>], members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let ground = Ground::new(topics, members);
    let claims = Claims::new(&ground, Previous::of_cooperative);
    let Balanced { mut parts, moving } = ground.balanced(claims);
    let moving = moving.unwrap_or_else(|| ground.moving(&parts));
    for (part, to) in moving {
        parts.get_mut(to).into_iter().for_each(|list| list.retain(|known| *known != part));
    }
    ground.named(&parts)
}

/// Who gets what, by member, and which of it another member still has, if the algorithm knows.
#[derive(Debug)]
struct Balanced {
    parts: Vec<Vec<usize>>,
    moving: Option<BTreeMap<usize, usize>>,
}

/// Partitions and members as numbers: partitions by topic and number, members as they came.
#[derive(Debug)]
struct Ground<'a> {
    topics: &'a [Topic<'a>],
    members: &'a [Member],
    /// Topic and index of each partition.
    parts: Vec<(usize, usize)>,
    /// The first partition of each topic.
    firsts: Vec<usize>,
    /// Members as a `HashMap` goes over them.
    walk: Vec<usize>,
    /// Members by their ids.
    by_id: Vec<usize>,
}

impl<'a> Ground<'a> {
    fn new(topics: &'a [Topic<'a>], members: &'a [Member]) -> Ground<'a> {
        let mut firsts = Vec::with_capacity(topics.len());
        let mut parts = Vec::new();
        for (at, topic) in topics.iter().enumerate() {
            firsts.push(parts.len());
            parts.extend((0..topic.racks.len()).map(|index| (at, index)));
        }
        let hashes: Vec<u32> = members.iter().map(|member| java::hash(&member.id)).collect();
        let mut by_id: Vec<(&str, usize)> =
            members.iter().enumerate().map(|(at, member)| (member.id.as_str(), at)).collect();
        by_id.sort_by(|(left, _), (right, _)| java::compare(left, right));
        let by_id = by_id.into_iter().map(|(_, at)| at).collect();
        Ground { topics, members, parts, firsts, walk: java::walk(&hashes), by_id }
    }

    /// The number of a partition that is there.
    fn part(&self, partition: &TopicPartition) -> Option<usize> {
        let at = self.topics.binary_search_by(|topic| topic.name.cmp(&partition.topic)).ok()?;
        let index = usize::try_from(partition.partition).ok()?;
        let count = self.topics.get(at)?.racks.len();
        (index < count).then_some(self.firsts.get(at)? + index)
    }

    fn topic_of(&self, part: usize) -> usize {
        self.parts.get(part).map_or(usize::MAX, |(topic, _)| *topic)
    }

    fn index_of(&self, part: usize) -> usize {
        self.parts.get(part).map_or(usize::MAX, |(_, index)| *index)
    }

    fn named(&self, parts: &[Vec<usize>]) -> Vec<Vec<TopicPartition>> {
        let name = |part: &usize| {
            let (topic, index) = self.parts.get(*part)?;
            Some(self.topics.get(*topic)?.partition(*index))
        };
        parts.iter().map(|list| list.iter().filter_map(name).collect()).collect()
    }

    fn balanced(&self, claims: Claims) -> Balanced {
        if self.members.is_empty() {
            return Balanced { parts: Vec::new(), moving: None };
        }
        let near = Near::new(self);
        if claims.all_want_the_same {
            constrained::assign(self, &near, &claims)
        } else {
            general::assign(self, &near, claims)
        }
    }

    /// What somebody gets while another has it.
    fn moving(&self, parts: &[Vec<usize>]) -> BTreeMap<usize, usize> {
        let (mut added, mut left) = (BTreeMap::new(), BTreeSet::new());
        for (at, (member, assigned)) in self.members.iter().zip(parts).enumerate() {
            let owned: BTreeSet<usize> =
                member.subscription.owned.iter().filter_map(|partition| self.part(partition)).collect();
            let assigned: BTreeSet<usize> = assigned.iter().copied().collect();
            added.extend(assigned.difference(&owned).map(|part| (*part, at)));
            left.extend(owned.difference(&assigned).copied());
        }
        added.retain(|part, _| left.contains(part));
        added
    }
}

/// What the members say that they have, each partition with one member at most.
#[derive(Debug)]
struct Claims {
    owned: Vec<Vec<usize>>,
    /// What two members of one generation say that they have.
    doubled: BTreeSet<usize>,
    /// What members of older generations had, with the newest of these.
    before: BTreeMap<usize, (usize, i32)>,
    all_want_the_same: bool,
}

impl Claims {
    fn new(ground: &Ground<'_>, previous: fn(&super::ConsumerSubscription) -> Previous) -> Claims {
        let members = ground.members;
        let previous: Vec<Previous> = members.iter().map(|member| previous(&member.subscription)).collect();
        let topics = |member: &'_ Member| -> BTreeSet<std::sync::Arc<str>> {
            member.subscription.topics.iter().cloned().collect()
        };
        let first = members.first().map(topics);
        let mut claims = Claims {
            owned: vec![Vec::new(); members.len()],
            doubled: BTreeSet::new(),
            before: BTreeMap::new(),
            all_want_the_same: members.iter().all(|member| Some(topics(member)) == first),
        };
        let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
        for at in ground.walk.iter().copied() {
            let Some(claimed) = previous.get(at) else { continue };
            for part in claimed.partitions.iter().filter_map(|partition| ground.part(partition)) {
                claims.claim(part, at, claimed.generation.unwrap_or(-1), members, &mut owners);
            }
        }
        claims.remember(ground, &previous);
        claims
    }

    fn claim(
        &mut self,
        part: usize,
        at: usize,
        generation: i32,
        members: &[Member],
        owners: &mut BTreeMap<usize, usize>,
    ) {
        if let Some(other) = owners.get(&part).copied() {
            // As in Java it is what the other joined with, even where its user data says something else.
            let theirs = members.get(other).and_then(|member| member.subscription.generation).unwrap_or(-1);
            if generation < theirs {
                return;
            }
            if let Some(list) = self.owned.get_mut(other)
                && let Some(position) = list.iter().position(|known| *known == part)
            {
                list.remove(position);
            }
            if generation == theirs {
                self.doubled.insert(part);
                owners.insert(part, at);
                return;
            }
        }
        owners.insert(part, at);
        self.owned.get_mut(at).into_iter().for_each(|list| list.push(part));
    }

    /// Members that are behind may get back what they had.
    fn remember(&mut self, ground: &Ground<'_>, previous: &[Previous]) {
        let newest = previous.iter().filter_map(|previous| previous.generation).max().unwrap_or(-1).max(-1);
        for at in ground.walk.iter().copied() {
            let Some(had) = previous.get(at) else { continue };
            let generation = had.generation.unwrap_or(-1);
            if generation >= newest {
                continue;
            }
            for part in had.partitions.iter().filter_map(|partition| ground.part(partition)) {
                let known = self.before.entry(part).or_insert((at, generation));
                if generation > known.1 {
                    *known = (at, generation);
                }
            }
        }
    }
}
