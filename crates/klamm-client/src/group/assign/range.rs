//! `range`: each topic cut into ranges, as `RangeAssignor` does.
//!
//! With racks, topics that have the same readers and as many partitions are given away number by number, so that one member has the
//! same numbers of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{Member, Topic, in_order, racks};
use crate::TopicPartition;

pub(super) fn assign(topics: &[Topic<'_>], members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let mut assigned = vec![Vec::new(); members.len()];
    let order = in_order(members);
    let mut shares: Vec<Share<'_>> = topics.iter().map(|topic| Share::new(*topic, members, &order)).collect();
    let with_racks = shares.iter().any(|share| share.racks_matter);
    if with_racks {
        match_racks(&mut shares, members, &mut assigned);
    }
    for share in &mut shares {
        share.give_ranges(|_, _| true, &mut assigned);
    }
    if with_racks {
        assigned.iter_mut().for_each(|list| list.sort());
    }
    assigned
}

/// What is left of a topic.
#[derive(Debug)]
struct Share<'a> {
    topic: Topic<'a>,
    /// Its readers in order, and how many partitions each has.
    readers: Vec<(usize, usize)>,
    left: Vec<usize>,
    each: usize,
    /// How many readers may still have one more.
    more: usize,
    has_racks: bool,
    racks_matter: bool,
}

impl<'a> Share<'a> {
    fn new(topic: Topic<'a>, members: &[Member], order: &[usize]) -> Share<'a> {
        let wants = |at: &usize| members.get(*at).is_some_and(|member| member.wants(topic.name));
        let readers: Vec<(usize, usize)> =
            order.iter().copied().filter(wants).map(|reader| (reader, 0)).collect();
        let count = topic.racks.len();
        let reader_racks: BTreeSet<&str> =
            readers.iter().filter_map(|(at, _)| members.get(*at).and_then(Member::rack)).collect();
        Share {
            topic,
            left: (0..count).collect(),
            each: count.checked_div(readers.len()).unwrap_or(0),
            more: count.checked_rem(readers.len()).unwrap_or(0),
            has_racks: !reader_racks.is_empty(),
            racks_matter: racks::matter(&reader_racks, topic.racks.iter()),
            readers,
        }
    }

    fn room(&self, reader: usize) -> usize {
        let taken = self.readers.iter().find(|(at, _)| *at == reader).map_or(usize::MAX, |(_, taken)| *taken);
        (self.each + usize::from(self.more > 0)).saturating_sub(taken)
    }

    fn give(&mut self, reader: usize, partitions: &[usize], assigned: &mut [Vec<TopicPartition>]) {
        let topic = self.topic;
        if let Some(list) = assigned.get_mut(reader) {
            list.extend(partitions.iter().map(|index| topic.partition(*index)));
        }
        if let Some((_, taken)) = self.readers.iter_mut().find(|(at, _)| *at == reader) {
            *taken += partitions.len();
            if *taken > self.each {
                self.more = self.more.saturating_sub(1);
            }
        }
        self.left.retain(|index| !partitions.contains(index));
    }

    fn give_ranges(&mut self, may: impl Fn(usize, usize) -> bool, assigned: &mut [Vec<TopicPartition>]) {
        let readers: Vec<usize> = self.readers.iter().map(|(at, _)| *at).collect();
        for reader in readers {
            let fit = self.left.iter().copied().filter(|index| may(reader, *index));
            let taken: Vec<usize> = fit.take(self.room(reader)).collect();
            if !taken.is_empty() {
                self.give(reader, &taken, assigned);
            }
        }
    }
}

/// A member without a rack is near to everything.
fn near(topic: Topic<'_>, members: &[Member], reader: usize, index: usize) -> bool {
    let rack = members.get(reader).and_then(Member::rack);
    rack.is_none_or(|rack| topic.racks.get(index).is_some_and(|racks| racks::contain(racks, rack)))
}

fn match_racks(shares: &mut [Share<'_>], members: &[Member], assigned: &mut [Vec<TopicPartition>]) {
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<&mut Share<'_>>> = BTreeMap::new();
    for share in shares.iter_mut().filter(|share| share.has_racks) {
        let readers = share.readers.iter().map(|(at, _)| *at).collect();
        alike.entry((readers, share.topic.racks.len())).or_default().push(share);
    }
    for ((readers, count), mut shares) in alike {
        match shares.as_mut_slice() {
            [share] if share.racks_matter => {
                let topic = share.topic;
                share.give_ranges(|reader, index| near(topic, members, reader, index), assigned);
            }
            [_] => {}
            shares => match_alike(shares, readers, count, members, assigned),
        }
    }
}

/// Partitions of one number, of all these topics, to the first reader that is near to them all.
fn match_alike(
    shares: &mut [&mut Share<'_>],
    mut readers: Vec<usize>,
    count: usize,
    members: &[Member],
    assigned: &mut [Vec<TopicPartition>],
) {
    for index in 0..count {
        let fits = |reader: usize| {
            shares.iter().all(|share| near(share.topic, members, reader, index) && share.room(reader) > 0)
        };
        let Some(reader) = readers.iter().copied().find(|reader| fits(*reader)) else { continue };
        shares.iter_mut().for_each(|share| share.give(reader, &[index], assigned));
        if shares.iter().all(|share| share.room(reader) == 0) {
            readers.retain(|left| *left != reader);
        }
    }
}
