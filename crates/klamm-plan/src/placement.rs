//! Where the copies of a topic's partitions go: the right number, over as many racks as there are, moving as little as
//! that allows, and onto the brokers that hold least.

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::facts::{ClusterFacts, TopicFacts};
use serde::{Deserialize, Serialize};

/// The copies of one partition, before and after. Node ids, preferred leader first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Partition.
    pub partition: i32,
    /// Where they are.
    pub from: Vec<i32>,
    /// Where they are to be.
    pub to: Vec<i32>,
}

impl Move {
    /// Brokers that get a copy which they do not have.
    pub fn adding(&self) -> impl Iterator<Item = i32> + '_ {
        self.to.iter().copied().filter(|id| !self.from.contains(id))
    }

    /// The way back.
    pub fn back(&self) -> Move {
        Move { partition: self.partition, from: self.to.clone(), to: self.from.clone() }
    }
}

/// What a placement must be.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Copies of each partition; `None` leaves each as many as it has.
    pub copies: Option<usize>,
    /// Brokers that may not hold any: they are being emptied.
    pub without: &'a BTreeSet<i32>,
    /// The broker that takes what they held, wherever it has no copy yet.
    pub instead: Option<i32>,
}

/// The partitions of `topic` whose copies must move, and where to. Brokers that are down keep what they have: they are
/// expected back, unless they are to be emptied.
///
/// # Errors
/// How many brokers there are when that is less than the copies that are wanted.
pub fn moves(topic: &TopicFacts, cluster: &ClusterFacts, wanted: &Wanted<'_>) -> Result<Vec<Move>, usize> {
    let mut brokers = Brokers::of(cluster, wanted.without);
    let most = topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0);
    if brokers.free.len() < wanted.copies.unwrap_or(most) {
        return Err(brokers.free.len());
    }
    let mut moves = Vec::new();
    for partition in &topic.partitions {
        let from = partition.replicas.clone();
        let to = brokers.place(&from, wanted);
        if to != from {
            moves.push(Move { partition: partition.index, from, to });
        }
    }
    while wanted.instead.is_none() && brokers.level(&mut moves) {}
    Ok(moves)
}

/// Brokers that may hold copies, and how many each holds so far.
struct Brokers {
    /// Copies on each broker that may get more.
    free: BTreeMap<i32, usize>,
    racks: BTreeMap<i32, String>,
}

impl Brokers {
    fn of(cluster: &ClusterFacts, without: &BTreeSet<i32>) -> Brokers {
        let alive = cluster.brokers.iter().filter(|broker| !without.contains(&broker.id));
        let mut free: BTreeMap<i32, usize> = alive.map(|broker| (broker.id, 0)).collect();
        for id in cluster.topics.values().flat_map(|topic| &topic.partitions).flat_map(|p| &p.replicas) {
            free.entry(*id).and_modify(|copies| *copies += 1);
        }
        let rack = |broker: &klamm_contract::facts::BrokerFacts| Some((broker.id, broker.rack.clone()?));
        Brokers { free, racks: cluster.brokers.iter().filter_map(rack).collect() }
    }

    /// A broker whose rack is not known is a rack of its own.
    fn rack(&self, id: i32) -> String {
        self.racks.get(&id).cloned().unwrap_or_else(|| format!("broker {id}"))
    }

    fn place(&mut self, from: &[i32], wanted: &Wanted<'_>) -> Vec<i32> {
        let copies = wanted.copies.unwrap_or(from.len());
        let instead = wanted.instead.filter(|id| self.free.contains_key(id) && !from.contains(id));
        let mut to: Vec<i32> = Vec::with_capacity(copies);
        for id in from {
            match (wanted.without.contains(id), instead) {
                (false, _) => to.push(*id),
                (true, Some(new)) if !to.contains(&new) => {
                    self.join(new);
                    to.push(new);
                }
                (true, _) => {}
            }
        }
        while to.len() > copies {
            let drop = self.most_dispensable(&to);
            self.leave(to.remove(drop));
        }
        while to.len() < copies {
            let Some(id) = self.best_addition(&to) else { break };
            self.join(id);
            to.push(id);
        }
        // Two copies in one rack although another rack has none. A replacement goes where it was told to.
        while let Some((drop, id)) = self.better_spread(&to).filter(|_| wanted.instead.is_none()) {
            self.leave(to[drop]);
            self.join(id);
            to[drop] = id;
        }
        to
    }

