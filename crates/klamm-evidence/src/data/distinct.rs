//! How many different keys there are: adaptive sampling (Wegman; Flajolet 1990) of keys, and Chao's estimate on top.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Most keys that are held of one topic.
const KEYS: usize = 16_384;

/// A number for a key, the same in every run. Two keys of a sample share one with a chance that does not matter here.
pub(crate) fn fingerprint(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Records with it.
    pub(crate) records: u64,
    /// Partition where it was first met.
    partition: i32,
    /// Met in another one as well.
    several: bool,
    /// It looks like a UUID.
    pub(crate) uuid: bool,
}

/// Keys of one topic. When there are too many, only those of every second, fourth, … are held: of them all is known.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    held: HashMap<u64, Held>,
    /// One key of `2^level` is held.
    level: u32,
    /// Most that were held at once.
    most: usize,
}

impl Keys {
    /// Counts one record.
    pub(crate) fn take(&mut self, fingerprint: u64, partition: i32, uuid: bool) {
        if !sampled(fingerprint, self.level) {
            return;
        }
        let new = Held { records: 0, partition, several: false, uuid };
        let held = self.held.entry(fingerprint).or_insert(new);
        held.records += 1;
        held.several |= held.partition != partition;
        self.most = self.most.max(self.held.len().min(KEYS));
        while self.held.len() > KEYS {
            self.level += 1;
            let level = self.level;
            self.held.retain(|fingerprint, _| sampled(*fingerprint, level));
        }
    }

    /// Different keys that were certainly seen.
    pub(crate) fn seen(&self) -> u64 {
        self.most as u64
    }

    /// Different keys of the topic, estimated; no fewer than were seen.
    pub(crate) fn distinct(&self) -> u64 {
        let times = |n: u64| self.held.values().filter(|held| held.records == n).count() as u64;
        let estimate = klamm_plan::chao(self.held.len() as u64, times(1), times(2));
        estimate.saturating_mul(1_u64.checked_shl(self.level).unwrap_or(u64::MAX)).max(self.seen())
    }

    /// Keys that were met in more than one partition, of those that are held.
    pub(crate) fn in_several(&self) -> u64 {
        self.held.values().filter(|held| held.several).count() as u64
    }

    /// What is known of the keys that are held.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }
}

fn sampled(fingerprint: u64, level: u32) -> bool {
    fingerprint.trailing_zeros() >= level
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn memory_is_bounded_and_the_estimate_is_near(keys in 1..120_000_u64, seed: u64) {
            let mut counted = Keys::default();
            // Each key three times: Chao has nothing to add, the estimate is of the number of keys.
            for _ in 0..3 {
                for key in 0..keys {
                    counted.take(fingerprint(&[key.to_be_bytes(), seed.to_be_bytes()].concat()), 0, false);
                }
            }
            prop_assert!(counted.held.len() <= KEYS);
            prop_assert!(counted.seen() <= keys);
            let estimate = counted.distinct() as f64;
            // 8,192 held keys at least: one standard deviation is about 1.1 %.
            prop_assert!((estimate - keys as f64).abs() <= keys as f64 * 0.08, "{estimate} for {keys}");
            if keys <= KEYS as u64 {
                prop_assert_eq!(counted.seen(), keys);
            }
        }
    }

    #[test]
    fn keys_in_several_partitions_are_found() {
        let mut keys = Keys::default();
        for (key, partition) in [(1, 0), (1, 1), (2, 0), (2, 0), (1, 0)] {
            keys.take(key << 8, partition, false);
        }
        assert_eq!((keys.seen(), keys.in_several()), (2, 1));
    }
}
