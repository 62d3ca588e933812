//! All partitions of one producer: who may send what to which broker now, in pull form.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use klamm_kafka::ErrorCode;

use super::accumulate::Appetite;
use super::answer::{self, Answer, Failure};
use super::ask::{Ask, Part, Request, RequestId};
use super::dispatch::{Dispatch, Turn};
use super::ids::{Identified, Identity, Ids};
use super::open::{BatchId, Raw};
use super::partition::{Attempt, NotNow, Partition};
use super::{Outcome, Settings, Slot};
use crate::ProduceErrorKind;
use crate::random::mix;

/// What a partition costs in a produce request beside its batch and its topic's name, at most.
const PART_OVERHEAD_BYTES: usize = 64;

#[derive(Debug)]
struct Member {
    topic: Arc<str>,
    partition: i32,
    machine: Partition,
    timer: Option<Instant>,
    /// Metadata was asked for its sake; not again before this.
    metadata_after: Option<Instant>,
}

#[derive(Debug)]
struct Flight {
    broker: i32,
    parts: Vec<(Slot, Attempt)>,
}

/// The machine of a whole producer.
#[derive(Debug)]
pub(crate) struct Producer {
    settings: Settings,
    ids: Ids,
    dispatch: Dispatch,
    members: Vec<Member>,
    /// When each partition wants to be looked at; one entry each.
    timers: BTreeSet<(Instant, Slot)>,
    without_identity: BTreeSet<Slot>,
    without_leader: BTreeSet<Slot>,
    flights: BTreeMap<RequestId, Flight>,
    outcomes: Vec<Outcome>,
    hungry: BTreeSet<Slot>,
    fatal: Option<ProduceErrorKind>,
    next_request: u64,
    next_attempt: u64,
    random: u64,
}

impl Producer {
    /// `random` decides the jitter of retries.
    pub(crate) fn new(settings: Settings, mut random: u64) -> Producer {
        let ids = Ids::new(settings.retry_backoff, settings.retry_backoff_max, mix(&mut random));
        let dispatch = Dispatch::new(&settings, mix(&mut random));
        Producer {
            settings,
            ids,
            dispatch,
            members: Vec::new(),
            timers: BTreeSet::new(),
            without_identity: BTreeSet::new(),
            without_leader: BTreeSet::new(),
            flights: BTreeMap::new(),
            outcomes: Vec::new(),
            hungry: BTreeSet::new(),
            fatal: None,
            next_request: 0,
            next_attempt: 0,
            random,
        }
    }

    /// Adds a partition. It stays for as long as the producer does: its sequences must not begin anew.
    pub(crate) fn add(&mut self, topic: Arc<str>, partition: i32) -> Slot {
        let slot = Slot(u32::try_from(self.members.len()).unwrap_or(u32::MAX));
        let machine = Partition::new(slot, &self.settings, mix(&mut self.random));
        self.members.push(Member { topic, partition, machine, timer: None, metadata_after: None });
        slot
    }

    /// Topic and partition of a slot.
    pub(crate) fn name(&self, slot: Slot) -> (&Arc<str>, i32) {
        let member = &self.members[slot.index()];
        (&member.topic, member.partition)
    }

    /// A batch was sealed: it takes its place in the queue of its partition. Its bytes follow by [`Producer::compressed`].
    pub(crate) fn sealed(&mut self, slot: Slot, raw: &Raw, now: Instant) {
        self.members[slot.index()].machine.push(raw.id(), raw.records(), raw.created(), None);
        if let Some(kind) = self.fatal.clone() {
            self.fail(slot, &kind, &kind, now);
        }
        self.touch(slot, now);
    }

    /// The bytes of a sealed batch, or why there are none.
    pub(crate) fn compressed(
        &mut self,
        slot: Slot,
        batch: BatchId,
        bytes: Result<Bytes, String>,
        now: Instant,
    ) {
        let machine = &mut self.members[slot.index()].machine;
        match bytes {
            Ok(bytes) => {
                machine.compressed(batch, bytes);
            }
            Err(message) => machine.unreadable(batch, message, &mut self.outcomes),
        }
        self.touch(slot, now);
    }

    /// Who leads a partition; `None` if nobody does.
    pub(crate) fn set_leader(&mut self, slot: Slot, leader: Option<i32>, now: Instant) {
        self.members[slot.index()].machine.set_leader(leader);
        self.without_leader.remove(&slot);
        self.touch(slot, now);
    }

    /// Nobody is known to lead a partition; `why` explains a timeout if nothing else was heard.
    pub(crate) fn leaderless(&mut self, slot: Slot, why: &str, now: Instant) {
        let machine = &mut self.members[slot.index()].machine;
        machine.set_leader(None);
        machine.unreachable(why, now);
        self.without_leader.remove(&slot);
        self.touch(slot, now);
    }

