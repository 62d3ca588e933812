//! All members want the same topics: everybody gets as many, or one more.

use std::collections::BTreeMap;

use super::near::Near;
use super::{Balanced, Claims, Ground};

pub(super) fn assign(ground: &Ground<'_>, near: &Near<'_>, claims: &Claims) -> Balanced {
    let mut filling = Filling::new(ground, claims);
    filling.keep(ground, near);
    let mut left = filling.left(ground.parts.len());
    filling.sort(ground);
    near.sort(&mut left);
    if near.racks_matter() {
        filling.give_near(near, &mut left);
    }
    filling.give(&left);
    Balanced { parts: filling.assigned, moving: Some(filling.moving) }
}

#[derive(Debug)]
struct Filling<'a> {
    claims: &'a Claims,
    assigned: Vec<Vec<usize>>,
    /// What a member has and may not keep.
    let_go: BTreeMap<usize, usize>,
    moving: BTreeMap<usize, usize>,
    /// The least and the most that a member gets.
    least: usize,
    most: usize,
    /// How many members get the most, if that is more than the least, and how many have it.
    rich_wanted: usize,
    rich: usize,
    /// Members that have less than the least, and those that have just that.
    poor: Vec<usize>,
    even: Vec<usize>,
}

impl<'a> Filling<'a> {
    fn new(ground: &Ground<'_>, claims: &'a Claims) -> Filling<'a> {
        let (count, members) = (ground.parts.len(), ground.members.len().max(1));
        Filling {
            claims,
            assigned: vec![Vec::new(); ground.members.len()],
            let_go: BTreeMap::new(),
            moving: BTreeMap::new(),
            least: count / members,
            most: count.div_ceil(members),
            rich_wanted: count % members,
            rich: 0,
            poor: Vec::new(),
            even: Vec::new(),
        }
    }

    /// Members keep what they have, up to their share.
    fn keep(&mut self, ground: &Ground<'_>, near: &Near<'_>) {
        for at in ground.walk.iter().copied() {
            let mut owned = self.claims.owned.get(at).cloned().unwrap_or_default();
            owned.retain(|part| {
                let is_far = near.is_far(at, *part);
                if is_far {
                    self.let_go.insert(*part, at);
                }
                !is_far && !self.claims.doubled.contains(part)
            });
            owned.sort_by_key(|part| (ground.index_of(*part), ground.topic_of(*part)));
            let kept = if owned.len() < self.least {
                self.poor.push(at);
                owned.len()
            } else if owned.len() >= self.most && self.rich < self.rich_wanted {
                self.rich += 1;
                if self.rich == self.rich_wanted {
                    self.even.clear();
                }
                self.most
            } else {
                if self.rich < self.rich_wanted {
                    self.even.push(at);
                }
                self.least
            };
            self.let_go.extend(owned.drain(kept.min(owned.len())..).map(|part| (part, at)));
            self.assigned.get_mut(at).into_iter().for_each(|list| list.append(&mut owned));
        }
    }

    fn left(&self, count: usize) -> Vec<usize> {
        let mut is_left = vec![true; count];
        for part in self.assigned.iter().flatten() {
            is_left.get_mut(*part).into_iter().for_each(|left| *left = false);
        }
        is_left.iter().enumerate().filter(|(_, left)| **left).map(|(part, _)| part).collect()
    }

    fn sort(&mut self, ground: &Ground<'_>) {
        let mut ranks = vec![0; ground.members.len()];
        for (rank, at) in ground.by_id.iter().enumerate() {
            ranks.get_mut(*at).into_iter().for_each(|known| *known = rank);
        }
        let rank = |at: &usize| ranks.get(*at).copied();
        self.poor.sort_by_key(rank);
        self.even.sort_by_key(rank);
    }

    /// In turn to members that are near; what nobody is near to stays in `left`.
    fn give_near(&mut self, near: &Near<'_>, left: &mut Vec<usize>) {
        let mut turn = 0;
        left.retain(|part| {
            let member = self.near_poor(near, *part, &mut turn).or_else(|| self.near_even(near, *part));
            member.into_iter().for_each(|member| {
                self.put(*part, member);
            });
            member.is_none()
        });
    }

    fn near_poor(&mut self, near: &Near<'_>, part: usize, turn: &mut usize) -> Option<usize> {
        let position = near.next(part, &self.poor, *turn)?;
        let member = *self.poor.get(position)?;
        let count = self.count(member) + 1;
        let mut next = position + 1;
        if count >= self.least {
            self.poor.remove(position);
            next = position;
            if count < self.most && self.rich < self.rich_wanted {
                self.even.push(member);
            }
        }
        *turn = next.checked_rem(self.poor.len()).unwrap_or(0);
        Some(member)
    }

    fn near_even(&mut self, near: &Near<'_>, part: usize) -> Option<usize> {
        let position = near.next(part, &self.even, 0)?;
        let member = *self.even.get(position)?;
        if self.count(member) + 1 == self.most {
            self.even.remove(position);
            self.rich += 1;
            if self.rich == self.rich_wanted {
                self.even.clear();
            }
        }
        Some(member)
    }

    /// In turn to those that have less than the least, then one more each to those that have just that.
    fn give(&mut self, left: &[usize]) {
        let mut turn = 0;
        for part in left {
            if turn >= self.poor.len() {
                turn = 0;
            }
            if let Some(member) = self.poor.get(turn).copied() {
                if self.put(*part, member) == self.least {
                    self.poor.remove(turn);
                    self.even.push(member);
                } else {
                    turn += 1;
                }
            } else if !self.even.is_empty() {
                let member = self.even.remove(0);
                self.put(*part, member);
            } else if let Some(member) = (0..self.assigned.len()).min_by_key(|at| self.count(*at)) {
                // The counts leave room for all; nothing is left out even if they did not.
                self.put(*part, member);
            }
        }
    }

    fn count(&self, member: usize) -> usize {
        self.assigned.get(member).map_or(0, Vec::len)
    }

    fn put(&mut self, part: usize, member: usize) -> usize {
        let from_another = self.let_go.get(&part).is_some_and(|from| *from != member);
        if from_another || self.claims.doubled.contains(&part) {
            self.moving.insert(part, member);
        }
        self.assigned.get_mut(member).map_or(0, |list| {
            list.push(part);
            list.len()
        })
    }
}
