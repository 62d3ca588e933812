//! Where a copy comes from, and where it goes.

use klamm_kafka::partition_for_key;
use klamm_wire::batch::RecordView;

/// Header of each copy: `partition:offset` of the record that it was made from.
pub const HEADER: &str = "klamm-from";

/// What to do with records that are not where the partitioner puts their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Misplaced {
    /// Stop at the first: its producer uses another partitioner, or the topic had another number of partitions once.
    #[default]
    Refuse,
    /// Copy them by their key: the order within such a key may break where it lies on several partitions.
    Copy,
}

/// The record that a copy was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub partition: i32,
    pub offset: i64,
}

impl Origin {
    pub fn header(self) -> String {
        format!("{}:{}", self.partition, self.offset)
    }

    /// `None` when the record is no copy.
    pub fn of(record: &RecordView<'_>) -> Option<Origin> {
        // A topic that was copied twice has two: the last one is ours.
        let header = record.headers().filter(|header| header.key == HEADER.as_bytes()).last()?;
        let (partition, offset) = std::str::from_utf8(header.value?).ok()?.split_once(':')?;
        Some(Origin { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
    }
}

/// Numbers of partitions before and after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub old: i32,
    pub new: i32,
}

impl Counts {
    /// The partition of a record's copy; the partition where it should have been, when it is not there.
    pub fn place(self, key: Option<&[u8]>, partition: i32) -> Result<i32, i32> {
        // Records without a key have an order within their partition, and keep it.
        let Some(key) = key else { return Ok(partition % self.new) };
        match partition_for_key(key, self.old) {
            right if right == partition => Ok(partition_for_key(key, self.new)),
            right => Err(right),
        }
    }

    /// Copies of old partition `old` can be in new partition `new`, if all were where their keys belong.
    pub fn meet(self, old: i32, new: i32) -> bool {
        let common = gcd(self.old, self.new);
        old % common == new % common
    }
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_copy_is_where_the_partitioner_puts_its_key_and_where_its_partition_may_go(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            (old, new) in (1..40_i32, 1..40_i32),
            unkeyed in 0..40_i32,
        ) {
            let counts = Counts { old, new };
            let partition = key.as_ref().map_or(unkeyed % old, |key| partition_for_key(key, old));
            let place = counts.place(key.as_deref(), partition).expect("where it belongs");
            prop_assert!((0..new).contains(&place));
            prop_assert!(counts.meet(partition, place));
            if let Some(key) = &key {
                prop_assert_eq!(place, partition_for_key(key, new));
                let elsewhere = (partition + 1) % old;
                prop_assert!(elsewhere == partition || counts.place(Some(key), elsewhere) == Err(partition));
            }
        }

        #[test]
        fn with_a_multiple_each_new_partition_takes_from_one(old in 1..40_i32, times in 1..8_i32) {
            let counts = Counts { old, new: old * times };
            for new in 0..counts.new {
                prop_assert_eq!((0..old).filter(|old| counts.meet(*old, new)).count(), 1);
            }
        }
    }
}