    /// Who leads a partition, as far as is known.
    pub(crate) fn leader(&self, slot: Slot) -> Option<i32> {
        self.members[slot.index()].machine.leader()
    }

    /// The cluster says that a partition cannot be written to (deleted, no right): all that it has ends so.
    pub(crate) fn give_up(&mut self, slot: Slot, code: ErrorCode, now: Instant) {
        let (kind, clean) = (answer::refusal(code, None, true), answer::refusal(code, None, false));
        self.fail(slot, &kind, &clean, now);
    }

    /// The next thing to do; `None` until something happens or [`Producer::wake_at`].
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        self.run_timers(now);
        while let Some(turn) = self.dispatch.turn(self.settings.max_in_flight, now) {
            match turn {
                Turn::Connect(broker) => {
                    self.dispatch.opening(broker);
                    return Some(Ask::Connect(broker));
                }
                Turn::Send(broker) => {
                    if let Some(request) = self.request(broker, now) {
                        return Some(Ask::Send(request));
                    }
                }
            }
        }
        if self.ids.ask(now) {
            return Some(Ask::Identity);
        }
        if self.without_leader.is_empty() {
            return None;
        }
        let slots = std::mem::take(&mut self.without_leader);
        let topics: BTreeSet<_> = slots.iter().map(|slot| Arc::clone(self.name(*slot).0)).collect();
        Some(Ask::Metadata(topics.into_iter().collect()))
    }

    /// When to ask again if nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let broker = self.dispatch.wake_at(self.settings.max_in_flight);
        [timer, broker, self.ids.wake_at()].into_iter().flatten().min()
    }

    /// There is a connection to a broker.
    pub(crate) fn connected(&mut self, broker: i32) {
        self.dispatch.connected(broker);
    }

    /// A connection could not be opened, or is over. Requests that were on it fail by [`Producer::failed`], each.
    pub(crate) fn disconnected(&mut self, broker: i32, what: &str, now: Instant) {
        for slot in self.dispatch.disconnected(broker, now) {
            self.members[slot.index()].machine.unreachable(what, now);
            self.touch(slot, now);
        }
    }

    /// An answer said that a quota is used up (`throttle_time_ms`).
    pub(crate) fn throttled(&mut self, broker: i32, until: Instant) {
        self.dispatch.throttled(broker, until);
    }

    /// A request was answered. A partition that the answer does not name may have been appended.
    pub(crate) fn answered(&mut self, request: RequestId, answers: Vec<(Slot, Answer)>, now: Instant) {
        let mut answers: HashMap<Slot, Answer> = answers.into_iter().collect();
        let mut fatal = None;
        for (slot, attempt) in self.land(request) {
            let machine = &mut self.members[slot.index()].machine;
            match answers.remove(&slot) {
                Some(answer) => {
                    let kind = machine.answered(attempt, &answer, now, &self.settings, &mut self.outcomes);
                    fatal = fatal.or(kind);
                }
                None => {
                    let lost = Failure::Lost("the broker's answer does not name the partition".to_owned());
                    machine.failed(attempt, &lost, now);
                }
            }
            self.touch(slot, now);
        }
        if let Some(kind) = fatal {
            self.end(kind, now);
        }
    }

    /// Ends everything: what has no outcome yet gets this one, and so does what comes later.
    pub(crate) fn close(&mut self, now: Instant) {
        self.end(ProduceErrorKind::Closed, now);
    }

    fn end(&mut self, kind: ProduceErrorKind, now: Instant) {
        let kind = self.fatal.get_or_insert(kind).clone();
        for index in 0..self.members.len() {
            self.fail(Slot(u32::try_from(index).unwrap_or(u32::MAX)), &kind, &kind, now);
        }
    }

    /// A request ended without an answer.
    pub(crate) fn failed(&mut self, request: RequestId, failure: &Failure, now: Instant) {
        for (slot, attempt) in self.land(request) {
            self.members[slot.index()].machine.failed(attempt, failure, now);
            self.touch(slot, now);
        }
    }

    /// `InitProducerId` was answered.
    pub(crate) fn identified(&mut self, answer: Result<Identity, ErrorCode>, now: Instant) {
        let waiting = match self.ids.answered(answer, now) {
            Identified::Again => return,
            Identified::Known => std::mem::take(&mut self.without_identity),
            Identified::Refused(code) => {
                let waiting = std::mem::take(&mut self.without_identity);
                waiting.iter().for_each(|slot| self.give_up(*slot, code, now));
                waiting
            }
        };
        waiting.into_iter().for_each(|slot| self.touch(slot, now));
    }

    /// `InitProducerId` ended without an answer.
    pub(crate) fn unidentified(&mut self, what: &str, now: Instant) {
        self.ids.failed(what, now);
    }

    /// What came of batches since the last call.
    pub(crate) fn outcomes(&mut self) -> std::vec::Drain<'_, Outcome> {
        self.outcomes.drain(..)
    }

    /// Partitions that may have no batch waiting any more: for [`super::Accumulator::offer`].
    pub(crate) fn hungry(&mut self) -> BTreeSet<Slot> {
        std::mem::take(&mut self.hungry)
    }

    /// What a partition would do with a batch now.
    pub(crate) fn appetite(&self, slot: Slot) -> Appetite {
        self.members[slot.index()].machine.appetite()
    }

    /// Batches of a partition without an outcome: its load, for the partitioner.
    pub(crate) fn queue_len(&self, slot: Slot) -> usize {
        self.members[slot.index()].machine.len()
    }

    /// Why this producer cannot go on, if it cannot.
    #[cfg(test)]
    pub(crate) fn fatal(&self) -> Option<&ProduceErrorKind> {
        self.fatal.as_ref()
    }

    /// Bytes of all batches without an outcome, as encoded. A look at every partition: for metrics.
    #[cfg(test)]
    pub(crate) fn queued_bytes(&self) -> usize {
        self.members.iter().map(|member| member.machine.queued_bytes()).sum()
    }

    fn request(&mut self, broker: i32, now: Instant) -> Option<Request> {
        let mut parts = Vec::new();
        let mut attempts = Vec::new();
        let mut size = 0;
        while let Some(slot) = self.dispatch.pop(broker) {
            let member = &mut self.members[slot.index()];
            let due = member.machine.sendable(now, &self.settings);
            let Some(bytes) = due.filter(|_| member.machine.leader() == Some(broker)) else {
                self.touch(slot, now);
                continue;
            };
            size += bytes + member.topic.len() + PART_OVERHEAD_BYTES;
            if !parts.is_empty() && size > self.settings.max_request_bytes {
                self.dispatch.put_back(broker, slot);
                break;
            }
            let attempt = Attempt(self.next_attempt);
            match member.machine.take(attempt, now, &mut self.ids, &self.settings) {
                Ok((bytes, batch)) => {
                    self.next_attempt += 1;
                    parts.push(Part { slot, batch, bytes });
                    attempts.push((slot, attempt));
                }
                Err(NotNow::WithoutIdentity) => {
                    self.without_identity.insert(slot);
                }
                Err(NotNow::Later) => self.touch(slot, now),
            }
        }
        if parts.is_empty() {
            return None;
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.dispatch.sent(broker);
        attempts.iter().for_each(|(slot, _)| self.touch(*slot, now));
        self.flights.insert(id, Flight { broker, parts: attempts });
        Some(Request { id, broker, parts })
    }

    fn land(&mut self, request: RequestId) -> Vec<(Slot, Attempt)> {
        // A second end of a request changes nothing.
        let Some(flight) = self.flights.remove(&request) else { return Vec::new() };
        self.dispatch.landed(flight.broker);
        flight.parts
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some((_, slot)) = self.timers.first().filter(|(at, _)| *at <= now).copied() {
            let machine = &mut self.members[slot.index()].machine;
            machine.expire(now, &self.ids, &self.settings, &mut self.outcomes);
            self.touch(slot, now);
        }
    }

    fn fail(&mut self, slot: Slot, kind: &ProduceErrorKind, clean: &ProduceErrorKind, now: Instant) {
        let machine = &mut self.members[slot.index()].machine;
        machine.fail_all(kind, clean, &self.settings, &mut self.outcomes);
        self.touch(slot, now);
    }

    /// Looks at a partition after something happened to it: lists it, sets its timer. The one place that does.
    fn touch(&mut self, slot: Slot, now: Instant) {
        let member = &mut self.members[slot.index()];
        let machine = &member.machine;
        let mut wake_at = machine.wake_at(now, &self.settings);
        if machine.wants_metadata() {
            if member.metadata_after.is_none_or(|at| at <= now) {
                self.without_leader.insert(slot);
                member.metadata_after = Some(now + self.settings.retry_backoff);
            }
            wake_at = wake_at.into_iter().chain(member.metadata_after).min();
        }
        if member.timer != wake_at {
            member.timer.map(|at| self.timers.remove(&(at, slot)));
            wake_at.map(|at| self.timers.insert((at, slot)));
            member.timer = wake_at;
        }
        if machine.appetite() != Appetite::Fed {
            self.hungry.insert(slot);
        }
        let ready = machine.sendable(now, &self.settings).is_some();
        if let Some(leader) = machine.leader().filter(|_| ready) {
            self.dispatch.list(slot, leader);
        }
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, slot: Slot, sequence: i32) {
        self.members[slot.index()].machine.start_at(sequence);
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self, slot: Slot, broker: i32) -> (usize, usize) {
        (self.members[slot.index()].machine.in_flight(), self.dispatch.in_flight(broker))
    }
}
