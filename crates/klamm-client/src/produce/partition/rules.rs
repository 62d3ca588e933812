//! What follows from what: the decisions behind the events of a partition.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use klamm_wire::batch::ProducerStamp;

use super::{Entry, KNOWN_FOR, Next, Partition, SPLIT_LIMIT_BYTES, State};
use crate::ProduceErrorKind;
use crate::produce::answer::{self, Answer};
use crate::produce::ids::{Gap, Identity, Ids};
use crate::produce::open::{self, BatchId};
use crate::produce::{Outcome, Settings, Stored};

impl Entry {
    pub(super) fn new(batch: BatchId, records: Range<u32>, created: Instant, bytes: Option<Bytes>) -> Entry {
        Entry {
            batch,
            records,
            created,
            bytes,
            base_sequence: -1,
            state: State::Live,
            flight: None,
            doubt: false,
            whole_in_doubt: false,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.records.end - self.records.start
    }

    pub(super) fn may_split(&self) -> bool {
        self.state == State::Live && self.count() > 1
    }

    fn is_gap(&self) -> bool {
        matches!(self.state, State::Unknown | State::Missing)
    }
}

impl Partition {
    pub(super) fn next(&self, now: Instant, settings: &Settings) -> Next {
        let patient = self.retry_at.is_some_and(|at| at > now);
        if self.is_recovering() {
            if self.in_flight > 0 {
                return Next::Nothing;
            }
            return match self.first_live().filter(|first| *first < self.sent) {
                Some(first) if !self.entries[first].doubt && self.is_behind_gap(first) => Next::Renumber,
                Some(_) if patient => Next::Nothing,
                Some(first) => Next::Send(first),
                None => Next::Renumber,
            };
        }
        let ready = self.entries.get(self.sent).is_some_and(|entry| entry.bytes.is_some());
        let window = self.sent < settings.max_in_flight;
        // A broker that does not know the producer takes any sequence: a second batch could get in without the first.
        let known = self.known.is_some_and(|at| now.saturating_duration_since(at) < KNOWN_FOR);
        let may_follow = self.sent == 0 || known || !settings.idempotent;
        let one_place = self.in_flight == 0 || self.at == self.leader;
        match ready && window && may_follow && one_place && !patient {
            true => Next::Send(self.sent),
            false => Next::Nothing,
        }
    }

    /// Something that was sent is neither in flight nor done.
    fn is_recovering(&self) -> bool {
        let unfinished =
            |entry: &Entry| entry.is_gap() || (entry.state == State::Live && entry.flight.is_none());
        self.broken || self.entries.iter().take(self.sent).any(unfinished)
    }

    fn is_behind_gap(&self, index: usize) -> bool {
        self.broken || self.entries.iter().take(index).any(Entry::is_gap)
    }

    /// The first batch without an outcome.
    pub(super) fn first_live(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.state == State::Live)
    }

    /// A new epoch. Nothing is in flight, and the first in line is not in the log under its old stamp nor can it get there; then
    /// neither can what was sent after it.
    pub(super) fn renumber(&mut self, ids: &mut Ids) -> Option<()> {
        let may_arrive = |entry: &Entry| entry.state == State::Unknown;
        let open = self.open_gap || self.entries.iter().take(self.sent).any(may_arrive);
        let identity = ids.next(self.identity, if open { Gap::Open } else { Gap::Settled })?;
        if self.identity.is_none_or(|old| old.id != identity.id) {
            self.known = None;
        }
        let mut kept = 0;
        for index in 0..self.sent {
            if self.entries[index].state == State::Live {
                (self.entries[index].doubt, self.entries[index].whole_in_doubt) = (false, false);
                self.entries.swap(kept, index);
                kept += 1;
            }
        }
        self.entries.drain(kept..self.sent);
        self.sent = 0;
        self.next_sequence = 0;
        self.broken = false;
        self.open_gap = open;
        self.identity = Some(identity);
        Some(())
    }

    /// An attempt came home.
    pub(super) fn land(&mut self, attempt: super::Attempt) -> Option<usize> {
        let index = self.entries.iter().take(self.sent).position(|entry| entry.flight == Some(attempt))?;
        self.entries[index].flight = None;
        self.in_flight -= 1;
        Some(index)
    }

