//! Commits against a coordinator, in an order that follows from a seed. `KLAMM_SEED=n` replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;

use super::{Ask, Commits};
use crate::fetch::Next;
use crate::group::Membership;
use crate::random::mix;
use crate::{CommitErrorKind, TopicPartition};

fn partition(n: u64) -> TopicPartition {
    TopicPartition::new("t", i32::try_from(n).unwrap())
}

fn membership(epoch: i32) -> Option<Membership> {
    Some(Membership { member_id: "m".into(), epoch, instance_id: None })
}

#[derive(Default, Debug)]
struct Seen {
    stored: u64,
    not_member: u64,
    late: u64,
    found: u64,
}

fn run(seed: u64, seen: &mut Seen) {
    let mut dice = seed;
    let mut now = Instant::now();
    let mut commits = Commits::new(mix(&mut dice));
    let mut epoch = 1;
    let mut joined = true;
    commits.membership(membership(epoch));
    let mut store: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let mut calls: BTreeMap<u64, BTreeMap<TopicPartition, i64>> = BTreeMap::new();
    let mut lost: BTreeSet<TopicPartition> = BTreeSet::new();
    let mut position = 0;
    let mut on_the_way: Vec<(Instant, Ask)> = Vec::new();
    for step in 0..200 {
        let calm = step >= 150;
        now += Duration::from_millis(if calm { 500 } else { mix(&mut dice) % 300 });
        if !calm {
            match mix(&mut dice) % 12 {
                0..5 => {
                    let mut offsets = BTreeMap::new();
                    for _ in 0..mix(&mut dice) % 4 {
                        position += 1;
                        offsets.insert(partition(mix(&mut dice) % 4), position);
                    }
                    offsets.retain(|partition, _| !lost.contains(partition));
                    let next = |offset: i64| Next { offset, epoch: Some(1) };
                    let named = offsets.iter().map(|(p, offset)| (p.clone(), next(*offset))).collect();
                    let deadline = now + Duration::from_millis(mix(&mut dice) % 5_000);
                    let ticket = commits.commit(named, deadline);
                    assert!(calls.insert(ticket, offsets).is_none(), "a ticket names one call");
                }
                5 => {
                    let gone = partition(mix(&mut dice) % 4);
                    commits.lost(std::slice::from_ref(&gone));
                    lost.insert(gone);
                }
                6 => {
                    epoch += 1;
                    commits.membership(membership(epoch));
                    joined = true;
                    lost.clear();
                }
                7 if mix(&mut dice).is_multiple_of(6) => {
                    commits.membership(None);
                    joined = false;
                }
                8 => commits.look_up([partition(mix(&mut dice) % 4)]),
                _ => {}
            }
        }
        while let Some(ask) = commits.ask(now) {
            if let Ask::Commit { offsets, .. } = &ask {
                assert!(joined, "nothing is committed without a membership");
                assert!(
                    on_the_way.iter().all(|(_, ask)| !matches!(ask, Ask::Commit { .. })),
                    "one at a time"
                );
                assert!(offsets.iter().all(|(p, _)| !lost.contains(p)), "nothing for what was lost");
            }
            let delay = if calm { 0 } else { mix(&mut dice) % 500 };
            on_the_way.push((now + Duration::from_millis(delay), ask));
        }
        let (ready, later): (Vec<_>, _) = on_the_way.into_iter().partition(|(at, _)| *at <= now);
        on_the_way = later;
        for (_, ask) in ready {
            let trouble = if calm { 9 } else { mix(&mut dice) % 10 };
            match ask {
                Ask::Coordinator if trouble == 0 => {
                    commits.coordinator(Err(Code::COORDINATOR_NOT_AVAILABLE), now);
                }
                Ask::Coordinator => commits.coordinator(Ok(()), now),
                Ask::Commit { .. } if trouble == 0 => commits.commit_lost(now),
                Ask::Commit { membership, offsets } => {
                    let code = match trouble {
                        1 => Code::NOT_COORDINATOR,
                        2 => Code::REBALANCE_IN_PROGRESS,
                        3 => Code::COORDINATOR_LOAD_IN_PROGRESS,
                        4 => Code::UNKNOWN_MEMBER_ID,
                        _ if membership.epoch < epoch => Code::STALE_MEMBER_EPOCH,
                        _ => Code::NONE,
                    };
                    if code == Code::NONE {
                        for (partition, next) in &offsets {
                            let before = store.insert(partition.clone(), next.offset);
                            assert!(before.is_none_or(|before| before <= next.offset), "a commit goes back");
                        }
                    }
                    if trouble == 5 {
                        commits.commit_lost(now);
                        continue;
                    }
                    let answers: Vec<_> =
                        offsets.into_iter().map(|(partition, _)| (partition, code)).collect();
                    commits.committed(&answers, now);
                    if trouble == 6 && on_the_way.is_empty() {
                        commits.committed(&answers, now);
                    }
                }
                Ask::Fetch { .. } if trouble == 0 => commits.fetch_lost(now),
                Ask::Fetch { partitions, .. } => {
                    let unstable = trouble == 1;
                    let answer = |p: TopicPartition| {
                        let next = store.get(&p).map(|offset| Next { offset: *offset, epoch: Some(1) });
                        (p, if unstable { Err(Code::UNSTABLE_OFFSET_COMMIT) } else { Ok(next) })
                    };
                    commits.fetched(partitions.into_iter().map(answer).collect(), now);
                }
            }
        }
        while let Some((ticket, outcome)) = commits.outcome() {
            let offsets = calls.remove(&ticket).expect("one outcome a call");
            match outcome {
                Ok(()) => {
                    seen.stored += 1;
                    for (partition, offset) in offsets {
                        assert!(store.get(&partition).is_some_and(|stored| *stored >= offset), "stored");
                    }
                }
                Err(error) if error.kind() == CommitErrorKind::NotMember => seen.not_member += 1,
                Err(error) => {
                    assert_eq!(error.kind(), CommitErrorKind::Coordinator);
                    seen.late += 1;
                }
            }
        }
        while let Some((_, found)) = commits.found() {
            assert!(found.is_ok());
            seen.found += 1;
        }
    }
    assert!(calls.is_empty(), "each call has its outcome: {calls:?} {commits:?}");
}

#[test]
fn what_is_acknowledged_is_stored_and_no_commit_goes_back() {
    let given = std::env::var("KLAMM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let mut seen = Seen::default();
    for seed in given.map_or(0..20_000, |seed| seed..seed + 1) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed, &mut seen))) {
            eprintln!("KLAMM_SEED={seed}");
            resume_unwind(panic);
        }
    }
    let wide = seen.stored > 0 && seen.not_member > 0 && seen.late > 0 && seen.found > 0;
    assert!(given.is_some() || wide, "the seeds do not reach what they are for: {seen:?}");
}
