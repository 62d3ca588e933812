//! Which partitions of a broker are next: a ring, so that one with much to send does not keep the others waiting.

use std::collections::{BTreeMap, VecDeque};

use super::Slot;

/// The partitions of each broker that have something to send. A partition stands in one ring at most, once.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    brokers: BTreeMap<i32, Broker>,
    /// By slot: in which broker's ring it stands.
    listed: Vec<Option<i32>>,
}

#[derive(Debug, Default)]
struct Broker {
    ring: VecDeque<Slot>,
    in_flight: usize,
}

impl Dispatch {
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
        self.brokers.entry(leader).or_default().ring.push_back(slot);
    }

    /// A broker that may get one more request and has partitions in its ring.
    pub(super) fn runnable(&self, max_in_flight: usize) -> Option<i32> {
        let may = |broker: &Broker| broker.in_flight < max_in_flight && !broker.ring.is_empty();
        self.brokers.iter().find(|(_, broker)| may(broker)).map(|(id, _)| *id)
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
        self.brokers.entry(broker).or_default().ring.push_front(slot);
    }

    /// A request goes out.
    pub(super) fn sent(&mut self, broker: i32) {
        self.brokers.entry(broker).or_default().in_flight += 1;
    }

    /// A request came home.
    pub(super) fn landed(&mut self, broker: i32) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
        }
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self, broker: i32) -> usize {
        self.brokers.get(&broker).map_or(0, |broker| broker.in_flight)
    }
}
