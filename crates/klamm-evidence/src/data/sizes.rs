//! Sizes, counted in buckets that are 1/32 wide: percentiles in bounded memory.

use std::collections::BTreeMap;

/// Sizes of records.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    largest: u64,
}

impl Sizes {
    /// Counts one.
    pub(crate) fn take(&mut self, bytes: u64) {
        *self.buckets.entry(upper(bytes)).or_default() += 1;
        self.count += 1;
        self.largest = self.largest.max(bytes);
    }

    /// So many of 100 are no larger; too high by at most 1/32.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut below = 0;
        for (upper, count) in &self.buckets {
            below += u128::from(*count);
            if below >= rank {
                return (*upper).min(self.largest);
            }
        }
        self.largest
    }

    /// The largest.
    pub(crate) fn largest(&self) -> u64 {
        self.largest
    }
}

/// The largest number of the bucket that `bytes` is in: the five bits below the highest are kept.
fn upper(bytes: u64) -> u64 {
    let shift = (u64::BITS - bytes.leading_zeros()).saturating_sub(6);
    bytes | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percentiles_are_nearly_those_of_the_sorted_sizes(
            sizes in proptest::collection::vec(0..5_000_000_u64, 1..300), percent in 1..=100_u64,
        ) {
            let mut counted = Sizes::default();
            sizes.iter().for_each(|size| counted.take(*size));
            let mut sorted = sizes.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() as u64 * percent).div_ceil(100) as usize;
            let exact = sorted[rank - 1];
            let found = counted.percentile(percent);
            prop_assert!(found >= exact && found <= exact + exact / 32, "{found} for {exact}");
            prop_assert_eq!(counted.largest(), sorted[sorted.len() - 1]);
        }
    }

    #[test]
    fn nothing_has_no_size() {
        assert_eq!((Sizes::default().percentile(50), Sizes::default().largest()), (0, 0));
    }
}
