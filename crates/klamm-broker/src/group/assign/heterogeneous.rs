//! `uniform` when members are subscribed to different topics: what has no owner goes to the least loaded subscriber, then
//! single partitions move from the most to the least loaded subscriber of a topic while that evens them out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Assignment, GroupSpec};

/// Passes over all topics after which a balance that still moves is taken as it is.
const MOST_PASSES: usize = 16;

struct Balance<'a> {
    spec: &'a GroupSpec,
    ids: Vec<&'a String>,
    /// Partitions of each member, by its index.
    loads: Vec<usize>,
    subscribers: BTreeMap<Uuid, Vec<usize>>,
    /// Owner of each partition, by topic and partition.
    owners: BTreeMap<Uuid, Vec<Option<usize>>>,
}

pub(super) fn assign(spec: &GroupSpec) -> BTreeMap<String, Assignment> {
    let mut balance = Balance::new(spec);
    let mut topics: Vec<_> = balance.owners.keys().copied().collect();
    topics.sort_by(|one, other| balance.compare(*one, *other));
    for topic in &topics {
        balance.give_away_free_partitions(*topic);
    }
    balance.even_out(&topics);
    balance.targets()
}

impl<'a> Balance<'a> {
    fn new(spec: &'a GroupSpec) -> Self {
        let ids: Vec<_> = spec.members.keys().collect();
        let mut subscribers = BTreeMap::<Uuid, Vec<usize>>::new();
        for (index, member) in spec.members.values().enumerate() {
            for topic in &member.topics {
                subscribers.entry(*topic).or_default().push(index);
            }
        }
        let unowned = |topic: &Uuid| vec![None; usize::try_from(spec.partition_count(*topic)).unwrap_or(0)];
        let mut owners: BTreeMap<_, _> = subscribers.keys().map(|topic| (*topic, unowned(topic))).collect();
        let mut loads = vec![0; ids.len()];
        for (index, member) in spec.members.values().enumerate() {
            for (topic, partitions) in &member.assigned {
                let Some(owners) = owners.get_mut(topic).filter(|_| member.topics.contains(topic)) else {
                    continue;
                };
                for partition in partitions {
                    let place = usize::try_from(*partition).ok().and_then(|p| owners.get_mut(p));
                    if let Some(place) = place {
                        *place = Some(index);
                        loads[index] += 1;
                    }
                }
            }
        }
        Self { spec, ids, loads, subscribers, owners }
    }

    /// Topics with many partitions for each subscriber come first, then those with few subscribers: they leave the
    /// least choice.
    fn compare(&self, one: Uuid, other: Uuid) -> Ordering {
        let count = |topic| self.subscribers.get(&topic).map_or(1, Vec::len);
        let ratio = |topic| f64::from(self.spec.partition_count(topic)) / count(topic) as f64;
        ratio(other).total_cmp(&ratio(one)).then(count(one).cmp(&count(other))).then(one.cmp(&other))
    }

    /// The subscribers of a topic, from the least loaded to the most loaded.
    fn ranking(&self, topic: Uuid) -> Ranking {
        let mut members = self.subscribers.get(&topic).cloned().unwrap_or_default();
        members.sort_by_key(|&member| (self.loads[member], member));
        let ranked = members.iter().enumerate().map(|(rank, &member)| (self.loads[member], rank)).collect();
        Ranking { members, ranked }
    }

    fn give_away_free_partitions(&mut self, topic: Uuid) {
        let mut ranking = self.ranking(topic);
        let Some(owners) = self.owners.get_mut(&topic) else { return };
        for owner in owners.iter_mut().filter(|owner| owner.is_none()) {
            if let Some(member) = ranking.load_least() {
                *owner = Some(member);
                self.loads[member] += 1;
            }
        }
    }

    /// Goes over the topics until one whole pass moved nothing.
    fn even_out(&mut self, topics: &[Uuid]) {
        for _ in 0..MOST_PASSES {
            let moved: usize = topics.iter().map(|topic| self.even_out_topic(*topic)).sum();
            if moved == 0 {
                return;
            }
        }
    }

    /// Moves partitions of one topic, and gives how many.
    fn even_out_topic(&mut self, topic: Uuid) -> usize {
        let mut ranking = self.ranking(topic);
        let Some(owners) = self.owners.get_mut(&topic) else { return 0 };
        let mut of_member = BTreeMap::<usize, Vec<usize>>::new();
        for (partition, owner) in owners.iter().enumerate() {
            if let Some(owner) = owner {
                of_member.entry(*owner).or_default().push(partition);
            }
        }
        // Who has none of this topic cannot give one, however loaded it is.
        let mut givers: BTreeSet<_> = ranking
            .ranked
            .iter()
            .copied()
            .filter(|(_, rank)| of_member.contains_key(&ranking.members[*rank]))
            .collect();
        let mut moved = 0;
        while let (Some(&(most, from)), Some(&(least, to))) = (givers.last(), ranking.ranked.first()) {
            if most <= least + 1 {
                break;
            }
            let (giver, taker) = (ranking.members[from], ranking.members[to]);
            givers.remove(&(most, from));
            let Some(partition) = of_member.get_mut(&giver).and_then(Vec::pop) else { continue };
            owners[partition] = Some(taker);
            self.loads[giver] -= 1;
            self.loads[taker] += 1;
            moved += 1;
            ranking.ranked.remove(&(most, from));
            ranking.ranked.insert((most - 1, from));
            givers.insert((most - 1, from));
            ranking.ranked.remove(&(least, to));
            ranking.ranked.insert((least + 1, to));
            if givers.remove(&(least, to)) {
                givers.insert((least + 1, to));
            }
        }
        moved
    }

    fn targets(&self) -> BTreeMap<String, Assignment> {
        let mut targets: BTreeMap<_, _> =
            self.ids.iter().map(|id| ((*id).clone(), Assignment::new())).collect();
        for (topic, owners) in &self.owners {
            for (partition, owner) in (0..).zip(owners) {
                if let Some(target) = owner.and_then(|owner| targets.get_mut(self.ids[owner])) {
                    target.entry(*topic).or_default().insert(partition);
                }
            }
        }
        targets
    }
}

/// Members in the order of their load; of equals the one that came first when the ranking was made.
struct Ranking {
    members: Vec<usize>,
    /// Load, and index into `members`.
    ranked: BTreeSet<(usize, usize)>,
}

impl Ranking {
    /// Gives one more partition to the least loaded member, and tells which it was.
    fn load_least(&mut self) -> Option<usize> {
        let (load, rank) = self.ranked.pop_first()?;
        self.ranked.insert((load + 1, rank));
        self.members.get(rank).copied()
    }
}
