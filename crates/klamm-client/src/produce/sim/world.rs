//! The network, the clock and the application of a seed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;
use klamm_wire::Effect;
use klamm_wire::batch::Compression;

use super::Dice;
use super::broker::{Log, Temper};
use crate::packed::Packed;
use crate::produce::open::Raw;
use crate::produce::{
    Accumulator, Answer, Ask, BatchId, Failure, Identity, Outcome, Producer, Request, RequestId, Settings,
    Slot,
};
use crate::{ProduceError, ProduceErrorKind};

const BROKERS: u64 = 3;
/// Records that the application has under way at most: its memory.
const BUDGET_RECORDS: usize = 40;
/// Each in a batch of its own, at most.
const BUDGET_BYTES: usize = (BUDGET_RECORDS + 4) * 110;

/// What happened in a run, to see that the seeds reach it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    stored: u64,
    stored_somewhere: u64,
    refused: u64,
    unknown: u64,
    unknown_and_stored: u64,
    epochs: u64,
    new_ids: u64,
    late_requests: u64,
    splits: u64,
    forgotten: u64,
}

impl Seen {
    pub(super) fn add(&mut self, run: &Seen) {
        self.stored += run.stored;
        self.stored_somewhere += run.stored_somewhere;
        self.refused += run.refused;
        self.unknown += run.unknown;
        self.unknown_and_stored += run.unknown_and_stored;
        self.epochs += run.epochs;
        self.new_ids += run.new_ids;
        self.late_requests += run.late_requests;
        self.splits += run.splits;
        self.forgotten += run.forgotten;
    }

    pub(super) fn is_wide(&self) -> bool {
        let rare =
            [self.stored_somewhere, self.unknown_and_stored, self.new_ids, self.splits, self.forgotten];
        rare.iter().all(|count| *count > 100) && self.epochs > 10_000 && self.late_requests > 1_000
    }
}

/// One connection: requests on their way, and answers on their way back.
#[derive(Debug, Default)]
struct Link {
    outward: VecDeque<Request>,
    /// Requests that the broker has, with its answers.
    homeward: VecDeque<(RequestId, Vec<(Slot, Answer)>)>,
}

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    now: Instant,
    producer: Producer,
    accumulator: Accumulator,
    settings: Settings,
    logs: Vec<Log>,
    links: BTreeMap<i32, Link>,
    /// What is left in the sockets of connections that are over, in order.
    late: Vec<VecDeque<Request>>,
    compressing: Vec<(Slot, Raw)>,
    identity_asked: bool,
    metadata_asked: bool,
    /// Slot and record of each batch that has no outcome, by index.
    batches: BTreeMap<BatchId, (Slot, BTreeMap<u32, u64>)>,
    outcomes: BTreeMap<u64, Result<(), Effect>>,
    slot_of: Vec<Slot>,
    next_id: i64,
    stamps: BTreeMap<(Slot, i64), i16>,
    packed: Packed,
    chaos: bool,
    strict: bool,
    seen: Seen,
}

impl World {
    pub(super) fn new(seed: u64, idempotent: bool) -> World {
        let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let settings = Settings {
            idempotent,
            max_in_flight: dice.among(1..6) as usize,
            delivery_timeout: Duration::from_millis(dice.among(300..6_000)),
            max_request_bytes: 400,
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(200),
        };
        let temper = Temper {
            faults: [0, 3, 6, 20][dice.among(0..4) as usize],
            strict: dice.one_in(3),
            idempotent,
            max_message_bytes: if dice.one_in(3) { dice.among(90..200) as usize } else { 10_000 },
        };
        let mut producer = Producer::new(settings.clone(), dice.among(0..u64::MAX));
        let partitions = dice.among(1..4);
        let slots: Vec<Slot> =
            (0..partitions).map(|partition| producer.add("t".into(), partition as i32)).collect();
        if dice.one_in(4) {
            slots.iter().for_each(|slot| producer.start_at(*slot, i32::MAX - 4));
        }
        let logs = slots.iter().map(|_| Log::new(dice.among(0..BROKERS) as i32, temper)).collect();
        let compression = if dice.one_in(8) { Compression::Lz4 } else { Compression::None };
        let linger = Duration::from_millis(dice.among(0..30));
        World {
            accumulator: Accumulator::new(compression, dice.among(70..180) as usize, 400, linger, 1 << 16),
            dice,
            now: Instant::now(),
            producer,
            settings,
            logs,
            links: BTreeMap::new(),
            late: Vec::new(),
            compressing: Vec::new(),
            identity_asked: false,
            metadata_asked: false,
            batches: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            slot_of: Vec::new(),
            next_id: 0,
            stamps: BTreeMap::new(),
            packed: Packed::default(),
            chaos: true,
            strict: temper.strict,
            seen: Seen::default(),
        }
    }

