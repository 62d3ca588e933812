//! One partition: its sealed batches in order, the sequences under which they were sent, and what each answer means for all of them.
//!
//! The batches that were sent and are not done are the front of the queue. While all of them are in flight the partition flows: more
//! may follow, up to the window of five that a broker remembers. Once one comes back unfinished the partition recovers: nothing new
//! is sent, what is in flight comes home, and then the first in line goes alone, until none is left.
//!
//! A batch that ends without being in the log leaves a gap, and one whose outcome stays unknown may have left one. Behind it
//! * a batch of which every attempt was refused takes a new epoch, with all that follow it: in the old one they cannot be appended;
//! * a batch that may be in the log is asked for again under its old stamp, for under a new one it could get in twice. If it is refused
//!   as out of order, and nothing before it can arrive any more, it is not there. A batch without an outcome can: its request may
//!   still sit in the socket of a connection that was given up, and it would let the next one in after it.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::accumulate::Appetite;
use super::answer::{self, Answer, Failure, Heard, Verdict};
use super::ids::{Gap, Identity, Ids};
use super::open::{self, BatchId};
use super::{Outcome, Settings, Slot};
use crate::ProduceErrorKind;
use crate::backoff::Backoff;

/// Names one attempt to send one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Attempt(pub(crate) u64);

/// How long a broker is believed to know a producer. It forgets an idle one (`producer.id.expiration.ms`, a day) and then takes any
/// sequence, so that a second batch in flight could get in before the first.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Most bytes that the records of a batch decompress to when it is split.
const SPLIT_LIMIT_BYTES: usize = 1 << 30;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) batch: BatchId,
    pub(super) records: Range<u32>,
    pub(super) created: Instant,
    /// `None` while it is compressed, and when it has its outcome.
    bytes: Option<Bytes>,
    base_sequence: i32,
    state: State,
    flight: Option<Attempt>,
    /// Some attempt may have been appended, or may be yet.
    doubt: bool,
    /// It is a part of a batch that may be in the log whole.
    whole_in_doubt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has no outcome.
    Live,
    /// Its outcome is an error, and it may be in the log, or get there.
    Unknown,
    /// Its outcome is an error, and it is not in the log.
    Missing,
    /// It is in the log, or it does not matter.
    Done,
}

/// What a partition would do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    Send(usize),
    /// A new epoch first; the sent batches from here on are numbered again.
    Renumber,
}

/// Why there is no batch to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotNow {
    /// An identity is missing; it is asked for.
    WithoutIdentity,
    /// Something has to happen first.
    Later,
}

/// The machine of one partition.
#[derive(Debug)]
pub(crate) struct Partition {
    slot: Slot,
    entries: VecDeque<Entry>,
    /// How many of them have been sent.
    sent: usize,
    leader: Option<i32>,
    /// Who has what is in flight.
    at: Option<i32>,
    in_flight: usize,
    identity: Option<Identity>,
    next_sequence: i32,
    /// The broker refused the first in line as out of order: only a new epoch helps.
    broken: bool,
    /// A batch of an earlier epoch may arrive yet: nothing of this one is known to be in the log.
    open_gap: bool,
    /// When the broker last showed that it knows the identity.
    known: Option<Instant>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    stale: bool,
    /// The last thing that was heard instead of an acknowledgement, and when.
    heard: Option<(Heard, Instant)>,
    queued_bytes: usize,
}

impl Partition {
    pub(crate) fn new(slot: Slot, settings: &Settings, random: u64) -> Partition {
        Partition {
            slot,
            entries: VecDeque::new(),
            sent: 0,
            leader: None,
            at: None,
            in_flight: 0,
            identity: None,
            next_sequence: 0,
            broken: false,
            open_gap: false,
            known: None,
            retry_at: None,
            backoff: Backoff::new(settings.retry_backoff, settings.retry_backoff_max, random),
            stale: false,
            heard: None,
            queued_bytes: 0,
        }
    }

    /// A batch joins the queue. Its bytes come later if it is compressed elsewhere.
    pub(crate) fn push(&mut self, batch: BatchId, records: u32, created: Instant, bytes: Option<Bytes>) {
        self.queued_bytes += bytes.as_ref().map_or(0, Bytes::len);
        self.entries.push_back(Entry::new(batch, 0..records, created, bytes));
    }

