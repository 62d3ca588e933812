//! One transactional id: who holds it, and what may come next. Pure transitions, after Kafka's `TransactionMetadata` and
//! `TransactionCoordinator`: each gives the state that is to be journalled, and changes nothing.

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::log::{Marker, Outcome, TransactionVersion};

/// The last epoch is never handed out: a coordinator keeps it to fence with.
const EXHAUSTED: i16 = i16::MAX - 1;
const NO_ID: i64 = -1;
const NO_EPOCH: i16 = -1;
const NO_TIME: i64 = -1;

/// Epoch of the only coordinator there ever is.
pub(super) const COORDINATOR_EPOCH: i32 = 0;

/// A producer id and an epoch of it.
pub(crate) type Holder = (i64, i16);

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// Gives an id that was never handed out.
pub(super) type NewId<'a> = &'a mut dyn FnMut() -> Result<i64, ErrorCode>;

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Empty,
    Ongoing,
    /// The outcome is certain; markers are being written.
    Prepare(Outcome),
    Complete(Outcome),
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 6] = [
        Phase::Empty,
        Phase::Ongoing,
        Phase::Prepare(Outcome::Commit),
        Phase::Prepare(Outcome::Abort),
        Phase::Complete(Outcome::Commit),
        Phase::Complete(Outcome::Abort),
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Ongoing => "Ongoing",
            Phase::Prepare(Outcome::Commit) => "PrepareCommit",
            Phase::Prepare(Outcome::Abort) => "PrepareAbort",
            Phase::Complete(Outcome::Commit) => "CompleteCommit",
            Phase::Complete(Outcome::Abort) => "CompleteAbort",
        }
    }
}

/// The state of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Txn {
    pub producer_id: i64,
    /// Before the last transition: tells a repetition over an epoch that ran out.
    prev_producer_id: i64,
    /// Takes over when the transaction is complete; -1 while the epoch suffices.
    next_producer_id: i64,
    pub epoch: i16,
    last_epoch: i16,
    pub timeout_ms: i32,
    pub phase: Phase,
    pub partitions: BTreeSet<Place>,
    /// When it began; -1 before the first.
    pub start_ms: i64,
    pub updated_ms: i64,
    version: TransactionVersion,
}

/// What `InitProducerId` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Init {
    Ready(Txn),
    /// A transaction is open: it is aborted first, and the caller asks again.
    Fence(Txn),
}

/// What `EndTxn` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Prepared(Txn),
    /// It ended like this before: the answer was lost.
    Repeated(Holder),
}

