//! Members of a group against a coordinator by Kafka's rules, in an order of events that follows from a seed.
//!
//! Connections break before or after a request arrives, answers come late and twice, the coordinator moves and may forget the group,
//! sessions end, applications drain slowly or not at all, processes die, partitions are added. What a connection that broke has not
//! delivered by then never arrives: a join that did would speak for a member that has gone on, and no client could help that.
//! `KLAMM_SEED=n` replays one seed.

mod coordinator;
mod seen;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use seen::Seen;
use world::World;

/// Numbers that follow from a seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn among(&mut self, range: std::ops::Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + crate::random::mix(&mut self.0) % width
    }

    fn index(&mut self, len: usize) -> usize {
        self.among(0..len as u64) as usize
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.among(0..n) == 0
    }
}

const SEEDS: u64 = 20_000;

#[test]
fn a_partition_has_one_owner_at_most_and_one_in_the_end_whatever_breaks() {
    let given = std::env::var("KLAMM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let mut seen = Seen::default();
    for seed in given.map_or(0..SEEDS, |seed| seed..seed + 1) {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
            Ok(run) => seen.add(&run),
            Err(panic) => {
                eprintln!("KLAMM_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    eprintln!("{seen:?}");
    assert!(given.is_some() || seen.is_wide(), "the seeds do not reach what they are for: {seen:?}");
}
