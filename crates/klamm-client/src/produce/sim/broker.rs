//! The leader of a partition as Kafka's rules make it: a window of five batches, epochs that fence, elections that cut what was not
//! replicated.

use std::collections::{BTreeMap, VecDeque};

use klamm_kafka::ErrorCode as Code;
use klamm_wire::batch::{BatchView, ProducerStamp};

use super::Dice;
use crate::produce::Answer;
use crate::produce::open::UNSTAMPED;

const WINDOW: usize = 5;

/// A batch in the log.
#[derive(Debug, Clone)]
struct Written {
    stamp: ProducerStamp,
    last_sequence: i32,
    base_offset: i64,
    records: Vec<u64>,
}

/// What a broker remembers of a producer.
#[derive(Debug, Default)]
struct Known {
    epoch: i16,
    batches: VecDeque<(i32, i32, i64)>,
}

/// What a seed's brokers are like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Temper {
    /// One request in so many meets a fault; 0 is never.
    pub(super) faults: u64,
    /// A producer without state must begin at 0, as before Kafka 2.5.
    pub(super) strict: bool,
    /// Batches come without a stamp.
    pub(super) idempotent: bool,
    /// `max.message.bytes`.
    pub(super) max_message_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) leader: i32,
    temper: Temper,
    batches: Vec<Written>,
    /// Batches that all replicas have.
    replicated: usize,
    /// Records that were deleted from the front.
    pub(super) removed: Vec<u64>,
    end: i64,
    known: BTreeMap<i64, Known>,
}

impl Log {
    pub(super) fn new(leader: i32, temper: Temper) -> Log {
        let (batches, removed, known) = (Vec::new(), Vec::new(), BTreeMap::new());
        Log { leader, temper, batches, replicated: 0, removed, end: 0, known }
    }

    /// All records, in order.
    pub(super) fn records(&self) -> Vec<u64> {
        self.batches.iter().flat_map(|batch| batch.records.iter().copied()).collect()
    }

    /// Offsets of a record that no clean election can take away.
    pub(super) fn replicated(&self, record: u64) -> Vec<i64> {
        let offset = |batch: &Written| {
            let index = batch.records.iter().position(|found| *found == record)?;
            Some(batch.base_offset + index as i64)
        };
        self.batches.iter().take(self.replicated).filter_map(offset).collect()
    }

    pub(super) fn calm(&mut self) {
        self.temper.faults = 0;
    }

