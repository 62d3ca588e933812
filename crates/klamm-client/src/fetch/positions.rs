//! Where each assigned partition stands, and what is to be asked next.
//!
//! A plain value: what happened goes in with the time, what to ask comes out of [`Positions::ask`]. A partition is asked for by at most
//! one request at a time. Its name while it is assigned is a [`Claim`]; an answer to an older claim, or to a position that was left
//! by a seek, changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode;

use super::{Ask, Brought, Claim, Leader, Next, Part, Question, ReadBounds};
use crate::backoff::Backoff;
use crate::random::mix;
use crate::{ConsumeError, ConsumeErrorKind, OffsetReset, TopicPartition};

/// How long a partition without a leader waits for newer metadata.
const NEWS_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Positions {
    bounds: ReadBounds,
    slots: BTreeMap<Claim, Slot>,
    names: HashMap<TopicPartition, Claim>,
    claims: u64,
    held_bytes: usize,
    /// Brokers that a fetch is under way to.
    busy: HashSet<i32>,
    /// Counts fetches, and names them.
    fetches: u64,
    /// Counts what was handed over: who got least lately is asked first.
    served: u64,
    metadata: Metadata,
    told: Vec<ConsumeError>,
    random: u64,
}

#[derive(Debug)]
struct Metadata {
    wanted: bool,
    asked: bool,
    not_before: Option<Instant>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Slot {
    partition: TopicPartition,
    phase: Phase,
    leader: Option<Leader>,
    nearer: Option<(i32, Instant)>,
    /// The fetch that it is in.
    fetch: Option<u64>,
    paused: bool,
    held_bytes: usize,
    served: u64,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// The same trouble is told once, until something works again.
    reported: Option<ErrorCode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no position: the reset policy says where one is.
    Reset {
        asked: bool,
    },
    /// The leader changed: is what was read still in its log?
    Validate {
        at: Next,
        asked: bool,
    },
    Ready {
        at: Next,
        checked_epoch: i32,
    },
    /// Nothing more is handed over of it.
    Stopped,
}

impl Positions {
    /// `random` decides the jitter of its retries.
    pub(crate) fn new(bounds: ReadBounds, mut random: u64) -> Positions {
        let backoff = Backoff::of_java(mix(&mut random));
        Positions {
            bounds,
            slots: BTreeMap::new(),
            names: HashMap::new(),
            claims: 0,
            held_bytes: 0,
            busy: HashSet::new(),
            fetches: 0,
            served: 0,
            metadata: Metadata { wanted: false, asked: false, not_before: None, backoff },
            random,
            told: Vec::new(),
        }
    }

    /// Begins to read a partition: at its committed offset, or where the reset policy says.
    pub(crate) fn assign(&mut self, partition: TopicPartition, committed: Option<Next>) -> Claim {
        self.release(&partition);
        self.claims += 1;
        let claim = Claim(self.claims);
        let mut slot = Slot {
            partition: partition.clone(),
            phase: Phase::Stopped,
            leader: None,
            nearer: None,
            fetch: None,
            paused: false,
            held_bytes: 0,
            served: 0,
            backoff: Backoff::of_java(mix(&mut self.random)),
            not_before: None,
            reported: None,
        };
        match committed {
            Some(at) => slot.phase = Phase::Validate { at, asked: false },
            None => slot.reset(&self.bounds, "no offset is committed", &mut self.told),
        }
        self.metadata.wanted = true;
        self.names.insert(partition, claim);
        self.slots.insert(claim, slot);
        claim
    }

    /// Stops reading a partition. What the application holds of it no longer counts.
    pub(crate) fn release(&mut self, partition: &TopicPartition) {
        if let Some(claim) = self.names.remove(partition)
            && let Some(slot) = self.slots.remove(&claim)
        {
            self.held_bytes = self.held_bytes.saturating_sub(slot.held_bytes);
        }
    }