    pub(super) fn run(mut self) -> Seen {
        for _ in 0..self.dice.among(60..400) {
            self.step();
            self.settle();
        }
        self.chaos = false;
        self.accumulator.seal_all();
        let mut steps = 0;
        self.settle();
        self.logs.iter_mut().for_each(Log::calm);
        while !self.batches.is_empty() {
            steps += 1;
            assert!(steps < 5_000, "it never gets quiet: {:?}", self.producer);
            self.step();
            self.settle();
        }
        // What is still in old sockets comes at last.
        while let Some(mut requests) = self.late.pop() {
            requests.drain(..).for_each(|request| self.arrive(&request).clear());
        }
        self.judge();
        self.seen
    }

    /// One event.
    fn step(&mut self) {
        match self.dice.among(0..if self.chaos { 60 } else { 36 }) {
            0..=11 => self.deliver_request(),
            12..=23 => self.deliver_answer(),
            24..=27 => self.answer_identity(),
            28..=31 => self.answer_metadata(),
            32..=35 => self.pass_time(),
            36..=51 => self.append(),
            52 | 53 => self.break_link(),
            54..=57 => self.deliver_late(),
            58 => self.change(),
            _ => self.forget(),
        }
    }

    fn append(&mut self) {
        if self.batches.values().map(|(_, records)| records.len()).sum::<usize>() >= BUDGET_RECORDS {
            return;
        }
        let slot = Slot(self.dice.among(0..self.logs.len() as u64) as u32);
        for _ in 0..self.dice.among(1..5) {
            let record = self.slot_of.len() as u64;
            let mut value = record.to_be_bytes().to_vec();
            value.resize(8 + self.dice.among(0..24) as usize, 0);
            self.packed.clear();
            self.packed.push(0, Some(7), None, Some(&value));
            let view = self.packed.get(0).expect("it was pushed");
            let place = self.accumulator.append(slot, &view, 7, self.now).expect("it is small");
            self.slot_of.push(slot);
            let (_, records) = self.batches.entry(place.batch).or_insert((slot, BTreeMap::new()));
            assert!(records.insert(place.index, record).is_none(), "two records at one place");
        }
        if self.dice.one_in(2) {
            self.accumulator.offer(slot, self.producer.appetite(slot));
        }
    }

    /// What the shell does after each event.
    fn settle(&mut self) {
        for slot in self.producer.hungry() {
            self.accumulator.offer(slot, self.producer.appetite(slot));
        }
        self.accumulator.seal_due(self.now, |slot| self.producer.appetite(slot));
        while let Some((slot, raw)) = self.accumulator.take_sealed() {
            self.producer.sealed(slot, &raw, self.now);
            self.compressing.push((slot, raw));
        }
        // Some are compressed on another thread, and not in order.
        while !self.compressing.is_empty() {
            if self.chaos && self.dice.one_in(4) {
                break;
            }
            let at = self.dice.among(0..self.compressing.len() as u64) as usize;
            let (slot, raw) = self.compressing.swap_remove(at);
            let (id, output) = (raw.id(), self.accumulator.pool().take());
            let (bytes, spare) = raw.encode(output).expect("it compresses");
            spare.into_iter().for_each(|buffer| self.accumulator.pool().give(buffer));
            self.producer.compressed(slot, id, Ok(bytes), self.now);
        }
        while let Some(ask) = self.producer.ask(self.now) {
            match ask {
                Ask::Connect(broker) if self.chaos && self.dice.one_in(5) => {
                    self.producer.disconnected(broker, "connection refused", self.now);
                }
                Ask::Connect(broker) => self.producer.connected(broker),
                Ask::Send(request) => self.send(request),
                Ask::Identity => {
                    assert!(!self.identity_asked, "two questions for an id at once");
                    self.identity_asked = true;
                }
                Ask::Metadata(topics) => {
                    assert_eq!(topics.len(), 1);
                    self.metadata_asked = true;
                }
            }
        }
        let wake = self.producer.wake_at();
        assert!(wake.is_none_or(|wake| wake > self.now), "it is woken for nothing: {:?}", self.producer);
        let outcomes: Vec<Outcome> = self.producer.outcomes().collect();
        outcomes.into_iter().for_each(|outcome| self.resolve(outcome));
        assert!(self.producer.fatal().is_none(), "{:?}", self.producer.fatal());
        assert!(self.producer.queued_bytes() <= BUDGET_BYTES, "{} bytes", self.producer.queued_bytes());
    }

