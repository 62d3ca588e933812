//! Orders that Java's assignors take from its hash tables and strings.

use std::cmp::Ordering;

/// `String.hashCode`, as its bits.
pub(super) fn hash(text: &str) -> u32 {
    klamm_kafka::java_hash(text).cast_unsigned()
}

/// `TopicPartition.hashCode`, from that of the topic.
pub(super) fn hash_partition(topic: u32, partition: u32) -> u32 {
    31_u32.wrapping_add(partition).wrapping_mul(31).wrapping_add(topic)
}

/// `String.compareTo`: by UTF-16 units.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

/// In which order a `HashMap` goes over keys that were put in this order: bucket by bucket, and within one as they came.
pub(super) fn walk(hashes: &[u32]) -> Vec<usize> {
    let capacity = capacity(hashes.len(), 16);
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|at| hashes.get(*at).map(|hash| bucket(*hash, capacity)));
    order
}

/// A `HashSet`, as far as its order goes.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    /// Hash and item, as they were put in.
    items: Vec<(u32, usize)>,
    capacity: u32,
}

impl Ordered {
    pub(super) fn new() -> Ordered {
        Ordered { items: Vec::new(), capacity: 16 }
    }

    pub(super) fn insert(&mut self, hash: u32, item: usize) {
        self.items.push((hash, item));
        // It never shrinks again.
        self.capacity = capacity(self.items.len(), self.capacity);
    }

    pub(super) fn remove(&mut self, item: usize) {
        self.items.retain(|(_, known)| *known != item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn first(&self) -> Option<usize> {
        let first = self.items.iter().min_by_key(|(hash, _)| bucket(*hash, self.capacity));
        first.map(|(_, item)| *item)
    }
}

fn capacity(len: usize, mut capacity: u32) -> u32 {
    while len as u64 * 4 > u64::from(capacity) * 3 && capacity < 1 << 30 {
        capacity *= 2;
    }
    capacity
}

fn bucket(hash: u32, capacity: u32) -> u32 {
    (hash ^ (hash >> 16)) & (capacity - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_orders_are_those_of_java() {
        // `"consumer-1".hashCode()` and those of a few more, from the definition in `String`'s documentation.
        assert_eq!(hash(""), 0);
        assert_eq!(hash("a"), 97);
        assert_eq!(hash("ab"), 97 * 31 + 98);
        assert_eq!(hash("polygenelubricants"), i32::MIN as u32);
        assert_eq!(hash_partition(hash("t"), 2), (31 + 2) * 31 + 116);
        // A supplementary character begins with a surrogate, which is below U+E000.
        assert_eq!(compare("\u{1f600}", "\u{e000}"), Ordering::Less);
        // 13 keys are one too many for 16 buckets: 16 and 0 part.
        let twelve: Vec<u32> = (5..17).rev().collect();
        assert_eq!(walk(&twelve).first(), Some(&0));
        let thirteen: Vec<u32> = (4..17).rev().collect();
        assert_eq!(walk(&thirteen).last(), Some(&0));
    }
}