impl Txn {
    /// A transactional id that nobody has held.
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            prev_producer_id: NO_ID,
            next_producer_id: NO_ID,
            epoch: NO_EPOCH,
            last_epoch: NO_EPOCH,
            timeout_ms,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            start_ms: NO_TIME,
            updated_ms: now_ms,
            version: TransactionVersion::Classic,
        }
    }

    pub fn holder(&self) -> Holder {
        (self.producer_id, self.epoch)
    }

    /// A producer takes the id. `held` is what it believes to be its own (KIP-360).
    pub fn init(
        &self,
        held: Option<Holder>,
        timeout_ms: i32,
        now_ms: i64,
        new_id: NewId<'_>,
    ) -> Result<Init, ErrorCode> {
        if !held.is_none_or(|held| self.accepts(held)) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.phase {
            Phase::Prepare(_) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ongoing => self.fence(now_ms, new_id).map(Init::Fence),
            Phase::Empty | Phase::Complete(_) => {
                let rotates = self.is_exhausted() && held.is_none_or(|(_, epoch)| epoch == self.epoch);
                let (producer_id, epoch, last_epoch) = match rotates {
                    true => (new_id()?, 0, held.map_or(NO_EPOCH, |_| self.epoch)),
                    false => {
                        let (epoch, last) = self.next_epoch(held.map(|(_, epoch)| epoch))?;
                        (self.producer_id, epoch, last)
                    }
                };
                Ok(Init::Ready(Txn {
                    producer_id,
                    epoch,
                    last_epoch,
                    timeout_ms,
                    phase: Phase::Empty,
                    partitions: BTreeSet::new(),
                    start_ms: NO_TIME,
                    ..self.step(now_ms)
                }))
            }
        }
    }

    /// Whether a producer that holds this may go on: it is the current one, or repeats what it got no answer to.
    fn accepts(&self, (id, epoch): Holder) -> bool {
        self.epoch == NO_EPOCH
            || id == self.producer_id
            || (id == self.prev_producer_id && epoch >= EXHAUSTED)
    }

    fn next_epoch(&self, held: Option<i16>) -> Result<(i16, i16), ErrorCode> {
        if self.is_exhausted() {
            // Kafka's coordinator fails there with an exception of its own.
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        match held {
            None => Ok((self.epoch + 1, NO_EPOCH)),
            Some(held) if self.epoch == NO_EPOCH || held == self.epoch => Ok((self.epoch + 1, self.epoch)),
            Some(held) if held == self.last_epoch => Ok((self.epoch, self.last_epoch)),
            Some(_) => Err(ErrorCode::PRODUCER_FENCED),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.epoch >= EXHAUSTED
    }

    /// Aborts what is open on the broker's own account: it took too long, or another producer takes the id.
    pub fn fence(&self, now_ms: i64, new_id: NewId<'_>) -> Result<Txn, ErrorCode> {
        self.prepared(Outcome::Abort, TransactionVersion::Two, now_ms, new_id)
    }

    /// Partitions join the transaction, which begins if none is open. `None`: they are in it.
    pub fn add(
        &self,
        holder: Holder,
        partitions: &BTreeSet<Place>,
        version: TransactionVersion,
        now_ms: i64,
    ) -> Result<Option<Txn>, ErrorCode> {
        self.check_holder(holder)?;
        let ongoing = self.phase == Phase::Ongoing;
        if ongoing && self.partitions.is_superset(partitions) {
            return Ok(None);
        }
        let start_ms = if ongoing { self.start_ms } else { now_ms };
        let partitions = self.partitions.union(partitions).cloned().collect();
        Ok(Some(Txn { phase: Phase::Ongoing, partitions, start_ms, version, ..self.step(now_ms) }))
    }

    /// Whether a partition is in the transaction.
    pub fn verify(&self, holder: Holder, partition: &Place) -> Result<(), ErrorCode> {
        self.check_holder(holder)?;
        match self.partitions.contains(partition) {
            true => Ok(()),
            false => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    fn check_holder(&self, (id, epoch): Holder) -> Result<(), ErrorCode> {
        if id != self.producer_id {
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        } else if epoch != self.epoch {
            Err(ErrorCode::PRODUCER_FENCED)
        } else if matches!(self.phase, Phase::Prepare(_)) {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        } else {
            Ok(())
        }
    }

    /// The producer ends its transaction.
    pub fn end(
        &self,
        holder: Holder,
        ended: Outcome,
        version: TransactionVersion,
        now_ms: i64,
        new_id: NewId<'_>,
    ) -> Result<End, ErrorCode> {
        match version {
            TransactionVersion::Classic => self.end_classic(holder, ended, now_ms, new_id),
            TransactionVersion::Two => self.end_with_bump(holder, ended, now_ms, new_id),
        }
    }

    fn end_classic(
        &self,
        (id, epoch): Holder,
        ended: Outcome,
        now_ms: i64,
        new_id: NewId<'_>,
    ) -> Result<End, ErrorCode> {
        if id != self.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if epoch != self.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.phase {
            Phase::Ongoing => {
                self.prepared(ended, TransactionVersion::Classic, now_ms, new_id).map(End::Prepared)
            }
            Phase::Complete(before) if before == ended => Ok(End::Repeated((NO_ID, NO_EPOCH))),
            Phase::Prepare(before) if before == ended => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// With transactions of version 2 the same state and epoch mean the next end, not a repetition: that brings the epoch before.
    fn end_with_bump(
        &self,
        (id, epoch): Holder,
        ended: Outcome,
        now_ms: i64,
        new_id: NewId<'_>,
    ) -> Result<End, ErrorCode> {
        let over_the_end = id == self.prev_producer_id && epoch == EXHAUSTED && self.epoch == 0;
        let bumped = i32::from(epoch) + 1 == i32::from(self.epoch);
        let repeats = bumped || over_the_end;
        if id != self.producer_id && !over_the_end {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let valid = match self.phase {
            Phase::Ongoing | Phase::Empty => epoch == self.epoch,
            Phase::Prepare(_) => bumped,
            Phase::Complete(_) => repeats || epoch == self.epoch,
        };
        if !valid {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.phase {
            Phase::Ongoing => {
                self.prepared(ended, TransactionVersion::Two, now_ms, new_id).map(End::Prepared)
            }
            Phase::Prepare(before) if before == ended => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Complete(before) if repeats && before == ended => Ok(End::Repeated(self.holder())),
            // Nothing was written: the abort still raises the epoch.
            Phase::Empty | Phase::Complete(_) if !repeats && ended == Outcome::Abort => {
                self.prepared(ended, TransactionVersion::Two, now_ms, new_id).map(End::Prepared)
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// The outcome is certain from here.
    fn prepared(
        &self,
        ended: Outcome,
        version: TransactionVersion,
        now_ms: i64,
        new_id: NewId<'_>,
    ) -> Result<Txn, ErrorCode> {
        // An end of nothing begins where it ends.
        let start_ms = if self.phase == Phase::Ongoing { self.start_ms } else { now_ms };
        let mut next = Txn { phase: Phase::Prepare(ended), start_ms, version, ..self.step(now_ms) };
        next.next_producer_id = NO_ID;
        if version == TransactionVersion::Two {
            if self.is_exhausted() {
                next.next_producer_id = new_id()?;
            }
            next.last_epoch = self.epoch;
            next.epoch = self.epoch.saturating_add(1);
        }
        Ok(next)
    }

    /// All markers are written.
    pub fn completed(&self, now_ms: i64) -> Txn {
        let phase = match self.phase {
            Phase::Prepare(ended) => Phase::Complete(ended),
            other => other,
        };
        let (producer_id, epoch) = match self.next_producer_id {
            NO_ID => (self.producer_id, self.epoch),
            next => (next, 0),
        };
        let partitions = BTreeSet::new();
        Txn { producer_id, epoch, next_producer_id: NO_ID, phase, partitions, ..self.step(now_ms) }
    }

    /// What is written into its partitions, and by which rules; `None` unless the outcome is certain.
    pub fn marker(&self) -> Option<(Marker, TransactionVersion)> {
        let Phase::Prepare(ended) = self.phase else { return None };
        let marker = Marker {
            producer_id: self.producer_id,
            epoch: self.epoch,
            outcome: ended,
            coordinator_epoch: COORDINATOR_EPOCH,
        };
        Some((marker, self.version))
    }

    /// Whether it is open for longer than its producer allowed.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.phase == Phase::Ongoing && self.start_ms.saturating_add(self.timeout_ms.into()) < now_ms
    }

    /// Whether nobody has used it for `keep_ms` (`transactional.id.expiration.ms`).
    pub fn is_expired(&self, now_ms: i64, keep_ms: i64) -> bool {
        let idle = matches!(self.phase, Phase::Empty | Phase::Complete(_));
        idle && self.updated_ms.saturating_add(keep_ms) <= now_ms
    }

    /// Every transition remembers the id before it.
    fn step(&self, now_ms: i64) -> Txn {
        Txn { prev_producer_id: self.producer_id, updated_ms: now_ms, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