    /// Gives one new copy of a fuller broker to an emptier one, where that costs no rack; false when nothing is to be
    /// gained. Each call brings two brokers that are two or more apart closer together, so that it comes to an end.
    fn level(&mut self, moves: &mut [Move]) -> bool {
        for step in moves {
            let racks = |to: &[i32]| to.iter().map(|id| self.rack(*id)).collect::<BTreeSet<_>>().len();
            let better = step.adding().find_map(|full| {
                let held = *self.free.get(&full)?;
                let emptier =
                    self.free.iter().filter(|(id, copies)| **copies + 2 <= held && !step.to.contains(id));
                let mut emptier: Vec<i32> = emptier.map(|(id, _)| *id).collect();
                emptier.sort_by_key(|id| self.free.get(id));
                let with = |id: i32| step.to.iter().map(|old| if *old == full { id } else { *old }).collect();
                let allowed = |to: &Vec<i32>| racks(to) == racks(&step.to);
                emptier.into_iter().find_map(|id| Some((full, id, Some(with(id)).filter(allowed)?)))
            });
            if let Some((full, id, to)) = better {
                self.leave(full);
                self.join(id);
                step.to = to;
                return true;
            }
        }
        false
    }

    fn join(&mut self, id: i32) {
        self.free.entry(id).and_modify(|copies| *copies += 1);
    }

    fn leave(&mut self, id: i32) {
        self.free.entry(id).and_modify(|copies| *copies = copies.saturating_sub(1));
    }

    /// The copy to give up: one whose rack has another, then from the fullest broker, and the leader's last of all.
    fn most_dispensable(&self, replicas: &[i32]) -> usize {
        let rank = |index: &usize| {
            let id = replicas[*index];
            (
                self.has_company(replicas, id),
                *index != 0,
                self.free.get(&id).copied().unwrap_or(usize::MAX),
                *index,
            )
        };
        (0..replicas.len()).max_by_key(rank).unwrap_or(0)
    }

    fn has_company(&self, replicas: &[i32], id: i32) -> bool {
        let rack = self.rack(id);
        replicas.iter().any(|other| *other != id && self.rack(*other) == rack)
    }

    /// A broker in a rack that has no copy yet, else any; the emptiest of them.
    fn best_addition(&self, replicas: &[i32]) -> Option<i32> {
        let rank = |(id, copies): &(&i32, &usize)| (self.rack_is_used(replicas, **id), **copies, **id);
        let candidates = self.free.iter().filter(|(id, _)| !replicas.contains(id));
        candidates.min_by_key(rank).map(|(id, _)| *id)
    }

    fn rack_is_used(&self, replicas: &[i32], id: i32) -> bool {
        let rack = self.rack(id);
        replicas.iter().any(|other| self.rack(*other) == rack)
    }

    /// A copy that shares its rack, and a broker in a rack without one.
    fn better_spread(&self, replicas: &[i32]) -> Option<(usize, i32)> {
        let id = self.best_addition(replicas).filter(|id| !self.rack_is_used(replicas, *id))?;
        let shared = (0..replicas.len()).filter(|index| self.has_company(replicas, replicas[*index]));
        let drop = shared.max_by_key(|index| {
            (*index != 0, self.free.get(&replicas[*index]).copied().unwrap_or(usize::MAX), *index)
        })?;
        Some((drop, id))
    }
}

#[cfg(test)]
mod tests {
    use klamm_contract::facts::{BrokerFacts, PartitionFacts};
    use proptest::prelude::*;

    use super::*;

    fn cluster(racks: &[Option<u8>], replicas: &[Vec<i32>]) -> ClusterFacts {
        let broker = |(id, rack): (usize, &Option<u8>)| BrokerFacts {
            id: id as i32,
            host: String::new(),
            port: 1,
            rack: rack.map(|rack| format!("rack {rack}")),
            configs: BTreeMap::new(),
        };
        let partition = |(index, replicas): (usize, &Vec<i32>)| PartitionFacts {
            index: index as i32,
            leader: None,
            isr: Vec::new(),
            replicas: replicas.clone(),
        };
        let partitions = replicas.iter().enumerate().map(partition).collect();
        let topic = TopicFacts { id: None, internal: false, partitions, configs: None };
        ClusterFacts {
            brokers: racks.iter().enumerate().map(broker).collect(),
            topics: BTreeMap::from([("t".to_owned(), topic)]),
            ..ClusterFacts::default()
        }
    }

    fn replicas(brokers: usize) -> impl Strategy<Value = Vec<i32>> {
        let ids: Vec<i32> = (0..brokers as i32).collect();
        proptest::sample::subsequence(ids, 1..=brokers).prop_shuffle()
    }