    /// Goes on reading at another offset.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(slot) = self.named(partition) {
            slot.phase = Phase::Validate { at: Next { offset, epoch: None }, asked: false };
            slot.not_before = None;
        }
    }

    pub(crate) fn pause(&mut self, partition: &TopicPartition) {
        self.named(partition).into_iter().for_each(|slot| slot.paused = true);
    }

    pub(crate) fn resume(&mut self, partition: &TopicPartition) {
        self.named(partition).into_iter().for_each(|slot| slot.paused = false);
    }

    /// The application has let go of records.
    pub(crate) fn credit(&mut self, claim: Claim, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(&claim) {
            let bytes = bytes.min(slot.held_bytes);
            slot.held_bytes -= bytes;
            self.held_bytes -= bytes;
        }
    }

    /// What a partition is called while it is assigned.
    pub(crate) fn claim(&self, partition: &TopicPartition) -> Option<Claim> {
        self.names.get(partition).copied()
    }

    /// What is known of leaders is old.
    pub(crate) fn want_metadata(&mut self) {
        self.metadata.wanted = !self.slots.is_empty();
    }

    /// Metadata has come. Partitions that it does not tell a leader of are asked about again.
    pub(crate) fn learn(
        &mut self,
        leader_of: impl Fn(&TopicPartition) -> Result<Leader, ErrorCode>,
        now: Instant,
    ) {
        (self.metadata.wanted, self.metadata.asked, self.metadata.not_before) = (false, false, None);
        self.metadata.backoff.reset();
        let mut without = false;
        for slot in self.slots.values_mut() {
            match leader_of(&slot.partition) {
                // An answer may be older than what is known.
                Ok(leader) if slot.leader.is_none_or(|known| known.epoch <= leader.epoch) => {
                    slot.lead(leader)
                }
                Ok(_) => {}
                Err(error) => {
                    slot.leader = None;
                    slot.tell(error, &mut self.told);
                }
            }
            without |= slot.leader.is_none() && slot.phase != Phase::Stopped;
        }
        if without {
            self.metadata.wanted = true;
            self.metadata.not_before = Some(now + NEWS_AFTER);
        }
    }

    pub(crate) fn metadata_failed(&mut self, now: Instant) {
        let Metadata { asked, not_before, backoff, wanted } = &mut self.metadata;
        (*asked, *wanted) = (false, true);
        *not_before = Some(now + backoff.next());
    }

    /// `ListOffsets` answered.
    pub(crate) fn found(&mut self, claim: Claim, found: Result<Next, ErrorCode>, now: Instant) {
        let Some(slot) = self.slots.get_mut(&claim) else { return };
        let Phase::Reset { asked } = &mut slot.phase else { return };
        *asked = false;
        match found {
            Ok(at) => slot.begin(at),
            Err(error) => self.metadata.wanted |= slot.fail(error, now, &mut self.told),
        }
    }

    /// `OffsetForLeaderEpoch` answered: the end of the epoch that was asked about, or of the last one before it. `None` means that the
    /// leader knows of no such epoch.
    pub(crate) fn validated(&mut self, claim: Claim, end: Result<Option<Next>, ErrorCode>, now: Instant) {
        let Some(slot) = self.slots.get_mut(&claim) else { return };
        let Phase::Validate { at, asked } = &mut slot.phase else { return };
        *asked = false;
        let at = *at;
        match end {
            Ok(Some(end)) if end.offset < at.offset => {
                slot.truncated(at, Some(end), &self.bounds, &mut self.told)
            }
            Ok(Some(_)) => slot.begin(at),
            Ok(None) => slot.truncated(at, None, &self.bounds, &mut self.told),
            Err(error) => self.metadata.wanted |= slot.fail(error, now, &mut self.told),
        }
    }

    /// A fetch was answered. `brought` has what the answer says, by the index of its part; an answer within a session names only
    /// those that have news. Gives the claims whose records are of use.
    pub(crate) fn answered(
        &mut self,
        question: &Question,
        brought: impl IntoIterator<Item = (usize, Brought)>,
        now: Instant,
    ) -> Vec<Claim> {
        self.busy.remove(&question.broker);
        let mut useful = Vec::new();
        for (index, brought) in brought {
            let Some(part) = question.parts.get(index) else { continue };
            let Some(slot) = self.slots.get_mut(&part.claim) else { continue };
            let Phase::Ready { at, .. } = slot.phase else { continue };
            // Between the question and this answer the application went elsewhere, or the partition did.
            if slot.fetch != Some(question.id) || part.from != at {
                continue;
            }
            if let Brought::Records { bytes, .. } = brought
                && bytes > 0
            {
                self.served += 1;
                slot.served = self.served;
                slot.held_bytes += bytes;
                self.held_bytes += bytes;
                useful.push(part.claim);
            }
            self.metadata.wanted |=
                slot.take(brought, at, question.broker, &self.bounds, now, &mut self.told);
        }
        self.end(question);
        useful
    }

    /// A fetch had no answer.
    pub(crate) fn failed(&mut self, question: &Question, now: Instant) {
        self.busy.remove(&question.broker);
        self.metadata.wanted = true;
        for part in &question.parts {
            if let Some(slot) = self.slots.get_mut(&part.claim).filter(|slot| slot.fetch == Some(question.id))
            {
                slot.nearer = None;
                slot.back_off(now);
            }
        }
        self.end(question);
    }

    /// What went wrong since the last time.
    pub(crate) fn told(&mut self) -> Vec<ConsumeError> {
        std::mem::take(&mut self.told)
    }

    /// The position of a partition: what the application has seen up to.
    #[cfg(test)]
    pub(crate) fn position(&self, partition: &TopicPartition) -> Option<Next> {
        match self.slots.get(self.names.get(partition)?)?.phase {
            Phase::Validate { at, .. } | Phase::Ready { at, .. } => Some(at),
            Phase::Reset { .. } | Phase::Stopped => None,
        }
    }

    /// The next thing to ask, until there is none: then at [`Positions::wake_at`], or when something has happened.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        // Whatever still holds such a partition up ends by an event, not by time.
        self.slots.values_mut().for_each(|slot| {
            slot.not_before.take_if(|at| *at <= now);
        });
        let metadata = &mut self.metadata;
        if metadata.wanted && !metadata.asked && metadata.not_before.is_none_or(|at| at <= now) {
            (metadata.asked, metadata.wanted) = (true, false);
            return Some(Ask::Metadata);
        }
        if let Some(ask) = self.slots.iter_mut().find_map(|(claim, slot)| slot.ask(*claim, &self.bounds, now))
        {
            return Some(ask);
        }
        self.ask_fetch(now)
    }

    /// When [`Positions::ask`] may have more although nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let metadata = self.metadata.not_before.filter(|_| self.metadata.wanted && !self.metadata.asked);
        self.slots.values().filter_map(|slot| slot.not_before).chain(metadata).min()
    }

    fn ask_fetch(&mut self, now: Instant) -> Option<Ask> {
        let room = self.bounds.total_bytes.checked_sub(self.held_bytes).filter(|room| *room > 0)?;
        let (broker, _) = self.slots.values().find_map(|slot| {
            let target = slot.target(&self.bounds, now)?;
            (!self.busy.contains(&target.0)).then_some(target)
        })?;
        let mut slots: Vec<_> = self
            .slots
            .iter_mut()
            .filter_map(|(claim, slot)| match slot.target(&self.bounds, now) {
                Some((target, leader)) if target == broker => Some((*claim, slot, leader)),
                _ => None,
            })
            .collect();
        slots.sort_by_key(|(_, slot, _)| slot.served);
        self.fetches += 1;
        let id = self.fetches;
        let parts = slots.into_iter().filter_map(|(claim, slot, leader)| {
            let left = self.bounds.partition_bytes.saturating_sub(slot.held_bytes);
            let max_bytes = self.bounds.partition_fetch_bytes.min(left);
            slot.not_before = None;
            let Phase::Ready { at, .. } = slot.phase else { return None };
            slot.fetch = Some(id);
            let (partition, leader_epoch) = (slot.partition.clone(), leader.epoch);
            Some(Part { claim, partition, from: at, leader_epoch, max_bytes })
        });
        let parts: Vec<Part> = parts.collect();
        self.busy.insert(broker);
        let max_bytes = self.bounds.fetch_bytes.min(room);
        Some(Ask::Fetch(Question { id, broker, parts, max_bytes }))
    }

    fn end(&mut self, question: &Question) {
        for part in &question.parts {
            if let Some(slot) = self.slots.get_mut(&part.claim).filter(|slot| slot.fetch == Some(question.id))
            {
                slot.fetch = None;
            }
        }
    }

    fn named(&mut self, partition: &TopicPartition) -> Option<&mut Slot> {
        self.slots.get_mut(self.names.get(partition)?)
    }
}

