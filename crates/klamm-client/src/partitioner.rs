//! Which partition a record goes to: what Java's default partitioner does.

use klamm_kafka::partition_for_key;

use crate::random::mix;

/// Chooses the partitions of one topic.
///
/// A key decides by murmur2, as in Java. Records without a key stay on one partition until a batch's worth of bytes
/// went there and then move to another (KIP-794): where less waits, more goes.
#[derive(Debug)]
pub(crate) struct Partitioner {
    partitions: i32,
    batch_bytes: usize,
    sticky: i32,
    sticky_bytes: usize,
    random: u64,
    load: Load,
}

/// What waits for each partition, as a table to draw from; empty if all are alike.
#[derive(Debug, Default)]
struct Load {
    partitions: Vec<i32>,
    /// Running sums of the weights: the partition at an index is drawn by the numbers below its sum and from the one before.
    sums: Vec<u64>,
}

impl Partitioner {
    /// `seed` decides the order in which records without a key visit the partitions.
    pub(crate) fn new(partitions: i32, batch_bytes: usize, seed: u64) -> Partitioner {
        let load = Load::default();
        let mut partitioner =
            Partitioner { partitions, batch_bytes, sticky: 0, sticky_bytes: 0, random: seed, load };
        partitioner.sticky = partitioner.another();
        partitioner
    }

    /// The topic grew: keys move from now on.
    pub(crate) fn set_partitions(&mut self, partitions: i32) {
        self.partitions = partitions;
        self.sticky = self.sticky.min(partitions - 1);
        self.load.clear();
    }

    /// Takes what waits for each partition that has a leader, in batches. Those that are left out get nothing until the
    /// next time; without any, or if all are alike, every partition is as good as another.
    ///
    /// It looks at all of them, so it belongs into a timer, not into a send.
    pub(crate) fn set_load(&mut self, queues: impl IntoIterator<Item = (i32, u32)>) {
        let partitions = self.partitions;
        self.load.take(
            partitions,
            queues.into_iter().filter(|(partition, _)| (0..partitions).contains(partition)),
        );
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

    /// The partition to move to: by its weight, or else any but the present one, if there is another.
    fn another(&mut self) -> i32 {
        let random = mix(&mut self.random);
        if let Some(drawn) = self.load.draw(random) {
            return drawn;
        }
        let others = u64::from((self.partitions - 1).max(1).unsigned_abs());
        let step = 1 + i32::try_from(random % others).unwrap_or(0);
        (self.sticky + step).rem_euclid(self.partitions.max(1))
    }
}

impl Load {
    fn clear(&mut self) {
        self.partitions.clear();
        self.sums.clear();
    }

    /// A partition weighs as much as the longest queue is longer than its own, and one more.
    fn take(&mut self, of: i32, queues: impl Iterator<Item = (i32, u32)>) {
        self.clear();
        for (partition, len) in queues {
            self.partitions.push(partition);
            self.sums.push(u64::from(len));
        }
        let longest = self.sums.iter().copied().max().unwrap_or(0);
        let alike = self.sums.iter().all(|len| *len == longest);
        if of < 2 || (alike && i32::try_from(self.sums.len()) == Ok(of)) {
            return self.clear();
        }
        let mut sum = 0;
        for slot in &mut self.sums {
            sum += longest - *slot + 1;
            *slot = sum;
        }
    }

    fn draw(&self, random: u64) -> Option<i32> {
        let point = random % self.sums.last().copied().filter(|total| *total > 0)?;
        self.partitions.get(self.sums.partition_point(|sum| *sum <= point)).copied()
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

    /// Kafka's own example: queues of 0, 3 and 1 weigh 4, 1 and 3.
    #[test]
    fn where_less_waits_more_goes() {
        let mut load = Load::default();
        load.take(3, [(0, 0), (1, 3), (2, 1)].into_iter());
        let drawn: Vec<_> = (0..8).map(|random| load.draw(random)).collect();
        assert_eq!(drawn, [0, 0, 0, 0, 1, 2, 2, 2].map(Some));
    }

    #[test]
    fn a_partition_without_a_leader_gets_nothing() {
        let mut partitioner = Partitioner::new(4, 1, 5);
        partitioner.set_load([(0, 2), (2, 2), (3, 2)]);
        partitioner.choose(None, 1);
        assert!((0..500).all(|_| partitioner.choose(None, 1) != 1));
        partitioner.set_load((0..4).map(|partition| (partition, 2)));
        assert!((0..500).any(|_| partitioner.choose(None, 1) == 1), "all alike: all are as good");
    }

    proptest! {
        #[test]
        fn each_partition_is_drawn_as_often_as_its_queue_is_short(
            queues in prop::collection::vec(0u32..50, 2..20),
        ) {
            let longest = *queues.iter().max().unwrap();
            let mut load = Load::default();
            load.take(queues.len() as i32, (0..).zip(queues.iter().copied()));
            let Some(total) = load.sums.last().copied() else {
                prop_assert_eq!(queues.iter().min(), Some(&longest));
                return Ok(());
            };
            let mut drawn = BTreeMap::new();
            (0..total).for_each(|random| *drawn.entry(load.draw(random).unwrap()).or_insert(0) += 1);
            let weights = (0..).zip(queues.iter().map(|len| longest - len + 1));
            prop_assert_eq!(drawn, weights.collect::<BTreeMap<i32, u32>>());
        }

        #[test]
        fn a_choice_is_a_partition_and_a_key_decides_alone(
            partitions in 1i32..200,
            key: Vec<u8>,
            sizes in prop::collection::vec(0usize..5_000, 0..20),
            queues in prop::collection::vec((-3i32..210, 0u32..9), 0..20),
            seed: u64,
        ) {
            let mut partitioner = Partitioner::new(partitions, 1_000, seed);
            partitioner.set_load(queues);
            let first = partitioner.choose(Some(&key), 1);
            for size in sizes {
                prop_assert!((0..partitions).contains(&partitioner.choose(None, size)));
                prop_assert_eq!(partitioner.choose(Some(&key), size), first);
            }
        }
    }
}