    /// `max.message.bytes` is changed.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.temper.max_message_bytes = bytes;
    }

    /// Another replica leads. It has all that was acknowledged, and some of the rest.
    pub(super) fn elect(&mut self, leader: i32, dice: &mut Dice) {
        self.leader = leader;
        let keep = dice.among(self.replicated as u64..self.batches.len() as u64 + 1) as usize;
        self.batches.truncate(keep);
        self.end =
            self.batches.last().map_or(self.end.min(0), |last| last.base_offset + last.records.len() as i64);
        self.end = self.end.max(self.removed.len() as i64);
        self.replicated = self.batches.len();
        // What it knows of producers is what its log says, and what was known of what was removed.
        let old = std::mem::take(&mut self.known);
        for batch in self.batches.clone() {
            self.remember(&batch);
        }
        for (id, mut before) in old {
            let in_log = |base: i64| self.batches.iter().any(|batch| batch.base_offset == base);
            let first = self.batches.first().map_or(self.end, |batch| batch.base_offset);
            before.batches.retain(|(_, _, base)| *base < first && !in_log(*base));
            if !before.batches.is_empty() {
                self.known.entry(id).or_insert(before);
            }
        }
    }

    /// All is deleted, and with it what is known of producers.
    pub(super) fn forget(&mut self) -> bool {
        if self.replicated < self.batches.len() {
            return false;
        }
        self.removed.extend(self.records());
        self.batches.clear();
        self.replicated = 0;
        self.known.clear();
        true
    }

    /// One partition of a produce request with `acks=all`.
    pub(super) fn produce(&mut self, broker: i32, bytes: &[u8], dice: &mut Dice) -> Answer {
        if broker != self.leader {
            return Answer::code(Code::NOT_LEADER_OR_FOLLOWER);
        }
        let fault =
            if self.temper.faults > 0 && dice.one_in(self.temper.faults) { dice.among(1..12) } else { 0 };
        let before = match fault {
            1 | 2 => Some(Code::NOT_ENOUGH_REPLICAS),
            3 => Some(Code::CORRUPT_MESSAGE),
            4 => Some(Code::UNKNOWN_TOPIC_OR_PARTITION),
            5 if dice.one_in(3) => Some(Code::INVALID_RECORD),
            6 if dice.one_in(4) => Some(Code::TOPIC_AUTHORIZATION_FAILED),
            _ => None,
        };
        if let Some(code) = before {
            return Answer::code(code);
        }
        if bytes.len() > self.temper.max_message_bytes {
            return Answer::code(Code::MESSAGE_TOO_LARGE);
        }
        let batch = match read(bytes) {
            Ok(batch) => batch,
            Err(code) => return Answer::code(code),
        };
        match self.check(&batch) {
            Err(code) => return Answer::code(code),
            Ok(Some(base_offset)) => {
                self.replicated = self.batches.len();
                // Some brokers say so, and some say where it is.
                let code = if dice.one_in(2) { Code::NONE } else { Code::DUPLICATE_SEQUENCE_NUMBER };
                let base_offset = if code.is_ok() || dice.one_in(2) { base_offset } else { -1 };
                return Answer { base_offset, ..Answer::code(code) };
            }
            Ok(None) => {}
        }
        let base_offset = self.append(batch);
        let after = match fault {
            7 => Code::REQUEST_TIMED_OUT,
            8 | 9 => Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            10 => Code::NOT_LEADER_OR_FOLLOWER,
            11 if dice.one_in(3) => Code::UNKNOWN_SERVER_ERROR,
            _ => Code::NONE,
        };
        if after.is_ok() {
            self.replicated = self.batches.len();
            return Answer { base_offset, ..Answer::code(after) };
        }
        Answer::code(after)
    }

    /// Offset of a batch that is there already, or that it may come.
    fn check(&self, batch: &Written) -> Result<Option<i64>, Code> {
        assert_eq!(self.temper.idempotent, batch.stamp.id >= 0);
        if !self.temper.idempotent {
            return Ok(None);
        }
        let Some(known) = self.known.get(&batch.stamp.id) else {
            let refused = self.temper.strict && batch.stamp.base_sequence != 0;
            return if refused { Err(Code::UNKNOWN_PRODUCER_ID) } else { Ok(None) };
        };
        if batch.stamp.epoch < known.epoch {
            return Err(Code::INVALID_PRODUCER_EPOCH);
        }
        if batch.stamp.epoch > known.epoch {
            let starts = batch.stamp.base_sequence == 0;
            return if starts { Ok(None) } else { Err(Code::OUT_OF_ORDER_SEQUENCE_NUMBER) };
        }
        let range = (batch.stamp.base_sequence, batch.last_sequence);
        if let Some((_, _, base)) = known.batches.iter().find(|(first, last, _)| (*first, *last) == range) {
            return Ok(Some(*base));
        }
        let last = known.batches.back().map_or(-1, |(_, last, _)| *last);
        let next = if last == i32::MAX { 0 } else { last + 1 };
        if next == batch.stamp.base_sequence { Ok(None) } else { Err(Code::OUT_OF_ORDER_SEQUENCE_NUMBER) }
    }

    fn append(&mut self, mut batch: Written) -> i64 {
        batch.base_offset = self.end;
        self.end += batch.records.len() as i64;
        self.remember(&batch);
        self.batches.push(batch);
        self.batches[self.batches.len() - 1].base_offset
    }

    fn remember(&mut self, batch: &Written) {
        let known = self.known.entry(batch.stamp.id).or_default();
        if known.epoch != batch.stamp.epoch {
            known.epoch = batch.stamp.epoch;
            known.batches.clear();
        }
        if known.batches.len() == WINDOW {
            known.batches.pop_front();
        }
        known.batches.push_back((batch.stamp.base_sequence, batch.last_sequence, batch.base_offset));
    }
}

/// Reads a batch as strictly as a broker does. The value of a record is its number.
fn read(bytes: &[u8]) -> Result<Written, Code> {
    let view = BatchView::parse_single(bytes).map_err(|_| Code::CORRUPT_MESSAGE)?;
    view.verify_crc().expect("the checksum fits the stamp");
    let stamp = view.producer().unwrap_or(UNSTAMPED);
    let mut scratch = Vec::new();
    let records: Vec<u64> = view
        .records(&mut scratch, 1 << 20)
        .expect("records are readable")
        .map(|record| {
            let value = record.expect("a record is whole").value.expect("it has a value");
            u64::from_be_bytes(*value.first_chunk().expect("it begins with its number"))
        })
        .collect();
    assert_eq!(view.record_count() as usize, records.len());
    let last = (i64::from(stamp.base_sequence) + records.len() as i64 - 1) % (i64::from(i32::MAX) + 1);
    let last_sequence = i32::try_from(last).expect("a sequence fits");
    Ok(Written { stamp, last_sequence, base_offset: -1, records })
}
