//! Chance in fault tests, from a seed that is printed.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Environment variable with the seed; `make soak` counts it up.
const SEED: &str = "KLAMM_SEED";

/// Numbers that follow from one seed: `KLAMM_SEED` (of several, `1,2,3`, the first), or the clock. The seed is printed, and a failed test shows it.
#[derive(Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Takes the seed and prints it.
    pub fn new() -> Dice {
        Dice::of(Dice::seeds()[0])
    }

    /// The dice of this seed, which is printed.
    pub fn of(seed: u64) -> Dice {
        println!("{SEED}={seed}");
        Dice { state: seed }
    }

    /// Every seed that is given, for a test that can go through several; at least one.
    pub fn seeds() -> Vec<u64> {
        let given = std::env::var(SEED).unwrap_or_default();
        let mut seeds: Vec<u64> = given.split(',').filter_map(|seed| seed.trim().parse().ok()).collect();
        if seeds.is_empty() {
            seeds.push(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()));
        }
        seeds
    }

    /// A number in the range; its start when it is empty.
    pub fn among(&mut self, range: Range<u64>) -> u64 {
        // SplitMix64: one step, then its finaliser.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        range.start + mixed % (range.end.saturating_sub(range.start)).max(1)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Dice::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_range_and_reach_all_of_it() {
        let mut dice = Dice::new();
        let mut seen = [false; 5];
        for _ in 0..500 {
            seen[(dice.among(10..15) - 10) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(dice.among(7..7), 7);
    }
}
