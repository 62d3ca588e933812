//! The producer against brokers by Kafka's rules, in an order of events that follows from a seed.
//!
//! Connections lose requests and answers; what was in the socket of one that broke may arrive later, after what a newer connection
//! brought. Leaders move, clocks jump, answers come twice. `KLAMM_SEED=n` replays one seed.

mod broker;
mod world;

use world::{Seen, World};

use crate::random::dice::{Dice, Ran, each_seed};

const SEEDS: u64 = 20_000;

fn runs(seeds: u64, idempotent: bool) -> (Seen, Ran) {
    let mut seen = Seen::default();
    let ran = each_seed(0..seeds, |seed| seen.add(&World::new(seed, idempotent).run()));
    eprintln!("{seen:?}");
    (seen, ran)
}

#[test]
fn what_is_acknowledged_is_stored_once_and_in_order_whatever_breaks() {
    let (seen, ran) = runs(SEEDS, true);
    assert!(ran == Ran::One || seen.is_wide(), "the seeds do not reach what they are for: {seen:?}");
}

#[test]
fn without_idempotence_what_is_acknowledged_is_stored_and_what_was_refused_is_not() {
    runs(SEEDS / 10, false);
}
