//! The producer against brokers by Kafka's rules, in an order of events that follows from a seed.
//!
//! Connections lose requests and answers; what was in the socket of one that broke may arrive later, after what a newer connection
//! brought. Leaders move, clocks jump, answers come twice. `KLAMM_SEED=n` replays one seed.

mod broker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{Seen, World};

/// Numbers that follow from a seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn among(&mut self, range: std::ops::Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + crate::random::mix(&mut self.0) % width
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.among(0..n) == 0
    }
}

const SEEDS: u64 = 20_000;

/// Runs each seed, or the one that is asked for, and prints the one that fails.
fn runs(seeds: u64, idempotent: bool) -> Seen {
    let given = std::env::var("KLAMM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let mut seen = Seen::default();
    for seed in given.map_or(0..seeds, |seed| seed..seed + 1) {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed, idempotent).run())) {
            Ok(run) => seen.add(&run),
            Err(panic) => {
                eprintln!("KLAMM_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    eprintln!("{seen:?}");
    seen.all |= given.is_none();
    seen
}

#[test]
fn what_is_acknowledged_is_stored_once_and_in_order_whatever_breaks() {
    let seen = runs(SEEDS, true);
    assert!(!seen.all || seen.is_wide(), "the seeds do not reach what they are for: {seen:?}");
}

#[test]
fn without_idempotence_what_is_acknowledged_is_stored_and_what_was_refused_is_not() {
    runs(SEEDS / 10, false);
}
