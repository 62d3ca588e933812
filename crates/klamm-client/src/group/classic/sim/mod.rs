//! Members of a group against a coordinator by Kafka's rules, in an order of events that follows from a seed.
//!
//! Connections break before or after a request arrives, answers come late and twice, the coordinator moves and may forget the group,
//! sessions end, applications drain slowly or not at all, processes die, partitions are added. What a connection that broke has not
//! delivered by then never arrives: a join that did would speak for a member that has gone on, and no client could help that.
//! `KLAMM_SEED=n` replays one seed.

mod coordinator;
mod seen;
mod world;

use seen::Seen;
use world::World;

use crate::random::dice::{Dice, Ran, each_seed};

const SEEDS: u64 = 20_000;

#[test]
fn a_partition_has_one_owner_at_most_and_one_in_the_end_whatever_breaks() {
    let mut seen = Seen::default();
    let ran = each_seed(0..SEEDS, |seed| seen.add(&World::new(seed).run()));
    eprintln!("{seen:?}");
    assert!(ran == Ran::One || seen.is_wide(), "the seeds do not reach what they are for: {seen:?}");
}