    fn send(&mut self, request: Request) {
        for part in &request.parts {
            let (in_flight, requests) = self.producer.in_flight(part.slot, request.broker);
            assert!(in_flight <= self.settings.max_in_flight && requests <= self.settings.max_in_flight);
            let view = klamm_wire::batch::BatchView::parse_single(&part.bytes).expect("it is a batch");
            let Some(stamp) = view.producer() else { continue };
            let epoch = self.stamps.entry((part.slot, stamp.id)).or_insert(stamp.epoch);
            assert!(stamp.epoch >= *epoch, "an epoch goes back");
            self.seen.epochs += u64::from(stamp.epoch > *epoch);
            *epoch = stamp.epoch;
        }
        let bytes: usize = request.parts.iter().map(|part| part.bytes.len()).sum();
        assert!(bytes <= self.settings.max_request_bytes || request.parts.len() == 1);
        if self.chaos && self.dice.one_in(20) {
            let failure = Failure::NotSent("connection refused".to_owned());
            return self.producer.failed(request.id, &failure, self.now);
        }
        self.links.entry(request.broker).or_default().outward.push_back(request);
    }

    fn any_link(&mut self) -> Option<i32> {
        let busy = |link: &Link| !link.outward.is_empty() || !link.homeward.is_empty();
        let busy: Vec<i32> = self.links.iter().filter(|(_, link)| busy(link)).map(|(id, _)| *id).collect();
        let at = self.dice.among(0..busy.len() as u64) as usize;
        busy.get(at).copied()
    }

    /// Nothing is on its way.
    fn is_quiet(&mut self) -> bool {
        !self.chaos && self.any_link().is_none() && !self.identity_asked && !self.metadata_asked
    }

    fn deliver_request(&mut self) {
        let Some(broker) = self.any_link() else { return };
        let Some(request) = self.links.get_mut(&broker).and_then(|link| link.outward.pop_front()) else {
            return;
        };
        let answers = self.arrive(&request);
        self.links.entry(broker).or_default().homeward.push_back((request.id, answers));
    }

    fn arrive(&mut self, request: &Request) -> Vec<(Slot, Answer)> {
        let answer = |part: &crate::produce::Part| {
            let log = &mut self.logs[part.slot.index()];
            let answer = log.produce(request.broker, &part.bytes, &mut self.dice);
            self.seen.splits += u64::from(answer.code == Code::MESSAGE_TOO_LARGE);
            (part.slot, answer)
        };
        request.parts.iter().map(answer).collect()
    }

    fn deliver_answer(&mut self) {
        let Some(broker) = self.any_link() else { return };
        let Some((id, mut answers)) = self.links.get_mut(&broker).and_then(|link| link.homeward.pop_front())
        else {
            return;
        };
        if self.chaos && self.dice.one_in(40) {
            answers.pop();
        }
        self.producer.answered(id, answers.clone(), self.now);
        if self.dice.one_in(10) {
            self.producer.answered(id, answers, self.now);
        }
    }

    fn break_link(&mut self) {
        let Some(broker) = self.any_link() else { return };
        let Some(link) = self.links.remove(&broker) else { return };
        let lost = Failure::Lost("connection reset".to_owned());
        link.homeward.iter().for_each(|(id, _)| self.producer.failed(*id, &lost, self.now));
        link.outward.iter().for_each(|request| self.producer.failed(request.id, &lost, self.now));
        self.producer.disconnected(broker, "connection reset", self.now);
        if self.dice.one_in(2) {
            self.late.push(link.outward);
        }
    }

    fn deliver_late(&mut self) {
        let at = self.dice.among(0..self.late.len() as u64) as usize;
        let Some(request) = self.late.get_mut(at).and_then(VecDeque::pop_front) else { return };
        self.seen.late_requests += 1;
        self.arrive(&request);
    }

    fn answer_identity(&mut self) {
        if !std::mem::take(&mut self.identity_asked) {
            return;
        }
        match self.dice.among(0..if self.chaos { 6 } else { 1 }) {
            4 => self.producer.identified(Err(Code::COORDINATOR_LOAD_IN_PROGRESS), self.now),
            5 => self.producer.unidentified("connection reset", self.now),
            _ => {
                self.next_id += 1;
                self.seen.new_ids += u64::from(self.next_id > 1);
                // Some begin where a fresh id is wanted soon.
                let epoch = if self.dice.one_in(3) { i16::MAX - 1_000 } else { 0 };
                self.producer.identified(Ok(Identity { id: self.next_id, epoch }), self.now);
            }
        }
    }