    /// What was taken in order stands behind all that came before it, in the log, too.
    pub(super) fn stored(&mut self, index: usize, answer: &Answer, now: Instant, out: &mut Vec<Outcome>) {
        if self.first_live().is_none_or(|first| first == index) {
            self.retry_at = None;
            self.backoff.reset();
        }
        self.heard = None;
        self.known = Some(now);
        // What is late of an earlier epoch is fenced now.
        self.open_gap = false;
        for earlier in self.entries.iter_mut().take(index).filter(|entry| entry.is_gap()) {
            earlier.state = State::Done;
        }
        if self.identity.is_some() && std::mem::take(&mut self.entries[index].whole_in_doubt) {
            // By its sequence the whole is not there, and its other parts were not sent yet.
            let batch = self.entries[index].batch;
            for part in self.entries.iter_mut().filter(|entry| entry.batch == batch && entry.whole_in_doubt) {
                (part.whole_in_doubt, part.doubt) = (false, false);
            }
        }
        if self.entries[index].state == State::Live {
            let stored = Stored { base_offset: answer.base_offset, append_time_ms: answer.append_time_ms };
            self.tell(index, Ok(stored), out);
        }
        self.entries[index].state = State::Done;
    }

    /// The batch is sent again when it is its turn.
    pub(super) fn again(&mut self, index: usize, now: Instant) {
        if self.first_live() == Some(index) {
            self.retry_at = Some(now + self.backoff.next());
        }
        self.refuse_ended(index);
    }

    /// Nobody waits for this batch any more: only whether it may be in the log matters.
    fn refuse_ended(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        if entry.state == State::Unknown && !entry.doubt {
            entry.state = State::Missing;
        }
    }

    pub(super) fn out_of_order(
        &mut self,
        index: usize,
        answer: &Answer,
        now: Instant,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) {
        let may_arrive = |entry: &Entry| entry.state == State::Unknown;
        let settled = !self.entries.iter().take(index).any(may_arrive);
        if self.first_live() == Some(index) && settled {
            if self.entries[index].whole_in_doubt {
                return self.give_up_parts(index, answer, settings, out);
            }
            // All before it is settled, so it is not there, and never will be under this stamp.
            self.entries[index].doubt = false;
            self.broken = true;
        }
        self.again(index, now);
    }

    /// The first part of a batch is refused: because the whole is in the log, or because it is not. Nobody can tell.
    fn give_up_parts(&mut self, index: usize, answer: &Answer, settings: &Settings, out: &mut Vec<Outcome>) {
        let batch = self.entries[index].batch;
        for part in index..self.sent {
            if self.entries[part].batch == batch && self.entries[part].whole_in_doubt {
                let kind = answer::refusal(answer.code, answer.message.as_deref(), true);
                self.end(part, kind, true, settings, out);
            }
        }
    }

    /// The broker will never take it.
    pub(super) fn refused(
        &mut self,
        index: usize,
        answer: &Answer,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) {
        let entry = &self.entries[index];
        if entry.state != State::Live {
            return self.refuse_ended(index);
        }
        let (in_doubt, records) = (entry.doubt, entry.records.clone());
        let kind = |message: Option<&str>| {
            answer::refusal(answer.code, message.or(answer.message.as_deref()), in_doubt)
        };
        let mut from = records.start;
        let named = answer.refused.iter().map(|(at, message)| (records.start + at, message.as_deref()));
        for (at, message) in named.filter(|(at, _)| records.contains(at)) {
            if at < from {
                continue;
            }
            let other =
                ProduceErrorKind::Invalid { message: "its batch has a record that was refused".to_owned() };
            let other = if in_doubt { kind(None) } else { other };
            self.tell_some(index, from..at, Err(other), out);
            self.tell_some(index, at..at + 1, Err(kind(message)), out);
            from = at + 1;
        }
        let rest = match from == records.start {
            true => kind(None),
            false if in_doubt => kind(None),
            false => {
                ProduceErrorKind::Invalid { message: "its batch has a record that was refused".to_owned() }
            }
        };
        self.entries[index].records.start = from;
        self.end(index, rest, in_doubt, settings, out);
    }

