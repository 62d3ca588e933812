//! A set of sequence numbers, kept as runs of consecutive ones.

use std::slice;

/// A half-open range of sequence numbers.
type Range = (u64, u64);

/// Sorted, disjoint, non-adjacent half-open ranges.
///
/// A key whose records all arrived is one range, whatever their number: memory grows with the gaps only. The common
/// case (no gap) sits inline, so that a checker over a million keys stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intervals {
    /// At most one range; empty when its ends are equal.
    One(Range),
    /// Two ranges or more.
    Many(Vec<Range>),
}

impl Default for Intervals {
    fn default() -> Self {
        Intervals::One((0, 0))
    }
}

impl Intervals {
    /// Adds `value`; false when it was there. The last number of all has no half-open end and is never held.
    pub(crate) fn insert(&mut self, value: u64) -> bool {
        if value == u64::MAX || self.contains(value) {
            return false;
        }
        match self {
            Intervals::One(range) if range.0 == range.1 => *range = (value, value + 1),
            Intervals::One(range) if range.1 == value => range.1 += 1,
            Intervals::One(range) if range.0 == value + 1 => range.0 = value,
            Intervals::One(range) => {
                let mut ranges = vec![*range, (value, value + 1)];
                ranges.sort_unstable();
                *self = Intervals::Many(ranges);
            }
            Intervals::Many(ranges) => {
                insert_between(ranges, value);
                if let [range] = ranges[..] {
                    *self = Intervals::One(range);
                }
            }
        }
        true
    }

    /// Is `value` in the set?
    pub(crate) fn contains(&self, value: u64) -> bool {
        let ranges = self.ranges();
        let after = ranges.partition_point(|(start, _)| *start <= value);
        after > 0 && value < ranges[after - 1].1
    }

    /// The ranges, in order.
    pub(crate) fn ranges(&self) -> &[Range] {
        match self {
            Intervals::One((start, end)) if start == end => &[],
            Intervals::One(range) => slice::from_ref(range),
            Intervals::Many(ranges) => ranges,
        }
    }

    /// The ranges that are in `self` and not in `other`, in order.
    pub(crate) fn minus<'a>(&'a self, other: &'a Intervals) -> impl Iterator<Item = Range> + 'a {
        self.ranges().iter().flat_map(|&(start, end)| Minus {
            start,
            end,
            holes: &other.ranges()[other.ranges().partition_point(|(_, hole_end)| *hole_end <= start)..],
        })
    }
}

/// Adds `value`, which is not in `ranges`, and joins it with its neighbours.
fn insert_between(ranges: &mut Vec<Range>, value: u64) {
    let at = ranges.partition_point(|(start, _)| *start <= value);
    let joins_left = at > 0 && ranges[at - 1].1 == value;
    let joins_right = at < ranges.len() && ranges[at].0 == value + 1;
    match (joins_left, joins_right) {
        (true, true) => {
            ranges[at - 1].1 = ranges[at].1;
            ranges.remove(at);
        }
        (true, false) => ranges[at - 1].1 += 1,
        (false, true) => ranges[at].0 = value,
        (false, false) => ranges.insert(at, (value, value + 1)),
    }
}

/// One range with the ranges of another set cut out of it.
struct Minus<'a> {
    start: u64,
    end: u64,
    holes: &'a [Range],
}

impl Iterator for Minus<'_> {
    type Item = Range;

    fn next(&mut self) -> Option<Range> {
        while self.start < self.end {
            let Some(((hole_start, hole_end), rest)) = self.holes.split_first() else {
                return Some((std::mem::replace(&mut self.start, self.end), self.end));
            };
            self.holes = rest;
            let piece = (self.start, self.end.min(*hole_start));
            self.start = self.start.max(*hole_end);
            if piece.0 < piece.1 {
                return Some(piece);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(set: &Intervals) -> Vec<u64> {
        set.ranges().iter().flat_map(|(start, end)| *start..*end).collect()
    }

    #[test]
    fn a_gap_that_closes_leaves_one_range() {
        let mut set = Intervals::default();
        for value in [3, 1, 5, 4, 2] {
            assert!(set.insert(value));
        }
        assert_eq!(set, Intervals::One((1, 6)));
        assert!(!set.insert(3));
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set(values in prop::collection::vec(0u64..40, 0..80)) {
            let (mut ours, mut model) = (Intervals::default(), BTreeSet::new());
            for value in values {
                prop_assert_eq!(ours.insert(value), model.insert(value));
                prop_assert_eq!(members(&ours), model.iter().copied().collect::<Vec<_>>());
                let adjacent = ours.ranges().windows(2).any(|pair| pair[0].1 >= pair[1].0);
                prop_assert!(!adjacent, "{:?}", ours);
            }
        }

        #[test]
        fn minus_is_the_difference(
            left in prop::collection::btree_set(0u64..40, 0..40),
            right in prop::collection::btree_set(0u64..40, 0..40),
        ) {
            let (mut a, mut b) = (Intervals::default(), Intervals::default());
            left.iter().for_each(|value| { a.insert(*value); });
            right.iter().for_each(|value| { b.insert(*value); });
            let ours: Vec<u64> = a.minus(&b).flat_map(|(start, end)| start..end).collect();
            prop_assert_eq!(ours, left.difference(&right).copied().collect::<Vec<_>>());
        }
    }
}
