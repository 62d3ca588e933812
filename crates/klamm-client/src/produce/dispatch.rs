//! Which partitions of a broker are next: a ring, so that one with much to send does not keep the others waiting. And whether the
//! broker may be sent anything at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::{Settings, Slot};
use crate::backoff::Backoff;
use crate::random::mix;

/// The partitions of each broker that have something to send. A partition stands in one ring at most, once.
#[derive(Debug)]
pub(super) struct Dispatch {
    brokers: BTreeMap<i32, Broker>,
    /// By slot: in which broker's ring it stands.
    listed: Vec<Option<i32>>,
    backoff: Backoff,
    random: u64,
}

#[derive(Debug)]
struct Broker {
    ring: VecDeque<Slot>,
    in_flight: usize,
    link: Link,
    /// Nothing is sent and no connection opened before.
    not_before: Option<Instant>,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Opening,
    Up,
}

/// What a broker is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Connect(i32),
    Send(i32),
}

impl Broker {
    fn turn(&self, id: i32, max_in_flight: usize) -> Option<Turn> {
        match self.link {
            _ if self.ring.is_empty() => None,
            Link::Down => Some(Turn::Connect(id)),
            Link::Up if self.in_flight < max_in_flight => Some(Turn::Send(id)),
            Link::Up | Link::Opening => None,
        }
    }
}

impl Dispatch {
    pub(super) fn new(settings: &Settings, random: u64) -> Dispatch {
        let backoff = Backoff::new(settings.retry_backoff, settings.retry_backoff_max, random);
        Dispatch { brokers: BTreeMap::new(), listed: Vec::new(), backoff, random }
    }

    /// Lists a partition with its leader. One that is listed keeps its turn.
    pub(super) fn list(&mut self, slot: Slot, leader: i32) {
        if self.listed.len() <= slot.index() {
            self.listed.resize(slot.index() + 1, None);
        }
        let listed = &mut self.listed[slot.index()];
        if *listed == Some(leader) {
            return;
        }
        // In the ring of an old leader it is passed over when its turn comes.
        *listed = Some(leader);
        self.broker(leader).ring.push_back(slot);
    }

    /// A broker that has partitions in its ring and may get one more request, or is not connected.
    pub(super) fn turn(&self, max_in_flight: usize, now: Instant) -> Option<Turn> {
        let due = |broker: &Broker| broker.not_before.is_none_or(|at| at <= now);
        let mut turns = self
            .brokers
            .iter()
            .filter(|(_, broker)| due(broker))
            .filter_map(|(id, broker)| broker.turn(*id, max_in_flight));
        turns.next()
    }

    /// When a broker that waits for nothing but time has its turn.
    pub(super) fn wake_at(&self, max_in_flight: usize) -> Option<Instant> {
        let waiting = self.brokers.iter().filter(|(id, broker)| broker.turn(**id, max_in_flight).is_some());
        waiting.filter_map(|(_, broker)| broker.not_before).min()
    }

    /// Takes the partition whose turn it is out of the ring.
    pub(super) fn pop(&mut self, broker: i32) -> Option<Slot> {
        let ring = &mut self.brokers.get_mut(&broker)?.ring;
        while let Some(slot) = ring.pop_front() {
            let listed = &mut self.listed[slot.index()];
            if *listed == Some(broker) {
                *listed = None;
                return Some(slot);
            }
        }
        None
    }

    /// Puts a partition back whose batch did not fit: it is the first of the next request.
    pub(super) fn put_back(&mut self, broker: i32, slot: Slot) {
        self.listed[slot.index()] = Some(broker);
        self.broker(broker).ring.push_front(slot);
    }

    /// A request goes out.
    pub(super) fn sent(&mut self, broker: i32) {
        self.broker(broker).in_flight += 1;
    }

    /// A request came home.
    pub(super) fn landed(&mut self, broker: i32) {
        let broker = self.broker(broker);
        broker.in_flight = broker.in_flight.saturating_sub(1);
    }

    /// The shell was asked for a connection.
    pub(super) fn opening(&mut self, broker: i32) {
        self.broker(broker).link = Link::Opening;
    }

    /// There is a connection.
    pub(super) fn connected(&mut self, broker: i32) {
        let broker = self.broker(broker);
        (broker.link, broker.not_before) = (Link::Up, None);
        broker.backoff.reset();
    }

    /// There is none, or not any more. Gives the partitions that wait for it.
    pub(super) fn disconnected(&mut self, id: i32, now: Instant) -> Vec<Slot> {
        let broker = self.broker(id);
        broker.link = Link::Down;
        broker.not_before = Some(now + broker.backoff.next());
        let ring: Vec<Slot> = broker.ring.iter().copied().collect();
        ring.into_iter().filter(|slot| self.listed[slot.index()] == Some(id)).collect()
    }

    /// A quota of the broker asks for patience (KIP-219).
    pub(super) fn throttled(&mut self, broker: i32, until: Instant) {
        let broker = self.broker(broker);
        broker.not_before = broker.not_before.max(Some(until));
    }

    fn broker(&mut self, id: i32) -> &mut Broker {
        let (template, random) = (&self.backoff, &mut self.random);
        self.brokers.entry(id).or_insert_with(|| Broker {
            ring: VecDeque::new(),
            in_flight: 0,
            link: Link::Down,
            not_before: None,
            backoff: template.with_random(mix(random)),
        })
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self, broker: i32) -> usize {
        self.brokers.get(&broker).map_or(0, |broker| broker.in_flight)
    }
}
