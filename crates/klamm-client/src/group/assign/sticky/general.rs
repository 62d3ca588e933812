//! Members want different topics: as even as that can be.

use std::collections::{BTreeMap, BTreeSet};

use super::movements::Movements;
use super::near::Near;
use super::{Balanced, Claims, Ground};

pub(super) fn assign(ground: &Ground<'_>, near: &Near<'_>, claims: Claims) -> Balanced {
    let mut scale = Scale::new(ground, near, claims);
    scale.keep();
    scale.balance();
    Balanced { parts: scale.current, moving: None }
}

struct Scale<'a> {
    ground: &'a Ground<'a>,
    near: &'a Near<'a>,
    /// Which members want a topic, and which topics a member wants.
    readers: Vec<Vec<usize>>,
    wants: Vec<BTreeSet<usize>>,
    current: Vec<Vec<usize>>,
    owner: Vec<Option<usize>>,
    before: BTreeMap<usize, (usize, i32)>,
    /// Members that may give or take, those with the fewest partitions first, and then by their ids.
    by_count: BTreeSet<(usize, usize)>,
    rank_of: Vec<usize>,
    movements: Movements,
    /// Somebody has what it does not want any more, or what is far.
    must_revoke: bool,
}

impl<'a> Scale<'a> {
    fn new(ground: &'a Ground<'a>, near: &'a Near<'a>, claims: Claims) -> Scale<'a> {
        let mut readers = vec![Vec::new(); ground.topics.len()];
        let mut wants = vec![BTreeSet::new(); ground.members.len()];
        for (at, member) in ground.members.iter().enumerate() {
            for (topic, readers) in readers.iter_mut().enumerate() {
                let name = ground.topics.get(topic).map(|topic| topic.name.as_ref());
                if name.is_some_and(|name| member.wants(name)) {
                    readers.push(at);
                    wants.get_mut(at).into_iter().for_each(|topics| {
                        topics.insert(topic);
                    });
                }
            }
        }
        let mut rank_of = vec![0; ground.members.len()];
        for (rank, at) in ground.by_id.iter().enumerate() {
            rank_of.get_mut(*at).into_iter().for_each(|known| *known = rank);
        }
        Scale {
            ground,
            near,
            readers,
            wants,
            owner: vec![None; ground.parts.len()],
            current: claims.owned,
            before: claims.before,
            by_count: BTreeSet::new(),
            rank_of,
            movements: Movements::default(),
            must_revoke: false,
        }
    }

    /// Members keep what they have and want.
    fn keep(&mut self) {
        for (at, list) in self.current.iter_mut().enumerate() {
            let wants = self.wants.get(at);
            list.retain(|part| {
                let wanted = wants.is_some_and(|wants| wants.contains(&self.ground.topic_of(*part)));
                let kept = wanted && !self.near.is_far(at, *part);
                self.must_revoke |= !kept;
                if kept {
                    self.owner.get_mut(*part).into_iter().for_each(|owner| *owner = Some(at));
                }
                kept
            });
        }
    }

    fn balance(&mut self) {
        self.by_count = (0..self.current.len()).map(|at| self.key(at)).collect();
        let was_empty = self.current.iter().all(Vec::is_empty);
        // Topics with the fewest readers first.
        let mut topics: Vec<usize> = (0..self.readers.len()).collect();
        topics.sort_by_key(|topic| self.readers.get(*topic).map_or(0, Vec::len));
        let of_topic = |topic: &usize| {
            let first = self.ground.firsts.get(*topic).copied().unwrap_or(0);
            first..first + self.ground.topics.get(*topic).map_or(0, |topic| topic.racks.len())
        };
        let mut all: Vec<usize> = topics.iter().flat_map(of_topic).collect();
        let mut new: Vec<usize> = all.clone();
        new.retain(|part| self.owner(*part).is_none());

        if self.near.racks_matter() {
            new.iter().for_each(|part| self.give(*part, true));
        }
        new.iter().for_each(|part| self.give(*part, false));

        // What only one member wants stays where it is, and so do members that have all that they can have and share none of it.
        all.retain(|part| self.is_shared(*part));
        new.retain(|part| self.is_shared(*part));
        let fixed: Vec<usize> = (0..self.current.len()).filter(|at| !self.takes_part(*at)).collect();
        fixed.iter().for_each(|at| {
            self.by_count.remove(&self.key(*at));
        });

        let (before, owners, score) = (self.current.clone(), self.owner.clone(), self.unevenness());
        if !self.must_revoke {
            self.move_some(&new);
        }
        let moved = self.move_some(&all);
        if !was_empty && moved && self.unevenness() >= score {
            (self.current, self.owner) = (before, owners);
        }
    }

    /// A partition that nobody has, to the member that wants it and has the fewest.
    fn give(&mut self, part: usize, only_near: bool) {
        let topic = self.ground.topic_of(part);
        let fits = |at: &usize| self.is_wanted(topic, *at) && !(only_near && self.near.is_far(*at, part));
        let Some(at) = self.members().find(fits).filter(|_| self.owner(part).is_none()) else { return };
        self.by_count.remove(&self.key(at));
        self.current.get_mut(at).into_iter().for_each(|list| list.push(part));
        self.owner.get_mut(part).into_iter().for_each(|owner| *owner = Some(at));
        self.by_count.insert(self.key(at));
    }

    /// Moves partitions until nothing gets more even by it. Gives whether any was moved.
    fn move_some(&mut self, parts: &[usize]) -> bool {
        let mut moved_any = false;
        for _ in 0..=parts.len().saturating_mul(self.current.len()) {
            let mut moved = false;
            for part in parts {
                if self.is_even() {
                    break;
                }
                if let Some(to) = self.better(*part) {
                    self.move_to(*part, to);
                    moved = true;
                }
            }
            moved_any |= moved;
            if !moved {
                break;
            }
        }
        moved_any
    }

    /// Who should have a partition instead.
    fn better(&self, part: usize) -> Option<usize> {
        let topic = self.ground.topic_of(part);
        let owner = self.owner(part)?;
        let has_fewer = |at: &usize| self.count(owner) > self.count(*at) + 1;
        if let Some((at, _)) = self.before.get(&part)
            && self.is_wanted(topic, *at)
            && self.by_count.contains(&self.key(*at))
            && has_fewer(at)
        {
            return Some(*at);
        }
        // Java first looks among those in the partition's racks, and then takes whoever has the fewest all the same.
        let somebody = self.readers.get(topic)?.iter().any(has_fewer);
        self.members().find(|at| somebody && self.is_wanted(topic, *at))
    }

    fn move_to(&mut self, part: usize, to: usize) {
        let Some(owner) = self.owner(part) else { return };
        let part = self.movements.actual(self.ground, part, owner, to);
        let Some(from) = self.owner(part) else { return };
        self.by_count.remove(&self.key(from));
        self.by_count.remove(&self.key(to));
        self.movements.record(self.ground, part, from, to);
        self.current.get_mut(from).into_iter().for_each(|list| list.retain(|known| *known != part));
        self.current.get_mut(to).into_iter().for_each(|list| list.push(part));
        self.owner.get_mut(part).into_iter().for_each(|owner| *owner = Some(to));
        self.by_count.insert(self.key(to));
        self.by_count.insert(self.key(from));
    }

    /// Whether no member could have a partition of another that has at least two more.
    fn is_even(&self) -> bool {
        let (Some((least, _)), Some((most, _))) = (self.by_count.first(), self.by_count.last()) else {
            return true;
        };
        *least + 1 >= *most
            || self.members().all(|at| {
                let mut topics = self.wants.get(at).into_iter().flatten();
                self.count(at) == self.room(at) || topics.all(|topic| !self.could_get(at, *topic))
            })
    }

    fn could_get(&self, at: usize, topic: usize) -> bool {
        let first = self.ground.firsts.get(topic).copied().unwrap_or(0);
        let count = self.ground.topics.get(topic).map_or(0, |topic| topic.racks.len());
        let mut owners = (first..first + count).filter_map(|part| self.owner(part));
        owners.any(|owner| owner != at && self.count(at) + 1 < self.count(owner))
    }

    /// How many partitions a member could have.
    fn room(&self, at: usize) -> usize {
        let topics = self.wants.get(at).into_iter().flatten();
        topics.filter_map(|topic| self.ground.topics.get(*topic)).map(|topic| topic.racks.len()).sum()
    }

    fn is_shared(&self, part: usize) -> bool {
        self.readers.get(self.ground.topic_of(part)).is_some_and(|readers| readers.len() >= 2)
    }

    fn takes_part(&self, at: usize) -> bool {
        let mut parts = self.current.get(at).into_iter().flatten();
        self.count(at) < self.room(at) || parts.any(|part| self.is_shared(*part))
    }

    /// The sum of the differences between all pairs of members that take part.
    fn unevenness(&self) -> usize {
        let counts: Vec<usize> = self.by_count.iter().map(|(count, _)| *count).collect();
        // Sorted: each is above all before it.
        counts
            .iter()
            .scan((0, 0), |(before, sum), count| {
                let above = *before * *count - *sum;
                (*before, *sum) = (*before + 1, *sum + *count);
                Some(above)
            })
            .sum()
    }

    fn members(&self) -> impl Iterator<Item = usize> {
        self.by_count.iter().filter_map(|(_, rank)| self.ground.by_id.get(*rank).copied())
    }

    fn is_wanted(&self, topic: usize, at: usize) -> bool {
        self.wants.get(at).is_some_and(|topics| topics.contains(&topic))
    }

    fn owner(&self, part: usize) -> Option<usize> {
        self.owner.get(part).copied().flatten()
    }

    fn count(&self, at: usize) -> usize {
        self.current.get(at).map_or(0, Vec::len)
    }

    fn key(&self, at: usize) -> (usize, usize) {
        (self.count(at), self.rank_of.get(at).copied().unwrap_or(0))
    }
}
