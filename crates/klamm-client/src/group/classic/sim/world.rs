//! The network, the clock, the cluster and the applications of a seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;

use super::Dice;
use super::coordinator::{Answer, Caller, Coordinator, fault};
use super::seen::Seen;
use crate::group::assign::{Strategy, Topics};
use crate::group::classic::{Ask, Classic, What};
use crate::group::{Settings, Subscription, Told};
use crate::{ConsumeErrorKind, TopicPartition};

const BROKERS: u64 = 3;
/// How long an answer may take, but for that to a join.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A process: the machine and its application.
#[derive(Debug)]
struct Node {
    settings: Settings,
    strategies: Vec<Strategy>,
    machine: Classic,
    owned: BTreeSet<TopicPartition>,
    /// What it still works on, to give it up.
    draining: VecDeque<BTreeSet<TopicPartition>>,
    is_closing: bool,
}

#[derive(Debug)]
enum Way {
    Out,
    /// The coordinator has it.
    There,
    Home(Back),
}

#[derive(Debug, Clone)]
enum Back {
    Coordinator(Result<i32, Code>),
    Topics(Topics),
    Group(Answer),
}

#[derive(Debug)]
struct Flight {
    node: usize,
    ask: Ask,
    way: Way,
    until: Instant,
}

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    now: Instant,
    coordinator: Coordinator,
    topics: Topics,
    nodes: Vec<Option<Node>>,
    flights: BTreeMap<Caller, Flight>,
    /// Answers that come although nobody waits for them: a second time, or after the connection broke.
    stale: Vec<(Flight, Back)>,
    callers: Caller,
    faults: u64,
    chaos: bool,
    seen: Seen,
}