    /// The bytes of a batch that joined without. `false` if it has its outcome already.
    pub(crate) fn compressed(&mut self, batch: BatchId, bytes: Bytes) -> bool {
        // It came last, or nearly so.
        let waiting = self.entries.iter_mut().skip(self.sent).rev();
        let Some(entry) = waiting.into_iter().find(|entry| entry.batch == batch) else { return false };
        self.queued_bytes += bytes.len();
        entry.bytes = Some(bytes);
        true
    }

    /// A batch that joined without bytes gets none.
    pub(crate) fn unreadable(&mut self, batch: BatchId, message: String, out: &mut Vec<Outcome>) {
        let found = self.entries.iter().skip(self.sent).position(|entry| entry.batch == batch);
        if let Some(entry) = found.and_then(|index| self.entries.remove(self.sent + index)) {
            out.push(self.outcome(&entry, Err(ProduceErrorKind::Invalid { message })));
        }
    }

    /// Who leads it now.
    pub(crate) fn set_leader(&mut self, leader: Option<i32>) {
        self.stale = false;
        if self.leader != leader {
            self.leader = leader;
            // Another broker has not asked for patience.
            self.retry_at = None;
        }
    }

    /// Its leader cannot be reached: perhaps somebody else leads.
    pub(crate) fn unreachable(&mut self, text: &str, now: Instant) {
        self.stale = true;
        // What a broker answered says more than a connection that would not open after it, unless it is older than what waits.
        let waits_since =
            self.first_live().and_then(|first| self.entries.get(first)).map(|entry| entry.created);
        let answered = |(heard, at): &(Heard, Instant)| {
            heard.code.is_some() && waits_since.is_none_or(|since| *at >= since)
        };
        if !self.heard.as_ref().is_some_and(answered) {
            self.heard = Some((Heard { code: None, text: text.to_owned() }, now));
        }
    }

    pub(crate) fn leader(&self) -> Option<i32> {
        self.leader
    }

    /// Whether it has batches to send and does not know to whom, or was told that it is the wrong one.
    pub(crate) fn wants_metadata(&self) -> bool {
        !self.entries.is_empty() && (self.stale || self.leader.is_none())
    }

    /// Batches without an outcome.
    pub(crate) fn len(&self) -> usize {
        self.entries.iter().filter(|entry| entry.state == State::Live).count()
    }

    pub(crate) fn appetite(&self) -> Appetite {
        match self.entries.len() {
            0 => Appetite::Idle,
            all if all == self.sent => Appetite::Hungry,
            _ => Appetite::Fed,
        }
    }

    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    #[cfg(test)]
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Bytes of the batch that [`Partition::take`] would give now.
    pub(crate) fn sendable(&self, now: Instant, settings: &Settings) -> Option<usize> {
        self.leader?;
        let index = match self.next(now, settings) {
            Next::Nothing => return None,
            Next::Send(index) => index,
            Next::Renumber => self.first_live()?,
        };
        self.entries.get(index)?.bytes.as_ref().map(Bytes::len)
    }

    /// The next batch, stamped, as `attempt`.
    pub(crate) fn take(
        &mut self,
        attempt: Attempt,
        now: Instant,
        ids: &mut Ids,
        settings: &Settings,
    ) -> Result<(Bytes, BatchId), NotNow> {
        if self.next(now, settings) == Next::Renumber {
            self.renumber(ids).ok_or(NotNow::WithoutIdentity)?;
        }
        let Next::Send(index) = self.next(now, settings) else { return Err(NotNow::Later) };
        if index >= self.sent && settings.idempotent && self.identity.is_none() {
            self.identity = Some(ids.next(None, Gap::Settled).ok_or(NotNow::WithoutIdentity)?);
        }
        let leader = self.leader.ok_or(NotNow::Later)?;
        self.depart(index, leader, attempt).ok_or(NotNow::Later)
    }

    fn depart(&mut self, index: usize, leader: i32, attempt: Attempt) -> Option<(Bytes, BatchId)> {
        let fresh = index >= self.sent;
        let (sequence, identity) = (self.next_sequence, self.identity);
        let entry = self.entries.get_mut(index)?;
        let mut bytes = entry.bytes.take()?;
        if fresh {
            entry.base_sequence = sequence;
            bytes = open::stamp(bytes, rules::stamp(identity, sequence)).ok()?;
            self.next_sequence = rules::sequence_after(sequence, entry.count());
            self.sent += 1;
        }
        entry.bytes = Some(bytes.clone());
        entry.flight = Some(attempt);
        self.in_flight += 1;
        self.at = Some(leader);
        Some((bytes, entry.batch))
    }

