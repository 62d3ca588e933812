//! Who the producer is: the id that `InitProducerId` gives, shared by all partitions.
//!
//! The epoch belongs to a partition. A broker keeps the state of an idempotent producer by partition and takes any higher epoch that
//! starts at sequence 0; nobody else judges it, and `InitProducerId` without a transactional id always gives a fresh id (KIP-360
//! raises the epoch at the coordinator only for transactions). Java raises it locally, too, but one for all partitions, so that each
//! has to drain once. Here a partition with a gap goes on alone.

use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode;

use crate::backoff::Backoff;

/// Id and epoch under which a partition's batches are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Whether a batch that left a gap may arrive yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// None may.
    Settled,
    /// One may.
    Open,
}

/// From this epoch on a fresh id is wanted.
const LAST_EPOCHS: i16 = i16::MAX - 1_000;

/// What an answer to `InitProducerId` changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identified {
    /// There is an id: partitions that waited may go on.
    Known,
    /// It will be asked again.
    Again,
    /// Asking again is of no use to what waits now.
    Refused(ErrorCode),
}

/// The source of identities.
#[derive(Debug)]
pub(crate) struct Ids {
    current: Option<Identity>,
    wanted: bool,
    asked: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
    complaint: Option<String>,
}

impl Ids {
    pub(crate) fn new(first: Duration, most: Duration, random: u64) -> Ids {
        let backoff = Backoff::new(first, most, random);
        Ids { current: None, wanted: false, asked: false, backoff, not_before: None, complaint: None }
    }

    /// The identity for a partition that has none, or whose present one has a gap. `None` until there is one; it is then asked for.
    ///
    /// A higher epoch fences what is still on its way under the old one; a fresh id does not. So the last epochs of an id are kept for
    /// gaps that are not `settled`, and a fresh id is taken at one that is.
    pub(crate) fn next(&mut self, present: Option<Identity>, gap: Gap) -> Option<Identity> {
        let Some(present) = present else {
            self.wanted |= self.current.is_none();
            return self.current;
        };
        let raised = present.epoch.checked_add(1).map(|epoch| Identity { epoch, ..present });
        if present.epoch < LAST_EPOCHS {
            return raised;
        }
        let fresh = self.current.filter(|current| current.id != present.id);
        self.wanted |= fresh.is_none();
        match gap {
            Gap::Settled => fresh.or(raised),
            Gap::Open => raised.or(fresh),
        }
    }

    /// Whether to ask now. Once it said so it waits for [`Ids::answered`] or [`Ids::failed`].
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let due = self.wanted && !self.asked && self.not_before.is_none_or(|at| at <= now);
        self.asked |= due;
        due
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.wanted && !self.asked)
    }

    /// What the last failed attempt said.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, answer: Result<Identity, ErrorCode>, now: Instant) -> Identified {
        match answer {
            Ok(identity) => {
                self.asked = false;
                self.wanted = false;
                self.current = Some(identity);
                self.complaint = None;
                self.not_before = None;
                self.backoff.reset();
                Identified::Known
            }
            Err(code) if code.is_retriable() => {
                self.failed(&format!("InitProducerId: {code}"), now);
                Identified::Again
            }
            Err(code) => {
                self.failed(&format!("InitProducerId: {code}"), now);
                // What comes later wants it again: rights may have been given by then.
                self.wanted = false;
                Identified::Refused(code)
            }
        }
    }

    /// No answer came.
    pub(crate) fn failed(&mut self, what: &str, now: Instant) {
        self.asked = false;
        self.complaint = Some(what.to_owned());
        self.not_before = Some(now + self.backoff.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(epoch: i16) -> (Ids, Option<Identity>) {
        let mut ids = Ids::new(Duration::from_millis(100), Duration::from_secs(1), 1);
        ids.answered(Ok(Identity { id: 5, epoch }), Instant::now());
        let first = ids.next(None, Gap::Settled);
        (ids, first)
    }

    #[test]
    fn an_epoch_is_raised_without_asking_anybody() {
        let (mut ids, first) = known(3);
        assert_eq!(ids.next(first, Gap::Open), Some(Identity { id: 5, epoch: 4 }));
        assert!(!ids.ask(Instant::now()));
    }

    #[test]
    fn a_fresh_id_is_taken_where_nothing_of_the_old_one_can_arrive() {
        let (mut ids, first) = known(LAST_EPOCHS);
        let raised = ids.next(first, Gap::Settled);
        assert_eq!(
            raised,
            Some(Identity { id: 5, epoch: LAST_EPOCHS + 1 }),
            "the fresh one is not there yet"
        );
        assert!(ids.ask(Instant::now()));
        let fresh = Identity { id: 6, epoch: 0 };
        ids.answered(Ok(fresh), Instant::now());
        assert_eq!(ids.next(raised, Gap::Open), Some(Identity { id: 5, epoch: LAST_EPOCHS + 2 }));
        assert_eq!(ids.next(raised, Gap::Settled), Some(fresh));
    }

    #[test]
    fn after_the_last_epoch_there_is_only_a_fresh_id() {
        let (mut ids, last) = known(i16::MAX);
        assert_eq!(ids.next(last, Gap::Open), None);
        ids.answered(Ok(Identity { id: 6, epoch: 0 }), Instant::now());
        assert_eq!(ids.next(last, Gap::Open), Some(Identity { id: 6, epoch: 0 }));
    }
}
