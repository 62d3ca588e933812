//! Which members are near to which partitions.

use std::collections::BTreeSet;

use super::super::{Member, racks};
use super::Ground;

/// Knows of no racks if it makes no difference who reads.
#[derive(Debug)]
pub(super) struct Near<'a> {
    ground: &'a Ground<'a>,
    racks_matter: bool,
}

impl<'a> Near<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Near<'a> {
        let readers: BTreeSet<&str> = ground.members.iter().filter_map(Member::rack).collect();
        let partitions = ground.topics.iter().flat_map(|topic| topic.racks.iter());
        Near { racks_matter: racks::matter(&readers, partitions), ground }
    }

    pub(super) fn racks_matter(&self) -> bool {
        self.racks_matter
    }

    /// The rack of a member, if it makes a difference.
    pub(super) fn rack(&self, member: usize) -> Option<&'a str> {
        self.ground.members.get(member).and_then(Member::rack).filter(|_| self.racks_matter)
    }

    pub(super) fn has_replica(&self, part: usize, rack: &str) -> bool {
        self.racks(part).is_some_and(|racks| racks::contain(racks, rack))
    }

    /// Whether the member has a rack, and the partition no replica in it.
    pub(super) fn is_far(&self, member: usize, part: usize) -> bool {
        self.rack(member).is_some_and(|rack| !self.has_replica(part, rack))
    }

    /// Partitions with the fewest members near to them first.
    pub(super) fn sort(&self, parts: &mut [usize]) {
        if !self.racks_matter {
            return;
        }
        let near = |part: &usize| {
            let racks = self.racks(*part).map(|racks| racks::set(racks.iter())).unwrap_or_default();
            let members = self.ground.members.iter().filter_map(Member::rack);
            members.filter(|rack| racks.contains(rack)).count()
        };
        parts.sort_by_cached_key(near);
    }

    /// Where in `members`, from `from` on and around, the first one is that is in a rack of the partition.
    pub(super) fn next(&self, part: usize, members: &[usize], from: usize) -> Option<usize> {
        let positions = (0..members.len()).map(|step| (from + step) % members.len());
        let is_near = |position: &usize| {
            let rack = members.get(*position).and_then(|member| self.rack(*member));
            rack.is_some_and(|rack| self.has_replica(part, rack))
        };
        positions.into_iter().find(is_near)
    }

    fn racks(&self, part: usize) -> Option<&'a Vec<std::sync::Arc<str>>> {
        let (topic, index) = self.ground.parts.get(part)?;
        self.ground.topics.get(*topic)?.racks.get(*index)
    }
}
