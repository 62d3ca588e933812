//! Which partitioner has put records where they are.
//!
//! One record tells little: of 12 partitions every partitioner is right by chance in one of 12 cases. So what murmur2 does
//! not explain is held, and another explanation is taken only for what is well beyond chance.

use std::collections::BTreeMap;

use klamm_kafka::{murmur2, partition_for_key};
use klamm_rules::evidence::Placement;

/// Most misplaced records that are held; after so many no more are checked.
const HELD: usize = 8_192;
/// How many standard deviations beyond chance an explanation must be.
const DEVIATIONS: f64 = 4.0;
/// An explanation is for at least so many percent of what is not explained yet.
const SHARE_PERCENT: usize = 5;
/// Writers learn of new partitions within `metadata.max.age.ms`, 5 minutes; clocks differ, too.
const GROWTH_MS: i64 = 10 * 60_000;
/// Of the records that an earlier number of partitions explains, so many percent must be older than the growth.
const OLDER_PERCENT: usize = 90;

/// Where Java's partitioner does not put a key: what else could have.
#[derive(Debug, Clone, Copy)]
struct Misplaced {
    murmur2: i32,
    crc32: u32,
    fnv1a: i32,
    partition: i32,
    timestamp_ms: i64,
}

/// Checks the records of one topic.
#[derive(Debug)]
pub(crate) struct Places {
    partitions: i32,
    checked: u64,
    murmur2: u64,
    misplaced: Vec<Misplaced>,
    /// The oldest record that was seen in each partition.
    oldest_ms: BTreeMap<i32, i64>,
}

/// An explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Crc32,
    Fnv1a,
    /// Sarama's reference variant.
    Fnv1aMasked,
    Earlier(i32),
}

impl Places {
    /// Of a topic with so many partitions.
    pub(crate) fn new(partitions: i32) -> Self {
        let (checked, murmur2, misplaced) = (0, 0, Vec::new());
        Places { partitions, checked, murmur2, misplaced, oldest_ms: BTreeMap::new() }
    }

    /// Checks one record.
    pub(crate) fn take(&mut self, key: &[u8], partition: i32, timestamp_ms: i64) {
        let oldest = self.oldest_ms.entry(partition).or_insert(timestamp_ms);
        *oldest = timestamp_ms.min(*oldest);
        if self.misplaced.len() >= HELD {
            return;
        }
        self.checked += 1;
        if partition_for_key(key, self.partitions) == partition {
            self.murmur2 += 1;
            return;
        }
        self.misplaced.push(Misplaced {
            murmur2: murmur2(key),
            crc32: crc32fast::hash(key),
            fnv1a: fnv1a(key),
            partition,
            timestamp_ms,
        });
    }

    /// What was found: explanations one after another, that of most records first.
    pub(crate) fn found(mut self, keys_in_several: u64) -> Placement {
        let mut placement = Placement {
            checked: self.checked,
            murmur2: self.murmur2,
            keys_in_several,
            ..Placement::default()
        };
        while let Some((reason, records)) = self.best() {
            match reason {
                Reason::Crc32 => placement.crc32 += records,
                Reason::Fnv1a | Reason::Fnv1aMasked => placement.fnv1a += records,
                Reason::Earlier(partitions) => {
                    *placement.earlier.entry(partitions).or_default() += records;
                }
            }
            let partitions = self.partitions;
            self.misplaced.retain(|record| !record.is_due_to(reason, partitions));
        }
        placement
    }

    /// The reason that explains most of what is left, if it is one at all.
    fn best(&self) -> Option<(Reason, u64)> {
        let earlier = (1..self.partitions).rev().map(Reason::Earlier);
        let reasons = [Reason::Crc32, Reason::Fnv1a, Reason::Fnv1aMasked].into_iter().chain(earlier);
        let explained = |reason: Reason| {
            self.misplaced.iter().filter(|record| record.is_due_to(reason, self.partitions)).count()
        };
        let mut best: Option<(Reason, usize)> = None;
        for reason in reasons {
            let records = explained(reason);
            let more = best.is_none_or(|(_, most)| records > most);
            if more && self.is_beyond_chance(records) && self.is_in_time(reason) {
                best = Some((reason, records));
            }
        }
        best.map(|(reason, records)| (reason, records as u64))
    }

    /// So many of what is left are not explained by luck.
    fn is_beyond_chance(&self, explained: usize) -> bool {
        let (left, chance) = (self.misplaced.len() as f64, 1.0 / f64::from(self.partitions.max(1)));
        let deviation = (left * chance * (1.0 - chance)).sqrt();
        // With hundreds of numbers of partitions to choose from, one of them is lucky: a share is asked for as well.
        let enough = explained >= 5 && explained * 100 >= self.misplaced.len() * SHARE_PERCENT;
        enough && explained as f64 > left * chance + DEVIATIONS * deviation
    }

    /// Records of the time before a growth are older than all in the partitions that it added.
    fn is_in_time(&self, reason: Reason) -> bool {
        let Reason::Earlier(partitions) = reason else { return true };
        let Some(grown) = self.oldest_ms.range(partitions..).map(|(_, oldest)| *oldest).min() else {
            return true;
        };
        let due = self.misplaced.iter().filter(|record| record.is_due_to(reason, self.partitions));
        let (older, all) = due.fold((0, 0), |(older, all), record| {
            let is_older = record.timestamp_ms <= grown.saturating_add(GROWTH_MS);
            (older + usize::from(is_older), all + 1)
        });
        older * 100 >= all * OLDER_PERCENT
    }
}

