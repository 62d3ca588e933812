//! Commits against a coordinator, in an order that follows from a seed. `KLAMM_SEED=n` replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;

use super::{Ask, Commits};
use crate::fetch::Next;
use crate::group::Membership;
use crate::random::dice::{Dice, Ran, each_seed};
use crate::random::mix;
use crate::{CommitErrorKind, TopicPartition};

fn partition(n: u64) -> TopicPartition {
    TopicPartition::new("t", i32::try_from(n).expect("there are few partitions"))
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

/// One run: the machine, the coordinator's store, and what is on the way between them.
struct World {
    dice: Dice,
    now: Instant,
    /// Nothing breaks any more.
    calm: bool,
    commits: Commits,
    epoch: i32,
    joined: bool,
    store: BTreeMap<TopicPartition, i64>,
    calls: BTreeMap<u64, BTreeMap<TopicPartition, i64>>,
    lost: BTreeSet<TopicPartition>,
    position: i64,
    on_the_way: Vec<(Instant, Ask)>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let mut commits = Commits::new(mix(&mut dice.0));
        commits.membership(membership(1));
        World {
            dice,
            now: Instant::now(),
            calm: false,
            commits,
            epoch: 1,
            joined: true,
            store: BTreeMap::new(),
            calls: BTreeMap::new(),
            lost: BTreeSet::new(),
            position: 0,
            on_the_way: Vec::new(),
        }
    }

    /// The application commits, the group rebalances.
    fn act(&mut self) {
        match self.dice.among(0..12) {
            0..5 => self.call(),
            5 => {
                let gone = partition(self.dice.among(0..4));
                self.commits.lost(std::slice::from_ref(&gone));
                self.lost.insert(gone);
            }
            6 => {
                self.epoch += 1;
                self.commits.membership(membership(self.epoch));
                self.joined = true;
                self.lost.clear();
            }
            7 if self.dice.one_in(6) => {
                self.commits.membership(None);
                self.joined = false;
            }
            8 => {
                let wanted = partition(self.dice.among(0..4));
                self.commits.look_up([wanted]);
            }
            _ => {}
        }
    }

    fn call(&mut self) {
        let mut offsets = BTreeMap::new();
        for _ in 0..self.dice.among(0..4) {
            self.position += 1;
            offsets.insert(partition(self.dice.among(0..4)), self.position);
        }
        offsets.retain(|partition, _| !self.lost.contains(partition));
        let next = |offset: i64| Next { offset, epoch: Some(1) };
        let named = offsets.iter().map(|(p, offset)| (p.clone(), next(*offset))).collect();
        let deadline = self.now + Duration::from_millis(self.dice.among(0..5_000));
        let ticket = self.commits.commit(named, deadline);
        assert!(self.calls.insert(ticket, offsets).is_none(), "a ticket names one call");
    }

    fn take_asks(&mut self) {
        while let Some(ask) = self.commits.ask(self.now) {
            if let Ask::Commit { offsets, .. } = &ask {
                assert!(self.joined, "nothing is committed without a membership");
                let is_commit = |(_, ask): &(Instant, Ask)| matches!(ask, Ask::Commit { .. });
                assert!(!self.on_the_way.iter().any(is_commit), "one at a time");
                assert!(offsets.iter().all(|(p, _)| !self.lost.contains(p)), "nothing for what was lost");
            }
            let delay = if self.calm { 0 } else { self.dice.among(0..500) };
            self.on_the_way.push((self.now + Duration::from_millis(delay), ask));
        }
        let wake = self.commits.wake_at();
        assert!(wake.is_none_or(|wake| wake > self.now), "it is woken for nothing: {:?}", self.commits);
    }

    fn deliver(&mut self) {
        let (ready, later): (Vec<_>, _) =
            std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, _)| *at <= self.now);
        self.on_the_way = later;
        for (_, ask) in ready {
            let trouble = if self.calm { 9 } else { self.dice.among(0..10) };
            self.answer(ask, trouble);
        }
    }

    fn answer(&mut self, ask: Ask, trouble: u64) {
        let now = self.now;
        match ask {
            Ask::Coordinator if trouble == 0 => {
                self.commits.coordinator(Err(Code::COORDINATOR_NOT_AVAILABLE), now);
            }
            Ask::Coordinator => self.commits.coordinator(Ok(()), now),
            Ask::Commit { .. } if trouble == 0 => self.commits.commit_lost(now),
            Ask::Commit { membership, offsets } => self.store(&membership, offsets, trouble),
            Ask::Fetch { .. } if trouble == 0 => self.commits.fetch_lost(now),
            Ask::Fetch { partitions, .. } => {
                let unstable = trouble == 1;
                let answer = |p: TopicPartition| {
                    let next = self.store.get(&p).map(|offset| Next { offset: *offset, epoch: Some(1) });
                    (p, if unstable { Err(Code::UNSTABLE_OFFSET_COMMIT) } else { Ok(next) })
                };
                self.commits.fetched(partitions.into_iter().map(answer).collect(), now);
            }
        }
    }

    /// The coordinator takes a commit, or does not; its answer may be lost or come twice.
    fn store(&mut self, membership: &Membership, offsets: Vec<(TopicPartition, Next)>, trouble: u64) {
        let code = match trouble {
            1 => Code::NOT_COORDINATOR,
            2 => Code::REBALANCE_IN_PROGRESS,
            3 => Code::COORDINATOR_LOAD_IN_PROGRESS,
            4 => Code::UNKNOWN_MEMBER_ID,
            _ if membership.epoch < self.epoch => Code::STALE_MEMBER_EPOCH,
            _ => Code::NONE,
        };
        if code == Code::NONE {
            for (partition, next) in &offsets {
                let before = self.store.insert(partition.clone(), next.offset);
                assert!(before.is_none_or(|before| before <= next.offset), "a commit goes back");
            }
        }
        if trouble == 5 {
            return self.commits.commit_lost(self.now);
        }
        let answers: Vec<_> = offsets.into_iter().map(|(partition, _)| (partition, code)).collect();
        self.commits.committed(&answers, self.now);
        if trouble == 6 && self.on_the_way.is_empty() {
            self.commits.committed(&answers, self.now);
        }
    }

    fn listen(&mut self, seen: &mut Seen) {
        while let Some((ticket, outcome)) = self.commits.outcome() {
            let offsets = self.calls.remove(&ticket).expect("one outcome a call");
            match outcome {
                Ok(()) => {
                    seen.stored += 1;
                    for (partition, offset) in offsets {
                        let stored = self.store.get(&partition);
                        assert!(stored.is_some_and(|stored| *stored >= offset), "stored");
                    }
                }
                Err(error) if error.kind() == CommitErrorKind::NotMember => seen.not_member += 1,
                Err(error) => {
                    assert_eq!(error.kind(), CommitErrorKind::Coordinator);
                    seen.late += 1;
                }
            }
        }
        while let Some((_, found)) = self.commits.found() {
            assert!(found.is_ok());
            seen.found += 1;
        }
    }
}

fn run(seed: u64, seen: &mut Seen) {
    let mut world = World::new(seed);
    for step in 0..200 {
        world.calm = step >= 150;
        let pause = if world.calm { 500 } else { world.dice.among(0..300) };
        world.now += Duration::from_millis(pause);
        if !world.calm {
            world.act();
        }
        world.take_asks();
        world.deliver();
        world.listen(seen);
    }
    assert!(world.calls.is_empty(), "each call has its outcome: {:?} {:?}", world.calls, world.commits);
}

#[test]
fn what_is_acknowledged_is_stored_and_no_commit_goes_back() {
    let mut seen = Seen::default();
    let ran = each_seed(0..20_000, |seed| run(seed, &mut seen));
    eprintln!("{seen:?}");
    let wide = seen.stored > 0 && seen.not_member > 0 && seen.late > 0 && seen.found > 0;
    assert!(ran == Ran::One || wide, "the seeds do not reach what they are for: {seen:?}");
}
