//! Numbers that follow from one: what the machines take instead of a source of randomness.

/// SplitMix64: one step of it is enough for jitter and for a choice among partitions.
pub(crate) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
pub(crate) mod dice {
    //! What the simulators have in common: chance that follows from a seed, and runs of many seeds.

    use std::ops::Range;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::mix;

    /// Numbers that follow from a seed.
    #[derive(Debug)]
    pub(crate) struct Dice(pub(crate) u64);

    impl Dice {
        /// A number in the range; its start when it is empty.
        pub(crate) fn among(&mut self, range: Range<u64>) -> u64 {
            let width = range.end.saturating_sub(range.start).max(1);
            range.start + mix(&mut self.0) % width
        }

        pub(crate) fn index(&mut self, len: usize) -> usize {
            self.among(0..len as u64) as usize
        }

        pub(crate) fn one_in(&mut self, n: u64) -> bool {
            self.among(0..n) == 0
        }
    }

    /// Whether all seeds were run, so that together they must have reached what they are for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Ran {
        All,
        /// Only the one that `KLAMM_SEED` names.
        One,
    }

    /// Runs each seed, or the one that `KLAMM_SEED` names, and prints the one that fails.
    pub(crate) fn each_seed(seeds: Range<u64>, mut run: impl FnMut(u64)) -> Ran {
        let given = std::env::var("KLAMM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
        for seed in given.map_or(seeds, |seed| seed..seed + 1) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                eprintln!("KLAMM_SEED={seed}");
                resume_unwind(panic);
            }
        }
        if given.is_some() { Ran::One } else { Ran::All }
    }
}