fn strategies(kind: u64, dice: &mut Dice) -> Vec<Strategy> {
    use Strategy::{CooperativeSticky, Range, RoundRobin, Sticky};
    match kind {
        0 => vec![Range],
        1 => vec![RoundRobin],
        2 => vec![Sticky],
        3 if dice.one_in(2) => vec![Sticky, Range],
        3 => vec![Range, Sticky],
        // On the way from an eager group to a cooperative one.
        4 if dice.one_in(2) => vec![CooperativeSticky, Range],
        _ => vec![CooperativeSticky],
    }
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let topics: Topics = (0..dice.among(1..4))
            .map(|at| (Arc::from(format!("t{at}")), vec![Vec::new(); dice.index(5)]))
            .collect();
        let faults = [0, 5, 20][dice.index(3)];
        let mut world = World {
            now: Instant::now(),
            coordinator: Coordinator::new(),
            topics,
            nodes: Vec::new(),
            flights: BTreeMap::new(),
            stale: Vec::new(),
            callers: 0,
            faults,
            chaos: true,
            seen: Seen::default(),
            dice,
        };
        let kind = world.dice.among(0..8);
        let alike = world.dice.one_in(2);
        for at in 0..world.dice.among(1..6) {
            let strategies = strategies(kind, &mut world.dice);
            let wanted = |dice: &mut Dice| alike || !dice.one_in(3);
            let all: Vec<String> = world.topics.keys().map(ToString::to_string).collect();
            let mut topics: Vec<String> = all.iter().filter(|_| wanted(&mut world.dice)).cloned().collect();
            if topics.is_empty() {
                topics = all;
            }
            let settings = Settings {
                group: "g".into(),
                instance_id: world.dice.one_in(3).then(|| format!("i{at}")),
                subscription: Subscription::Topics(topics),
                rack: world.dice.one_in(4).then(|| "r".into()),
                session_timeout: Duration::from_secs(6),
                heartbeat_interval: Duration::from_secs(2),
                max_poll_interval: Duration::from_secs(world.dice.among(4..15)),
                revoke_budget: Duration::from_millis(world.dice.among(100..5_000)),
            };
            world.start(None, settings, strategies);
        }
        world
    }

    pub(super) fn run(mut self) -> Seen {
        for _ in 0..self.dice.among(60..300) {
            self.step();
            self.settle();
        }
        self.calm();
        self.seen.generations = self.coordinator.generations;
        self.seen.expelled = self.coordinator.expelled;
        self.seen.skipped = self.coordinator.skipped;
        self.seen
    }

    fn start(&mut self, place: Option<usize>, settings: Settings, strategies: Vec<Strategy>) {
        let random = self.dice.among(0..u64::MAX);
        let machine = Classic::new(settings.clone(), strategies.clone(), random, self.now);
        let (owned, draining) = (BTreeSet::new(), VecDeque::new());
        let node = Some(Node { settings, strategies, machine, owned, draining, is_closing: false });
        match place {
            Some(at) => self.nodes[at] = node,
            None => self.nodes.push(node),
        }
    }

    /// One event.
    fn step(&mut self) {
        let at = self.dice.index(self.nodes.len());
        match self.dice.among(0..66) {
            0..=34 => self.deliver(),
            35..=42 => self.pass_time(),
            43..=45 => self.drain(at),
            46..=55 => self.poll(at),
            56 | 57 => self.break_link(at),
            58 if self.dice.one_in(3) => self.crash(at),
            58 => self.close(at),
            59 if self.dice.one_in(6) => self.coordinator.forget(self.now),
            59 => self.coordinator.move_to(self.dice.among(0..BROKERS) as i32, self.now),
            60 if self.dice.one_in(3) => self.grow(),
            60 => self.intrude(at),
            61..=64 => self.deliver_stale(),
            _ => (0..self.nodes.len()).for_each(|at| self.poll(at)),
        }
    }

    /// Nothing breaks any more; it must come to rest.
    fn calm(&mut self) {
        (self.chaos, self.faults) = (false, 0);
        while !self.stale.is_empty() {
            self.deliver_stale();
            self.settle();
        }
        let gone: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].is_none()).collect();
        assert!(gone.is_empty(), "who is gone is started anew");
        let (mut quiet_from, mut skipped, mut steps) = (None, 0, 0);
        loop {
            steps += 1;
            assert!(steps < 20_000, "it never comes to rest: {:?}", self.nodes);
            if self.coordinator.skipped > skipped {
                // A leader that came back and was told to skip the assignment takes what it sees for what was assigned, as in Java:
                // partitions that were added while it was away wait for the next rebalance.
                skipped = self.coordinator.skipped;
                self.coordinator.rebalance(self.now);
                self.collect();
            }
            (0..self.nodes.len()).for_each(|at| {
                self.poll(at);
                self.drain(at);
            });
            self.settle();
            if self.flights.values().any(|flight| !matches!(flight.way, Way::There)) {
                self.deliver();
                self.settle();
                continue;
            }
            if self.is_at_rest() {
                let from = *quiet_from.get_or_insert(self.now);
                if self.now - from > Duration::from_secs(20) {
                    return;
                }
            } else {
                quiet_from = None;
            }
            let wakes = self.nodes.iter().flatten().filter_map(|node| node.machine.wake_at());
            let next =
                wakes.chain(self.coordinator.next_deadline()).chain(self.flights.values().map(|f| f.until));
            let next = next.min().expect("somebody waits for something");
            assert!(next > self.now, "the world waits for nothing: {:?}", self.coordinator);
            self.move_clock(next);
        }
    }

    fn is_at_rest(&self) -> bool {
        let mut owners: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
        for partition in self.nodes.iter().flatten().flat_map(|node| &node.owned) {
            *owners.entry(partition).or_default() += 1;
        }
        let wants = |topic: &str| {
            self.nodes.iter().flatten().any(|node| match &node.settings.subscription {
                Subscription::Topics(topics) => topics.iter().any(|wanted| wanted == topic),
                Subscription::Regex(_) => false,
            })
        };
        let wanted = self.topics.iter().filter(|(topic, _)| wants(topic));
        let count: usize = wanted.map(|(_, partitions)| partitions.len()).sum();
        let joined =
            |node: &Node| node.machine.membership().is_some_and(|m| self.coordinator.is_in(&m.member_id));
        owners.len() == count
            && owners.values().all(|owners| *owners == 1)
            && self.nodes.iter().flatten().all(joined)
    }

    fn deliver(&mut self) {
        let ready = self.flights.iter().filter(|(_, flight)| !matches!(flight.way, Way::There));
        let ready: Vec<Caller> = ready.map(|(caller, _)| *caller).collect();
        if ready.is_empty() {
            return;
        }
        let caller = ready[self.dice.index(ready.len())];
        let flight = self.flights.get_mut(&caller).expect("it was just there");
        match std::mem::replace(&mut flight.way, Way::There) {
            Way::Out => self.arrive(caller),
            Way::Home(back) => {
                let flight = self.flights.remove(&caller).expect("it was just there");
                self.answer(&flight, back.clone());
                if self.chaos && self.dice.one_in(8) {
                    self.stale.push((flight, back));
                }
            }
            Way::There => {}
        }
    }

    fn arrive(&mut self, caller: Caller) {
        let Some(flight) = self.flights.get_mut(&caller) else { return };
        let what = flight.ask.what.clone();
        let faulty = fault(&mut self.dice, self.faults);
        match what {
            What::Coordinator if faulty => {
                let error = [Code::COORDINATOR_NOT_AVAILABLE, Code::GROUP_AUTHORIZATION_FAILED];
                flight.way = Way::Home(Back::Coordinator(Err(error[self.dice.index(2)])));
            }
            What::Coordinator => {
                flight.way = Way::Home(Back::Coordinator(Ok(self.coordinator.broker)));
            }
            What::Topics(wanted) => {
                let known = wanted.into_iter().filter_map(|topic| self.topics.get_key_value(&topic));
                let known = known.map(|(topic, partitions)| (Arc::clone(topic), partitions.clone()));
                flight.way = Way::Home(Back::Topics(known.collect()));
            }
            what => {
                let Some(node) = &self.nodes[flight.node] else { return };
                self.coordinator.handle(caller, &what, &node.settings, self.now, faulty);
                self.collect();
            }
        }
    }

    /// Answers of the coordinator are on their way, if somebody still waits for them.
    fn collect(&mut self) {
        for (caller, answer) in std::mem::take(&mut self.coordinator.out) {
            if let Some(flight) = self.flights.get_mut(&caller) {
                flight.way = Way::Home(Back::Group(answer));
            }
        }
    }

    fn deliver_stale(&mut self) {
        if !self.stale.is_empty() {
            let at = self.dice.index(self.stale.len());
            let (flight, back) = self.stale.swap_remove(at);
            self.seen.doubled += 1;
            self.answer(&flight, back);
        }
    }

    fn answer(&mut self, flight: &Flight, back: Back) {
        let Some(node) = &mut self.nodes[flight.node] else { return };
        let (machine, id, now) = (&mut node.machine, flight.ask.id, self.now);
        match back {
            Back::Coordinator(found) => machine.found(id, found, now),
            Back::Topics(topics) => machine.topics(id, topics, now),
            Back::Group(Answer::Join(answer)) => machine.joined(id, answer, now),
            Back::Group(Answer::Sync(answer)) => machine.synced(id, answer, now),
            Back::Group(Answer::Heartbeat(answer)) => machine.alive(id, answer, now),
            Back::Group(Answer::Leave) => machine.left(id),
        }
    }

    fn pass_time(&mut self) {
        let wakes = self.nodes.iter().flatten().filter_map(|node| node.machine.wake_at()).min();
        let to = match self.dice.among(0..6) {
            0 => self.now + Duration::from_millis(self.dice.among(1..20_000)),
            1 => self.now + Duration::from_millis(self.dice.among(1..3_000)),
            2 | 3 => wakes.unwrap_or(self.now).max(self.now),
            _ => self.now + Duration::from_millis(self.dice.among(1..300)),
        };
        self.move_clock(to);
    }

    fn move_clock(&mut self, to: Instant) {
        self.now = to;
        self.coordinator.pass(to);
        self.collect();
        let late = self.flights.iter().filter(|(_, flight)| flight.until <= to);
        let late: Vec<Caller> = late.map(|(caller, _)| *caller).collect();
        late.into_iter().for_each(|caller| self.lose(caller));
    }

    /// A request has no answer; it may have arrived.
    fn lose(&mut self, caller: Caller) {
        if self.flights.get(&caller).is_some_and(|flight| matches!(flight.way, Way::Out))
            && self.dice.one_in(2)
        {
            self.arrive(caller);
        }
        let Some(mut flight) = self.flights.remove(&caller) else { return };
        if let Some(node) = &mut self.nodes[flight.node] {
            node.machine.failed(flight.ask.id, self.now);
        }
        if let Way::Home(back) = std::mem::replace(&mut flight.way, Way::There)
            && self.dice.one_in(2)
        {
            self.stale.push((flight, back));
        }
    }

    fn break_link(&mut self, at: usize) {
        let under_way = self.flights.iter().filter(|(_, flight)| flight.node == at);
        let under_way: Vec<Caller> = under_way.map(|(caller, _)| *caller).collect();
        self.seen.broken += under_way.len() as u64;
        under_way.into_iter().for_each(|caller| self.lose(caller));
    }

    /// The process dies, and another begins in its place.
    fn crash(&mut self, at: usize) {
        self.break_link(at);
        self.seen.crashed += 1;
        let node = self.nodes[at].take().expect("there is always one");
        self.stale.retain(|(flight, _)| flight.node != at);
        self.start(Some(at), node.settings, node.strategies);
    }

    fn close(&mut self, at: usize) {
        let node = self.nodes[at].as_mut().expect("there is always one");
        node.is_closing = true;
        node.machine.close(self.now);
    }

    fn grow(&mut self) {
        let at = self.dice.index(self.topics.len());
        if let Some(partitions) = self.topics.values_mut().nth(at) {
            partitions.push(Vec::new());
            self.seen.grown += 1;
        }
    }

    fn intrude(&mut self, at: usize) {
        let instance = self.nodes[at].as_ref().and_then(|node| node.settings.instance_id.clone());
        if let Some(instance) = instance {
            self.coordinator.intrude(&instance, self.now);
            self.collect();
        }
    }

    /// The application ends its work on what it was asked to give up.
    fn drain(&mut self, at: usize) {
        let node = self.nodes[at].as_mut().expect("there is always one");
        if let Some(drained) = node.draining.pop_front() {
            node.machine.revoked(self.now);
            self.seen.revoked += drained.len() as u64;
            node.owned.retain(|partition| !drained.contains(partition));
        }
    }

    fn poll(&mut self, at: usize) {
        self.nodes[at].as_mut().expect("there is always one").machine.polled(self.now);
    }

    /// What the shells do after each event.
    fn settle(&mut self) {
        for at in 0..self.nodes.len() {
            let mut asks = 0;
            while let Some(ask) = self.nodes[at].as_mut().and_then(|node| node.machine.ask(self.now)) {
                asks += 1;
                assert!(asks < 20, "it asks without end");
                self.callers += 1;
                let until = match &ask.what {
                    What::Join { timeout, .. } => self.now + *timeout,
                    _ => self.now + TIMEOUT,
                };
                self.flights.insert(self.callers, Flight { node: at, ask, way: Way::Out, until });
            }
            self.listen(at);
            let node = self.nodes[at].as_ref().expect("there is always one");
            let wake = node.machine.wake_at();
            assert!(wake.is_none_or(|wake| wake > self.now), "it is woken for nothing: {:?}", node.machine);
            let member = node.machine.membership();
            assert!(member.is_none_or(|member| !member.member_id.is_empty()), "a member without an id");
            assert!(node.machine.membership().is_some() || node.owned.is_empty(), "it owns and is no member");
            if node.machine.is_ended() {
                assert!(node.owned.is_empty() && node.machine.membership().is_none());
                self.seen.closed += u64::from(node.is_closing);
                let node = self.nodes[at].take().expect("it was just there");
                self.flights.retain(|_, flight| flight.node != at);
                self.stale.retain(|(flight, _)| flight.node != at);
                self.start(Some(at), node.settings, node.strategies);
            }
        }
        self.compare();
    }

    /// No two that are in one generation have the same. A static member may have missed one, and not know it yet.
    fn compare(&self) {
        let mut owners: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(node) = node.as_ref().filter(|node| node.settings.instance_id.is_none()) else {
                continue;
            };
            let member = node.machine.membership();
            if member.is_none_or(|member| !self.coordinator.is_current(&member.member_id, member.epoch)) {
                continue;
            }
            for partition in &node.owned {
                let other = owners.insert(partition, at);
                assert_eq!(other, None, "{partition} is of {at} as well: {:?}", self.nodes);
            }
        }
    }

    /// What the application is told.
    fn listen(&mut self, at: usize) {
        let node = self.nodes[at].as_mut().expect("there is always one");
        for told in node.machine.told() {
            match told {
                Told::Assigned(partitions) => {
                    self.seen.assigned += partitions.len() as u64;
                    for partition in partitions {
                        self.judge(at, &partition);
                        let node = self.nodes[at].as_mut().expect("there is always one");
                        assert!(node.owned.insert(partition), "it has that already");
                    }
                }
                Told::Revoking(partitions) => {
                    let node = self.nodes[at].as_mut().expect("there is always one");
                    let asked = |partition| node.draining.iter().any(|set| set.contains(partition));
                    assert!(!partitions.iter().any(asked), "it was asked for that already");
                    let partitions: BTreeSet<_> = partitions.into_iter().collect();
                    assert!(node.owned.is_superset(&partitions), "{partitions:?} are not its own");
                    node.draining.push_back(partitions);
                }
                Told::Lost(partitions) => {
                    let node = self.nodes[at].as_mut().expect("there is always one");
                    let drained =
                        |set: &BTreeSet<_>| partitions.iter().any(|partition| set.contains(partition));
                    let before = node.draining.len();
                    node.draining.retain(|set| !drained(set));
                    let drained = before - node.draining.len();
                    self.seen.lost += partitions.len() as u64;
                    self.seen.overdue += u64::from(node.machine.membership().is_some() && drained > 0);
                    for partition in partitions {
                        assert!(node.owned.remove(&partition), "{partition} is not its own");
                    }
                }
                Told::Error(error) => match error.kind() {
                    ConsumeErrorKind::Fatal => self.seen.fenced += 1,
                    ConsumeErrorKind::LeftBehind => self.seen.left_behind += 1,
                    ConsumeErrorKind::Denied | ConsumeErrorKind::Other => self.seen.refused += 1,
                    kind => unreachable!("{kind:?}: {error}"),
                },
            }
        }
    }

    /// No other that is in the same generation may have it. Who is not in it does not know yet that it has nothing.
    fn judge(&self, at: usize, partition: &TopicPartition) {
        let is_in = |node: &Node| {
            node.machine.membership().is_some_and(|member| self.coordinator.is_in(&member.member_id))
        };
        if !self.nodes[at].as_ref().is_some_and(is_in) {
            return;
        }
        for (other, node) in self.nodes.iter().enumerate() {
            let Some(node) = node.as_ref().filter(|_| other != at) else { continue };
            assert!(
                !(node.owned.contains(partition) && is_in(node)),
                "{partition} is of {other} and is given to {at}: {:?}",
                self.nodes
            );
        }
    }
}