    /// Racks of the brokers, copies of the partitions, copies that are wanted, brokers to be emptied.
    type Case = (Vec<Option<u8>>, Vec<Vec<i32>>, usize, BTreeSet<i32>);

    fn case() -> impl Strategy<Value = Case> {
        (1_usize..8).prop_flat_map(|brokers| {
            let racks = prop::collection::vec(prop::option::weighted(0.8, 0_u8..4), brokers);
            let partitions = prop::collection::vec(replicas(brokers), 1..12);
            let without = prop::collection::btree_set(0..brokers as i32, 0..2);
            (racks, partitions, 1..=brokers, without)
        })
    }

    proptest! {
        #[test]
        fn every_partition_gets_its_copies_over_as_many_racks_as_there_are((racks, before, copies, without) in case()) {
            let facts = cluster(&racks, &before);
            let wanted = Wanted { copies: Some(copies), without: &without, instead: None };
            let usable = racks.len() - without.len();
            let found = moves(&facts.topics["t"], &facts, &wanted);
            if usable < copies {
                prop_assert_eq!(found, Err(usable));
                return Ok(());
            }
            let found = found.expect("there are brokers enough");
            let rack = |id: i32| racks[id as usize].map_or(format!("broker {id}"), |rack| format!("rack {rack}"));
            let all: BTreeSet<String> =
                (0..racks.len() as i32).filter(|id| !without.contains(id)).map(rack).collect();
            for (index, from) in before.iter().enumerate() {
                let to = found.iter().find(|step| step.partition == index as i32).map_or(from, |step| &step.to);
                let distinct: BTreeSet<i32> = to.iter().copied().collect();
                prop_assert_eq!((to.len(), distinct.len()), (copies, copies));
                prop_assert!(distinct.is_disjoint(&without));
                let spread: BTreeSet<String> = to.iter().copied().map(rack).collect();
                prop_assert_eq!(spread.len(), copies.min(all.len()), "{:?} to {:?}", from, to);
                // Nothing moves that need not: what may stay stays, but for copies that racks want elsewhere.
                let stay: BTreeSet<i32> = from.iter().copied().filter(|id| !without.contains(id)).collect();
                let racks_of_stay: BTreeSet<String> = stay.iter().copied().map(rack).collect();
                let kept = distinct.intersection(&stay).count();
                let least = racks_of_stay.len().min(copies);
                prop_assert!(kept >= least, "{:?} to {:?}: kept {}, could keep {}", from, to, kept, least);
                if stay.len() == copies && from.len() == copies && racks_of_stay.len() == copies.min(all.len()) {
                    prop_assert_eq!(to, from, "it was right as it was");
                }
            }
        }

        #[test]
        fn what_was_placed_once_is_not_moved_again((racks, before, copies, without) in case()) {
            let facts = cluster(&racks, &before);
            let wanted = Wanted { copies: Some(copies), without: &without, instead: None };
            let Ok(found) = moves(&facts.topics["t"], &facts, &wanted) else { return Ok(()) };
            let mut after = before.clone();
            found.iter().for_each(|step| after[step.partition as usize].clone_from(&step.to));
            let facts = cluster(&racks, &after);
            prop_assert_eq!(moves(&facts.topics["t"], &facts, &wanted), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_replacement_takes_the_places_of_the_broker_that_goes() {
        let before = vec![vec![0, 1], vec![1, 2], vec![2, 0], vec![0, 3]];
        let facts = cluster(&[None; 4], &before);
        let without = BTreeSet::from([0]);
        let found =
            moves(&facts.topics["t"], &facts, &Wanted { copies: None, without: &without, instead: Some(3) });
        let to: Vec<Vec<i32>> = found.expect("there is room").into_iter().map(|step| step.to).collect();
        // The last partition has a copy on 3 already: its other one goes to the emptiest of the rest.
        assert_eq!(to[..2], [vec![3, 1], vec![2, 3]]);
        assert!(to[2][0] == 3 && [1, 2].contains(&to[2][1]), "{to:?}");
    }

    #[test]
    fn new_copies_are_spread_evenly() {
        let before: Vec<Vec<i32>> = (0..12).map(|index| vec![index % 4]).collect();
        let facts = cluster(&[None; 4], &before);
        let found = moves(
            &facts.topics["t"],
            &facts,
            &Wanted { copies: Some(3), without: &BTreeSet::new(), instead: None },
        );
        let mut held = [0; 4];
        for step in found.expect("four brokers hold three copies") {
            assert_eq!(step.to[0], step.from[0], "the preferred leader stays");
            step.to.iter().for_each(|id| held[*id as usize] += 1);
        }
        assert_eq!(held, [9; 4]);
    }
}
