//! Java's partitioner for keys: murmur2 with Kafka's seed.
//!
//! Every client that writes to a keyed topic has to agree on it, or one key ends up on two partitions. librdkafka's
//! default (`consistent_random`, CRC32) does not agree; `murmur2_random` does.

/// `org.apache.kafka.common.utils.Utils.murmur2`: the signed value that Java computes.
pub fn murmur2(key: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Java's array length is an int; the wrap for longer keys cannot happen there.
    let mut h = SEED ^ (key.len() as u32);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (position, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * position);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    h as i32
}

/// The partition that Java's producer gives to `key` on a topic of `partitions`: `toPositive(murmur2) % n`.
/// A topic has at least one partition; a smaller number counts as one.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_gives_the_same_hash_and_partition() {
        let golden = include_str!("../tests/golden/murmur2.txt");
        let mut seen = 0;
        for line in golden.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let key = unhex(fields[0]);
            assert_eq!(murmur2(&key).to_string(), fields[1], "hash of {}", fields[0]);
            assert_eq!(partition_for_key(&key, 6).to_string(), fields[2], "of 6: {}", fields[0]);
            assert_eq!(partition_for_key(&key, 97).to_string(), fields[3], "of 97: {}", fields[0]);
            seen += 1;
        }
        assert!(seen >= 100, "the golden file has only {seen} keys");
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }
}