impl Slot {
    /// What to ask before it can be fetched.
    fn ask(&mut self, claim: Claim, bounds: &ReadBounds, now: Instant) -> Option<Ask> {
        let leader = self.leader.filter(|_| self.not_before.is_none_or(|at| at <= now))?;
        let partition = self.partition.clone();
        match &mut self.phase {
            Phase::Reset { asked: asked @ false } => {
                (*asked, self.not_before) = (true, None);
                Some(Ask::Offset { claim, partition, leader, reset: bounds.reset })
            }
            Phase::Validate { at, asked: asked @ false } => {
                let Some(epoch) = at.epoch.filter(|_| leader.epoch >= 0) else {
                    // Written before epochs were known, or chosen by hand: there is nothing to compare.
                    self.phase = Phase::Ready { at: *at, checked_epoch: leader.epoch };
                    return None;
                };
                (*asked, self.not_before) = (true, None);
                Some(Ask::EpochEnd { claim, partition, leader, epoch })
            }
            _ => None,
        }
    }

    /// Which broker to fetch from now.
    fn target(&self, bounds: &ReadBounds, now: Instant) -> Option<(i32, Leader)> {
        let leader = self.leader?;
        let waits = self.not_before.is_some_and(|at| at > now);
        let ready = matches!(self.phase, Phase::Ready { .. }) && self.fetch.is_none();
        if !ready || waits || self.paused || self.held_bytes >= bounds.partition_bytes {
            return None;
        }
        let nearer = self.nearer.filter(|(_, until)| *until > now).map(|(broker, _)| broker);
        Some((nearer.unwrap_or(leader.broker), leader))
    }

