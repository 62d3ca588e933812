//! Java's hash of a string, where Kafka decides by it.

/// `String.hashCode`: over UTF-16 units.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `__consumer_offsets` that holds a group, of so many (`GroupCoordinatorService.partitionFor`).
pub fn offsets_partition(group: &str, partitions: i32) -> i32 {
    // As Kafka's `Utils.abs`: the one value without a positive is 0.
    java_hash(group).checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        // From the definition in the documentation of `String`; the last one is known for its hash.
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("ab"), 97 * 31 + 98);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn a_group_is_where_kafka_keeps_it() {
        assert_eq!(offsets_partition("orders", 50), 31);
        assert_eq!(offsets_partition("a", 50), 47);
        assert_eq!((java_hash("consumers-1"), offsets_partition("consumers-1", 50)), (-858_380_895, 45));
        assert_eq!(offsets_partition("polygenelubricants", 50), 0);
    }
}