    /// When to look again if nothing happens.
    pub(crate) fn wake_at(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let first = self.entries.get(self.first_live()?)?;
        let expiry = first.created + settings.delivery_timeout;
        Some(self.retry_at.filter(|at| *at > now).map_or(expiry, |at| at.min(expiry)))
    }

    /// A broker answered an attempt. Answers to attempts that are over change nothing.
    pub(crate) fn answered(
        &mut self,
        attempt: Attempt,
        answer: &Answer,
        now: Instant,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) -> Option<ProduceErrorKind> {
        let index = self.land(attempt)?;
        self.stale |= answer::is_routing(answer.code);
        self.heard = Some((Heard { code: Some(answer.code), text: answer.text() }, now));
        let entry = &mut self.entries[index];
        let mut fatal = None;
        match answer::verdict(answer.code) {
            Verdict::Stored => self.stored(index, answer, now, out),
            Verdict::AgainInDoubt => {
                entry.doubt = true;
                self.again(index, now);
            }
            Verdict::Again => self.again(index, now),
            Verdict::OutOfOrder if settings.idempotent => {
                self.out_of_order(index, answer, now, settings, out)
            }
            Verdict::TooLarge if entry.may_split() => self.split(index, answer, settings, out),
            Verdict::Fenced => {
                fatal = Some(answer::refusal(answer.code, answer.message.as_deref(), false));
                self.refused(index, answer, settings, out);
            }
            Verdict::Refused | Verdict::TooLarge => self.refused(index, answer, settings, out),
            Verdict::Unclear | Verdict::OutOfOrder => {
                entry.doubt = true;
                self.refused(index, answer, settings, out);
            }
        }
        self.clear_front();
        fatal
    }

    /// An attempt ended without an answer.
    pub(crate) fn failed(&mut self, attempt: Attempt, failure: &Failure, now: Instant) {
        let Some(index) = self.land(attempt) else { return };
        match failure {
            Failure::NotSent(text) => self.unreachable(text, now),
            Failure::Lost(text) => {
                self.entries[index].doubt = true;
                // Perhaps the broker is gone, and somebody else leads.
                self.stale = true;
                self.heard = Some((Heard { code: None, text: text.clone() }, now));
            }
        }
        self.again(index, now);
        self.clear_front();
    }

    /// Time went on: what is out of it has its outcome now.
    pub(crate) fn expire(&mut self, now: Instant, ids: &Ids, settings: &Settings, out: &mut Vec<Outcome>) {
        let after = settings.delivery_timeout;
        let mut index = 0;
        // Batches stand in the order in which they were begun.
        while let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.created + after <= now) {
            if entry.state == State::Live {
                let in_doubt = entry.doubt || entry.flight.is_some();
                // What kept the first in line waiting kept those behind it.
                let heard = self.heard.as_ref().filter(|(_, at)| *at >= entry.created);
                let complaint = || Some(Heard { code: None, text: ids.complaint()?.to_owned() });
                let heard = heard.map(|(heard, _)| heard.clone()).or_else(complaint);
                let kind = answer::expired(after, heard.as_ref(), in_doubt);
                self.end(index, kind, in_doubt, settings, out);
            }
            if index >= self.sent {
                self.entries.remove(index);
            } else {
                index += 1;
            }
        }
        self.clear_front();
    }

    /// Ends all batches: nothing of this partition will be sent any more. `kind` is for those that may be in the log, `kind_clean`
    /// for the others.
    pub(crate) fn fail_all(
        &mut self,
        kind: &ProduceErrorKind,
        kind_clean: &ProduceErrorKind,
        settings: &Settings,
        out: &mut Vec<Outcome>,
    ) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            if entry.state == State::Live {
                let in_doubt = entry.doubt || entry.flight.is_some();
                let kind = if in_doubt { kind } else { kind_clean };
                self.end(index, kind.clone(), in_doubt, settings, out);
            }
        }
        self.entries.truncate(self.sent);
        self.clear_front();
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, sequence: i32) {
        self.next_sequence = sequence;
    }
}