impl Misplaced {
    fn is_due_to(&self, reason: Reason, partitions: i32) -> bool {
        let by = match reason {
            Reason::Crc32 => crc32_partition(self.crc32, partitions),
            Reason::Fnv1a => fnv1a_partition(self.fnv1a, partitions),
            // Sarama's `NewReferenceHashPartitioner`: the sign's bit is dropped, as Java's partitioner does.
            Reason::Fnv1aMasked => (self.fnv1a & i32::MAX) % partitions.max(1),
            Reason::Earlier(partitions) => (self.murmur2 & i32::MAX) % partitions.max(1),
        };
        by == self.partition
    }
}

/// librdkafka's `consistent`, and `consistent_random` for keys that are not empty: CRC-32 (IEEE) without a sign.
fn crc32_partition(hash: u32, partitions: i32) -> i32 {
    let partitions = partitions.max(1).cast_unsigned();
    (hash % partitions).cast_signed()
}

/// Sarama's hash partitioner (kafka-go's and librdkafka's `fnv1a`, too): 32-bit FNV-1a taken as a signed number, and
/// the remainder without its sign.
fn fnv1a_partition(hash: i32, partitions: i32) -> i32 {
    // No overflow: the divisor is positive.
    (hash % partitions.max(1)).abs()
}

/// 32-bit FNV-1a, as the signed number that Go's `int32(...)` makes of it.
fn fnv1a(bytes: &[u8]) -> i32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(OFFSET, step).cast_signed()
}

/// Where each partitioner that is told apart puts a key: murmur2, CRC32, FNV-1a.
#[cfg(test)]
fn all_of(key: &[u8], partitions: i32) -> [i32; 3] {
    [
        partition_for_key(key, partitions),
        crc32_partition(crc32fast::hash(key), partitions),
        fnv1a_partition(fnv1a(key), partitions),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> Vec<u8> {
        format!("customer-{number}").into_bytes()
    }

    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b"").cast_unsigned(), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a").cast_unsigned(), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar").cast_unsigned(), 0xbf9c_f968);
        assert_eq!(fnv1a_partition(-7, 4), 3);
        assert_eq!(fnv1a_partition(i32::MIN, 1), 0);
    }

    #[test]
    fn mixed_partitioners_are_told_apart() {
        let mut places = Places::new(12);
        for number in 0..3_000 {
            let by = all_of(&key(number), 12);
            let which = [0, 0, 0, 1, 1, 2][number as usize % 6];
            places.take(&key(number), by[which], 1_000);
        }
        let found = places.found(0);
        assert_eq!(found.checked, 3_000);
        // 1,500 and what the others put there by chance.
        assert!((1_500..1_700).contains(&found.murmur2), "{found:?}");
        assert!((850..1_010).contains(&found.crc32), "{found:?}");
        assert!((380..520).contains(&found.fnv1a), "{found:?}");
        assert!(found.earlier.is_empty(), "{found:?}");
    }

    #[test]
    fn both_ways_of_a_negative_hash_are_known() {
        let mut places = Places::new(12);
        for number in 0..1_000 {
            places.take(&key(number), (fnv1a(&key(number)) & i32::MAX) % 12, 0);
        }
        let found = places.found(0);
        assert_eq!(found.murmur2 + found.fnv1a, 1_000, "{found:?}");
    }

    #[test]
    fn records_of_an_earlier_number_of_partitions_are_known_by_their_age() {
        let (mut grown, mut young) = (Places::new(12), Places::new(12));
        for number in 0..2_000_u32 {
            let before = number < 1_000;
            let partition = partition_for_key(&key(number), if before { 6 } else { 12 });
            grown.take(&key(number), partition, i64::from(number) * 60_000);
            // The same with times that no growth explains.
            young.take(&key(number), partition, i64::from(2_000 - number) * 60_000);
        }
        let found = grown.found(0);
        assert_eq!(found.earlier.keys().collect::<Vec<_>>(), [&6], "{found:?}");
        assert_eq!(found.murmur2 + found.earlier[&6], 2_000);
        let found = young.found(0);
        assert!(found.earlier.is_empty(), "{found:?}");
    }

    proptest! {
        #[test]
        fn what_java_wrote_is_never_called_misplaced(partitions in 1..60_i32, numbers in proptest::collection::vec(any::<u32>(), 0..200)) {
            let mut places = Places::new(partitions);
            for number in &numbers {
                places.take(&key(*number), partition_for_key(&key(*number), partitions), 0);
            }
            let found = places.found(0);
            prop_assert_eq!(found.checked, numbers.len() as u64);
            prop_assert_eq!(found.murmur2, found.checked);
        }

        #[test]
        fn explanations_never_exceed_what_was_checked(
            partitions in 1..40_i32,
            records in proptest::collection::vec((any::<u32>(), 0..40_i32, any::<i64>()), 0..300),
        ) {
            let mut places = Places::new(partitions);
            for (number, partition, time) in &records {
                places.take(&key(*number), partition % partitions, *time);
            }
            let found = places.found(0);
            let explained = found.murmur2 + found.crc32 + found.fnv1a + found.earlier.values().sum::<u64>();
            prop_assert!(explained <= found.checked);
        }

        #[test]
        fn every_partitioner_stays_within_the_topic(bytes: Vec<u8>, partitions in 1..1_000_i32) {
            for partition in all_of(&bytes, partitions) {
                prop_assert!((0..partitions).contains(&partition));
            }
        }
    }
}