    /// Two batches in its place, with the same sequences for the same records. All that was sent after it waits.
    pub(super) fn split(
        &mut self,
        index: usize,
        answer: &Answer,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) {
        let entry = &self.entries[index];
        let halves = entry.bytes.as_ref().map(|bytes| open::split(bytes, SPLIT_LIMIT_BYTES));
        let Some(Ok(halves)) = halves else { return self.refused(index, answer, settings, out) };
        let (first, base) = (entry.records.start, entry.base_sequence);
        let doubt = entry.doubt;
        let pieces = halves.map(|(bytes, records)| {
            let sequence = sequence_after(base, records.start);
            let stamp = if settings.idempotent { stamp(self.identity, sequence) } else { open::UNSTAMPED };
            let bytes = open::stamp(bytes, stamp).ok();
            let records = first + records.start..first + records.end;
            let mut piece = Entry::new(entry.batch, records, entry.created, bytes);
            piece.base_sequence = sequence;
            (piece.doubt, piece.whole_in_doubt) = (doubt, doubt);
            piece
        });
        let bytes = |entry: &Entry| entry.bytes.as_ref().map_or(0, Bytes::len);
        self.queued_bytes -= bytes(&self.entries[index]);
        self.queued_bytes += pieces.iter().map(bytes).sum::<usize>();
        let [left, right] = pieces;
        self.entries[index] = left;
        self.entries.insert(index + 1, right);
        self.sent += 1;
    }

    /// The outcome of a batch is an error.
    pub(super) fn end(
        &mut self,
        index: usize,
        kind: ProduceErrorKind,
        in_doubt: bool,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) {
        self.tell(index, Err(kind), out);
        self.entries[index].state = match (settings.idempotent, in_doubt) {
            // Without sequences there is no gap.
            (false, _) => State::Done,
            (true, true) => State::Unknown,
            (true, false) => State::Missing,
        };
    }

    /// Gives the outcome of what is left of a batch, and its memory.
    fn tell(&mut self, index: usize, result: Result<Stored, ProduceErrorKind>, out: &mut Vec<Outcome>) {
        let bytes = self.entries[index].bytes.take();
        self.queued_bytes -= bytes.as_ref().map_or(0, Bytes::len);
        let mut outcome = self.outcome(&self.entries[index], result);
        outcome.bytes = bytes;
        out.push(outcome);
    }

    fn tell_some(
        &self,
        index: usize,
        records: Range<u32>,
        result: Result<Stored, ProduceErrorKind>,
        out: &mut Vec<Outcome>,
    ) {
        if !records.is_empty() {
            out.push(Outcome { records, ..self.outcome(&self.entries[index], result) });
        }
    }

    pub(super) fn outcome(&self, entry: &Entry, result: Result<Stored, ProduceErrorKind>) -> Outcome {
        Outcome { slot: self.slot, batch: entry.batch, records: entry.records.clone(), result, bytes: None }
    }

    /// Forgets what is finished. Gaps that nothing is left behind of are remembered as one.
    pub(super) fn clear_front(&mut self) {
        while let Some(entry) = self.entries.front().filter(|_| self.sent > 0)
            && entry.state == State::Done
            && entry.flight.is_none()
        {
            self.entries.pop_front();
            self.sent -= 1;
        }
        let over = |entry: &Entry| entry.state != State::Live && entry.flight.is_none();
        if self.sent > 0 && self.entries.iter().take(self.sent).all(over) {
            let sent = || self.entries.iter().take(self.sent);
            self.broken |= sent().any(Entry::is_gap);
            self.open_gap |= sent().any(|entry| entry.state == State::Unknown);
            self.entries.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// The stamp of a batch; none if the producer is not idempotent.
pub(super) fn stamp(identity: Option<Identity>, base_sequence: i32) -> ProducerStamp {
    identity.map_or(open::UNSTAMPED, |Identity { id, epoch }| ProducerStamp { id, epoch, base_sequence })
}

/// Sequences count from 0 to the largest i32 and then from 0 again.
pub(super) fn sequence_after(sequence: i32, records: u32) -> i32 {
    let sum = i64::from(sequence) + i64::from(records);
    i32::try_from(sum.rem_euclid(i64::from(i32::MAX) + 1)).unwrap_or(0)
}