    fn answer_metadata(&mut self) {
        if !std::mem::take(&mut self.metadata_asked) {
            return;
        }
        for index in 0..self.logs.len() {
            let stale = self.chaos && self.dice.one_in(8);
            let leader = if stale { self.dice.among(0..BROKERS) as i32 } else { self.logs[index].leader };
            let leader = Some(leader).filter(|_| !(self.chaos && self.dice.one_in(8)));
            self.producer.set_leader(Slot(index as u32), leader, self.now);
        }
    }

    fn pass_time(&mut self) {
        let far = self.producer.wake_at().into_iter().chain(self.accumulator.wake_at()).min();
        match self.dice.among(0..4) {
            0 if self.is_quiet() || (self.chaos && self.dice.one_in(4)) => {
                self.now = far.map_or(self.now, |at| at.max(self.now))
            }
            1 if self.chaos && self.dice.one_in(4) => self.now += self.settings.delivery_timeout / 2,
            _ => self.now += Duration::from_millis(self.dice.among(1..40)),
        }
    }

    /// What people do: leaders are moved, limits changed, metadata grows old.
    fn change(&mut self) {
        let index = self.dice.among(0..self.logs.len() as u64) as usize;
        let leader = self.dice.among(0..BROKERS) as i32;
        match self.dice.among(0..8) {
            0 => self.metadata_asked = true,
            1 => self.logs[index].limit(self.dice.among(90..300) as usize),
            _ => self.logs[index].elect(leader, &mut self.dice),
        }
    }

    fn forget(&mut self) {
        let index = self.dice.among(0..self.logs.len() as u64) as usize;
        if !self.dice.one_in(4) {
            return;
        }
        // A broker that takes any sequence forgets a producer only when it has long been idle.
        if !self.strict || !self.settings.idempotent {
            if !self.batches.is_empty() || self.any_link().is_some() {
                return;
            }
            self.now += Duration::from_secs(86_400);
        }
        // Against a request that is older than what the broker forgot no client can do anything.
        self.late.clear();
        self.seen.forgotten += u64::from(self.logs[index].forget());
    }

    fn resolve(&mut self, outcome: Outcome) {
        let Outcome { slot, batch, records, result, bytes } = outcome;
        bytes.into_iter().for_each(|bytes| self.accumulator.pool().reclaim(bytes));
        let (of, waiting) = self.batches.get_mut(&batch).expect("a batch has one outcome");
        assert_eq!(*of, slot);
        let named: Vec<(u32, u64)> = records
            .clone()
            .map(|index| (index, waiting.remove(&index).expect("a record has one outcome")))
            .collect();
        if waiting.is_empty() {
            self.batches.remove(&batch);
        }
        for (index, record) in named {
            let told = match &result {
                Ok(stored) => {
                    self.check_stored(slot, record, stored.offset(&records, index));
                    Ok(())
                }
                Err(kind) => Err(effect(kind, &records)),
            };
            assert!(self.outcomes.insert(record, told).is_none());
        }
    }

    /// No receipt before the broker has it for good.
    fn check_stored(&mut self, slot: Slot, record: u64, offset: i64) {
        let log = &self.logs[slot.index()];
        let at = log.replicated(record);
        if at.is_empty() {
            assert!(log.removed.contains(&record), "record {record} has a receipt and is not replicated");
        } else {
            assert!(offset == -1 || at.contains(&offset), "record {record} is at {at:?}, not at {offset}");
        }
        self.seen.stored += 1;
        self.seen.stored_somewhere += u64::from(offset == -1);
    }

    fn judge(&mut self) {
        assert_eq!(self.producer.queued_bytes(), 0);
        assert_eq!(self.outcomes.len(), self.slot_of.len(), "every record has its outcome");
        for (index, log) in self.logs.iter().enumerate() {
            let records = log.records();
            let in_order = records.is_sorted_by(|a, b| a < b) || !self.settings.idempotent;
            assert!(in_order, "order or doubles in partition {index}: {records:?}");
        }
        for (record, outcome) in &self.outcomes {
            let log = &self.logs[self.slot_of[*record as usize].index()];
            let there = log.records().contains(record);
            match outcome {
                Ok(()) => assert!(there || log.removed.contains(record), "record {record} is lost"),
                Err(Effect::None) => {
                    self.seen.refused += 1;
                    assert!(!there, "record {record} is there, and its outcome said that it is not");
                }
                Err(Effect::Unknown) => {
                    self.seen.unknown += 1;
                    self.seen.unknown_and_stored += u64::from(there);
                }
            }
        }
    }
}

fn effect(kind: &ProduceErrorKind, _records: &Range<u32>) -> Effect {
    ProduceError::new("t", None, kind.clone()).effect()
}
