//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): the most used keys of a stream in bounded memory.

use std::collections::{BTreeSet, HashMap};

/// Counts keys with a fixed number of counters. A key that had to share a counter has a count that may be too high, by no
/// more than its error; a key that makes up more than 1/`counters` of the stream always has one.
#[derive(Debug)]
pub(crate) struct SpaceSaving {
    counters: usize,
    slots: Vec<Slot>,
    places: HashMap<Box<[u8]>, usize>,
    /// Slots by count, so that the lowest is at hand.
    order: BTreeSet<(u64, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) key: Box<[u8]>,
    /// No lower than the true count.
    pub(crate) count: u64,
    /// By how much at most `count` is too high.
    pub(crate) error: u64,
}

impl SpaceSaving {
    /// With so many counters, at least one.
    pub(crate) fn new(counters: usize) -> Self {
        let counters = counters.max(1);
        SpaceSaving { counters, slots: Vec::new(), places: HashMap::new(), order: BTreeSet::new() }
    }

    /// Counts one.
    pub(crate) fn take(&mut self, key: &[u8]) {
        if let Some(&place) = self.places.get(key) {
            self.raise(place);
        } else if self.slots.len() < self.counters {
            let place = self.slots.len();
            self.slots.push(Slot { key: key.into(), count: 1, error: 0 });
            self.places.insert(key.into(), place);
            self.order.insert((1, place));
        } else if let Some(&(lowest, place)) = self.order.first() {
            let slot = &mut self.slots[place];
            self.places.remove(&slot.key);
            slot.key = key.into();
            slot.error = lowest;
            self.places.insert(key.into(), place);
            self.raise(place);
        }
    }

    fn raise(&mut self, place: usize) {
        let count = self.slots[place].count;
        self.order.remove(&(count, place));
        self.slots[place].count = count + 1;
        self.order.insert((count + 1, place));
    }

    /// The heaviest keys, heaviest first, of equal ones the first by bytes.
    pub(crate) fn heaviest(&self, most: usize) -> Vec<Slot> {
        let mut slots = self.slots.clone();
        slots.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        slots.truncate(most);
        slots
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counted(keys: &[u8], counters: usize) -> (SpaceSaving, BTreeMap<u8, u64>) {
        let (mut sketch, mut exact) = (SpaceSaving::new(counters), BTreeMap::new());
        for key in keys {
            sketch.take(&[*key]);
            *exact.entry(*key).or_default() += 1;
        }
        (sketch, exact)
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let (sketch, _) = counted(&[1, 2, 1, 3, 1, 2], 8);
        let heavy: Vec<_> =
            sketch.heaviest(2).into_iter().map(|slot| (slot.key[0], slot.count, slot.error)).collect();
        assert_eq!(heavy, [(1, 3, 0), (2, 2, 0)]);
    }

    proptest! {
        #[test]
        fn counts_are_within_their_error(keys in proptest::collection::vec(0..60_u8, 1..600), counters in 1..40_usize) {
            let (sketch, exact) = counted(&keys, counters);
            for slot in sketch.heaviest(usize::MAX) {
                let truth = exact[&slot.key[0]];
                prop_assert!(slot.count >= truth);
                prop_assert!(slot.count - slot.error <= truth);
                prop_assert!(slot.error <= keys.len() as u64 / counters as u64);
            }
        }

        #[test]
        fn a_heavy_key_is_never_missed(keys in proptest::collection::vec(0..60_u8, 1..600), counters in 1..40_usize) {
            let (sketch, exact) = counted(&keys, counters);
            let found = sketch.heaviest(usize::MAX);
            prop_assert!(found.len() <= counters);
            for (key, truth) in exact {
                if truth * counters as u64 > keys.len() as u64 {
                    prop_assert!(found.iter().any(|slot| slot.key[0] == key), "key {key} with {truth}");
                }
            }
        }
    }
}