    fn lead(&mut self, leader: Leader) {
        if self.leader == Some(leader) {
            return;
        }
        if self.leader.is_some_and(|known| known.broker != leader.broker) {
            // Its answer, if it comes, is of no use any more.
            self.fetch = None;
        }
        self.leader = Some(leader);
        (self.nearer, self.not_before) = (None, None);
        if let Phase::Ready { at, checked_epoch, .. } = self.phase
            && checked_epoch < leader.epoch
        {
            self.phase = Phase::Validate { at, asked: false };
        }
    }

    fn begin(&mut self, at: Next) {
        let checked_epoch = self.leader.map_or(-1, |leader| leader.epoch);
        self.phase = Phase::Ready { at, checked_epoch };
        self.backoff.reset();
        self.not_before = None;
    }

    /// Follows what a fetch brought. Gives whether newer metadata is needed.
    fn take(
        &mut self,
        brought: Brought,
        at: Next,
        broker: i32,
        bounds: &ReadBounds,
        now: Instant,
        told: &mut Vec<ConsumeError>,
    ) -> bool {
        match brought {
            Brought::Records { next, .. } => {
                if let Phase::Ready { at, .. } = &mut self.phase {
                    *at = next;
                }
                self.backoff.reset();
                self.reported = None;
            }
            Brought::Nearer { broker } => self.nearer = Some((broker, now + bounds.nearer_for)),
            Brought::Diverged { end } => self.truncated(at, Some(end), bounds, told),
            Brought::Unreadable { why } => {
                self.phase = Phase::Stopped;
                told.push(self.error(ConsumeErrorKind::Unreadable, &format!("offset {}: {why}", at.offset)));
            }
            // A follower may not have it yet, or any more.
            Brought::Error(ErrorCode::OFFSET_OUT_OF_RANGE)
                if self.leader.is_some_and(|l| l.broker != broker) =>
            {
                self.nearer = None;
            }
            Brought::Error(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                self.reset(bounds, &format!("offset {} is not in the log", at.offset), told);
            }
            Brought::Error(error) => return self.fail(error, now, told),
        }
        false
    }

    /// There is no position to read from.
    fn reset(&mut self, bounds: &ReadBounds, why: &str, told: &mut Vec<ConsumeError>) {
        self.phase = match bounds.reset {
            OffsetReset::Error => {
                let why = format!("{why}, and auto.offset.reset is none");
                told.push(self.error(ConsumeErrorKind::OffsetOutOfRange, &why));
                Phase::Stopped
            }
            _ => Phase::Reset { asked: false },
        };
    }

    /// Records that were read are not in the log of the new leader.
    fn truncated(&mut self, at: Next, end: Option<Next>, bounds: &ReadBounds, told: &mut Vec<ConsumeError>) {
        let epoch = at.epoch.unwrap_or(-1);
        let ends = end.map_or_else(String::new, |end| format!(": they end at offset {}", end.offset));
        let why = format!(
            "records up to offset {} of leader epoch {epoch} are not in the log any more{ends}",
            at.offset
        );
        told.push(self.error(ConsumeErrorKind::Truncated, &why));
        match (bounds.reset, end) {
            (OffsetReset::Error, _) => self.phase = Phase::Stopped,
            (_, Some(end)) => self.begin(end),
            (_, None) => self.phase = Phase::Reset { asked: false },
        }
    }

    /// Tries again later. Gives whether newer metadata is needed.
    fn fail(&mut self, error: ErrorCode, now: Instant, told: &mut Vec<ConsumeError>) -> bool {
        self.back_off(now);
        self.nearer = None;
        self.tell(error, told);
        // A broker that is behind our metadata catches up by itself.
        error != ErrorCode::UNKNOWN_LEADER_EPOCH
    }

    /// Tells what will not pass by itself, once.
    fn tell(&mut self, error: ErrorCode, told: &mut Vec<ConsumeError>) {
        if self.reported == Some(error) {
            return;
        }
        let kind = match error {
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => ConsumeErrorKind::Denied,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
                if self.backoff.failures() > 2 =>
            {
                ConsumeErrorKind::UnknownTopic
            }
            _ if error.is_retriable() => return,
            _ => ConsumeErrorKind::Other,
        };
        self.reported = Some(error);
        told.push(self.error(kind, &error.to_string()));
    }

    fn back_off(&mut self, now: Instant) {
        self.not_before = Some(now + self.backoff.next());
    }

    fn error(&self, kind: ConsumeErrorKind, why: &str) -> ConsumeError {
        ConsumeError { kind, message: format!("{}: {why}", self.partition) }
    }
}
