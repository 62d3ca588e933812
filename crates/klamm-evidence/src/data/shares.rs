//! How many records of each partition are looked at.

/// Least that are wanted of a partition, so that something is known of each.
const LEAST: u64 = 32;

/// Shares of `wanted` records among partitions that hold so many: a few of each, the rest in proportion to what they
/// hold. So a record has about the same chance everywhere, and a key that is heavy in one busy partition is as
/// heavy in the sample. With fewer records wanted than there are partitions, one of each is taken.
pub(crate) fn shares(held: &[u64], wanted: u64) -> Vec<u64> {
    let partitions = (held.len() as u64).max(1);
    let least = (wanted / (2 * partitions)).clamp(1, LEAST);
    let floors: Vec<u64> = held.iter().map(|held| least.min(*held)).collect();
    let rest = wanted.saturating_sub(floors.iter().sum());
    let left: u128 = held.iter().zip(&floors).map(|(held, floor)| u128::from(held - floor)).sum();
    let share = |(held, floor): (&u64, &u64)| {
        let more = u128::from(held - floor);
        let part = (more * u128::from(rest)).checked_div(left).unwrap_or(0);
        floor + u64::try_from(part.min(more)).unwrap_or(u64::MAX)
    };
    held.iter().zip(&floors).map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn busy_partitions_give_more() {
        assert_eq!(shares(&[1_000_000, 100_000, 0], 1_000), [882, 117, 0]);
        assert_eq!(shares(&[10, 20], 1_000), [10, 20]);
        assert_eq!(shares(&[], 1_000), [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn shares_are_bounded(held in proptest::collection::vec(0..1_000_000_u64, 0..50), wanted in 0..100_000_u64) {
            let shares = shares(&held, wanted);
            prop_assert!(shares.iter().sum::<u64>() <= wanted.max(held.len() as u64));
            for (share, held) in shares.iter().zip(&held) {
                prop_assert!(share <= held);
                prop_assert!((*share == 0) == (*held == 0), "something of each partition that has something");
            }
            if held.iter().sum::<u64>() <= wanted {
                prop_assert_eq!(shares, held);
            }
        }
    }
}
