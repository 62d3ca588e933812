//! Which partition a record goes to: what Java's default partitioner does.

use klamm_kafka::partition_for_key;

/// Chooses the partitions of one topic.
///
/// A key decides by murmur2, as in Java. Records without a key stay on one partition until a batch's worth of bytes
/// went there and then move to another (KIP-794, without the weighting by broker load).
#[derive(Debug)]
pub(crate) struct Partitioner {
    partitions: i32,
    batch_bytes: usize,
    sticky: i32,
    sticky_bytes: usize,
    random: u64,
}

impl Partitioner {
    /// `seed` decides the order in which records without a key visit the partitions.
    pub(crate) fn new(partitions: i32, batch_bytes: usize, seed: u64) -> Partitioner {
        let mut partitioner =
            Partitioner { partitions, batch_bytes, sticky: 0, sticky_bytes: 0, random: seed };
        partitioner.sticky = partitioner.another();
        partitioner
    }

    /// The topic grew: keys move from now on.
    pub(crate) fn set_partitions(&mut self, partitions: i32) {
        self.partitions = partitions;
        self.sticky = self.sticky.min(partitions - 1);
    }

    /// The partition for a record of `bytes` bytes.
    pub(crate) fn choose(&mut self, key: Option<&[u8]>, bytes: usize) -> i32 {
        if let Some(key) = key {
            return partition_for_key(key, self.partitions);
        }
        if self.sticky_bytes >= self.batch_bytes {
            self.sticky = self.another();
            self.sticky_bytes = 0;
        }
        self.sticky_bytes += bytes;
        self.sticky
    }

    /// A partition other than the present one, if there is one.
    fn another(&mut self) -> i32 {
        // SplitMix64: one step is enough for a choice among partitions.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let others = u64::from((self.partitions - 1).max(1).unsigned_abs());
        let step = 1 + i32::try_from((mixed ^ (mixed >> 31)) % others).unwrap_or(0);
        (self.sticky + step).rem_euclid(self.partitions.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_without_a_key_stay_for_a_batch_and_then_move() {
        let mut partitioner = Partitioner::new(6, 1_000, 1);
        let chosen: Vec<i32> = (0..30).map(|_| partitioner.choose(None, 100)).collect();
        for batch in chosen.chunks(10) {
            assert!(batch.iter().all(|partition| partition == &batch[0]), "{chosen:?}");
        }
        assert!(chosen[0] != chosen[10] && chosen[10] != chosen[20], "{chosen:?}");
    }

    #[test]
    fn the_one_partition_of_a_topic_takes_all() {
        let mut partitioner = Partitioner::new(1, 10, 9);
        assert!((0..20).all(|_| partitioner.choose(None, 10) == 0));
    }

    #[test]
    fn records_without_a_key_reach_every_partition_about_evenly() {
        let mut partitioner = Partitioner::new(5, 1, 3);
        let mut counts = BTreeMap::new();
        (0..5_000).for_each(|_| *counts.entry(partitioner.choose(None, 1)).or_insert(0) += 1);
        assert!(counts.len() == 5 && counts.values().all(|count| (700..1_300).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_choice_is_a_partition_and_a_key_decides_alone(
            partitions in 1i32..200,
            key: Vec<u8>,
            sizes in prop::collection::vec(0usize..5_000, 0..20),
            seed: u64,
        ) {
            let mut partitioner = Partitioner::new(partitions, 1_000, seed);
            let first = partitioner.choose(Some(&key), 1);
            for size in sizes {
                prop_assert!((0..partitions).contains(&partitioner.choose(None, size)));
                prop_assert_eq!(partitioner.choose(Some(&key), size), first);
            }
        }
    }
}
