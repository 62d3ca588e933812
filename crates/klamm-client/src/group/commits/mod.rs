//! Commits of one consumer: one request at a time, the newest position of each partition, an outcome for each call.

#[cfg(test)]
mod sim;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use klamm_kafka::ErrorCode as Code;

use super::{Coordinator, Membership};
use crate::backoff::Backoff;
use crate::fetch::Next;
use crate::{CommitError, CommitErrorKind, TopicPartition};

/// What to send; each ends by exactly one of the machine's methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `FindCoordinator`, ended by `coordinator`.
    Coordinator,
    /// `OffsetCommit`, ended by `committed` or `commit_lost`.
    Commit { membership: Membership, offsets: Vec<(TopicPartition, Next)> },
    /// `OffsetFetch` with `require_stable`, ended by `fetched` or `fetch_lost`.
    Fetch { membership: Membership, partitions: Vec<TopicPartition> },
}

/// What a call to commit came to.
pub(crate) type Outcome = (u64, Result<(), CommitError>);
/// The committed position of a partition, if there is one.
pub(crate) type Found = (TopicPartition, Result<Option<Next>, Code>);

#[derive(Debug)]
struct Call {
    deadline: Instant,
    /// Partitions without an outcome.
    left: usize,
    error: Option<CommitError>,
}

#[derive(Debug)]
struct Pending {
    next: Next,
    tickets: Vec<u64>,
    /// The partition was lost while the request was on its way: never sent again.
    lost: bool,
}

#[derive(Debug)]
struct Sent {
    membership: Membership,
    parts: BTreeMap<TopicPartition, Pending>,
}

/// The machine of commits.
#[derive(Debug)]
pub(crate) struct Commits {
    membership: Option<Membership>,
    calls: BTreeMap<u64, Call>,
    next_ticket: u64,
    waiting: BTreeMap<TopicPartition, Pending>,
    sent: Option<Sent>,
    wanted: BTreeSet<TopicPartition>,
    /// What the request on its way asks for, without what was lost meanwhile.
    fetching: Option<BTreeSet<TopicPartition>>,
    coordinator: Coordinator,
    backoff: Backoff,
    not_before: Option<Instant>,
    outcomes: VecDeque<Outcome>,
    found: VecDeque<Found>,
}

impl Commits {
    /// `random` decides the jitter of retries.
    pub(crate) fn new(random: u64) -> Commits {
        Commits {
            membership: None,
            calls: BTreeMap::new(),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            sent: None,
            wanted: BTreeSet::new(),
            fetching: None,
            coordinator: Coordinator::Unknown,
            backoff: Backoff::of_java(random),
            not_before: None,
            outcomes: VecDeque::new(),
            found: VecDeque::new(),
        }
    }

    /// Commits these; the ticket names the outcome. A later call wins over an earlier one that was not sent yet.
    pub(crate) fn commit(&mut self, offsets: Vec<(TopicPartition, Next)>, deadline: Instant) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if offsets.is_empty() {
            self.outcomes.push_back((ticket, Ok(())));
        } else if self.membership.is_none() {
            self.outcomes.push_back((ticket, Err(not_member("this consumer is not in the group"))));
        } else {
            let offsets: BTreeMap<_, _> = offsets.into_iter().collect();
            self.calls.insert(ticket, Call { deadline, left: offsets.len(), error: None });
            for (partition, next) in offsets {
                let pending = self.waiting.entry(partition).or_insert(Pending {
                    next,
                    tickets: Vec::new(),
                    lost: false,
                });
                pending.next = next;
                pending.tickets.push(ticket);
            }
        }
        ticket
    }

    /// Looks up where these were committed.
    pub(crate) fn look_up(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.wanted.extend(partitions);
    }

    /// Who commits from now on. Without a membership all that was not sent is over.
    pub(crate) fn membership(&mut self, membership: Option<Membership>) {
        if membership.is_none() {
            let all: Vec<_> = self.waiting.keys().cloned().collect();
            self.lost(&all);
            if let Some(sent) = &mut self.sent {
                sent.parts.values_mut().for_each(|part| part.lost = true);
            }
        }
        self.membership = membership;
    }

    /// These are another's, or were given up: nothing more is sent for them.
    pub(crate) fn lost(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.wanted.remove(partition);
            if let Some(fetching) = &mut self.fetching {
                fetching.remove(partition);
            }
            if let Some(part) = self.sent.as_mut().and_then(|sent| sent.parts.get_mut(partition)) {
                part.lost = true;
            }
            if let Some(pending) = self.waiting.remove(partition) {
                self.end(&pending.tickets, Some(&not_member("the partition is another's")));
            }
        }
    }

    /// What to send now, if anything.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        self.expire(now);
        let membership = self.membership.clone()?;
        let commit = self.wants_commit();
        if !(commit || self.wants_fetch()) || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        match self.coordinator {
            Coordinator::Asked => return None,
            Coordinator::Unknown => {
                self.coordinator = Coordinator::Asked;
                return Some(Ask::Coordinator);
            }
            Coordinator::Known => {}
        }
        if commit {
            let parts = std::mem::take(&mut self.waiting);
            let offsets = parts.iter().map(|(partition, part)| (partition.clone(), part.next)).collect();
            self.sent = Some(Sent { membership: membership.clone(), parts });
            return Some(Ask::Commit { membership, offsets });
        }
        self.fetching = Some(self.wanted.clone());
        Some(Ask::Fetch { membership, partitions: self.wanted.iter().cloned().collect() })
    }

    /// Whether the coordinator was found.
    pub(crate) fn coordinator(&mut self, found: Result<(), Code>, now: Instant) {
        if self.coordinator != Coordinator::Asked {
            return;
        }
        match found {
            Ok(()) => self.coordinator = Coordinator::Known,
            Err(code) => {
                self.coordinator = Coordinator::Unknown;
                if code == Code::GROUP_AUTHORIZATION_FAILED {
                    for pending in std::mem::take(&mut self.waiting).into_values() {
                        self.end(&pending.tickets, Some(&failed(code)));
                    }
                }
                self.wait(now);
            }
        }
    }

    /// The coordinator's answer, by partition. One that it does not name is sent again.
    pub(crate) fn committed(&mut self, answers: &[(TopicPartition, Code)], now: Instant) {
        let Some(mut sent) = self.sent.take() else { return };
        let mut again = false;
        for (partition, code) in answers {
            let Some(part) = sent.parts.remove(partition) else { continue };
            if *code == Code::NONE {
                self.end(&part.tickets, None);
            } else if self.is_tried_again(*code, &sent.membership) {
                self.note(*code);
                again = true;
                self.put_back(partition.clone(), part);
            } else {
                self.end(&part.tickets, Some(&failed(*code)));
            }
        }
        again |= !sent.parts.is_empty();
        for (partition, part) in sent.parts {
            self.put_back(partition, part);
        }
        if again { self.wait(now) } else { self.works() }
    }

    /// The request or its answer was lost: it says the same when it is sent again.
    pub(crate) fn commit_lost(&mut self, now: Instant) {
        self.coordinator = Coordinator::Unknown;
        self.committed(&[], now);
    }

    /// Committed positions, by partition.
    pub(crate) fn fetched(&mut self, answers: Vec<Found>, now: Instant) {
        let Some(mut asked) = self.fetching.take() else { return };
        let mut again = false;
        for (partition, found) in answers {
            match found {
                Err(code)
                    if is_moving(code) || is_of_member(code) || code == Code::UNSTABLE_OFFSET_COMMIT =>
                {
                    self.note(code);
                    again = true;
                }
                // Lost in the meantime: nobody waits for it.
                found if asked.remove(&partition) && self.wanted.remove(&partition) => {
                    self.found.push_back((partition, found))
                }
                _ => {}
            }
        }
        if again { self.wait(now) } else { self.works() }
    }

    /// No answer came.
    pub(crate) fn fetch_lost(&mut self, now: Instant) {
        if self.fetching.take().is_some() {
            self.coordinator = Coordinator::Unknown;
            self.wait(now);
        }
    }

    /// The next outcome of a call.
    pub(crate) fn outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// The next committed position.
    pub(crate) fn found(&mut self) -> Option<Found> {
        self.found.pop_front()
    }

    /// When to ask again, at the latest.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let waiting = self.waiting.values().flat_map(|pending| &pending.tickets);
        let deadline = waiting.filter_map(|ticket| self.calls.get(ticket)).map(|call| call.deadline).min();
        let waits = self.membership.is_some()
            && self.coordinator != Coordinator::Asked
            && (self.wants_commit() || self.wants_fetch());
        deadline.into_iter().chain(self.not_before.filter(|_| waits)).min()
    }

    fn wants_commit(&self) -> bool {
        self.sent.is_none() && !self.waiting.is_empty()
    }

    fn wants_fetch(&self) -> bool {
        self.fetching.is_none() && !self.wanted.is_empty()
    }

    fn put_back(&mut self, partition: TopicPartition, mut part: Pending) {
        if part.lost {
            self.end(&part.tickets, Some(&not_member("the partition is another's")));
        } else if let Some(newer) = self.waiting.get_mut(&partition) {
            newer.tickets.append(&mut part.tickets);
        } else {
            self.waiting.insert(partition, part);
        }
    }

    /// Ends calls whose time is over and that nothing is on its way for.
    fn expire(&mut self, now: Instant) {
        let mut over = Vec::new();
        for pending in self.waiting.values_mut() {
            pending.tickets.retain(|ticket| {
                let late = self.calls.get(ticket).is_none_or(|call| call.deadline <= now);
                if late {
                    over.push(*ticket);
                }
                !late
            });
        }
        self.waiting.retain(|_, pending| !pending.tickets.is_empty());
        let error = CommitError::new(
            CommitErrorKind::Coordinator,
            "the coordinator did not acknowledge them in time",
        );
        self.end(&over, Some(&error));
    }

    /// One partition of each of these calls has its outcome.
    fn end(&mut self, tickets: &[u64], error: Option<&CommitError>) {
        for ticket in tickets {
            let Some(call) = self.calls.get_mut(ticket) else { continue };
            call.left = call.left.saturating_sub(1);
            if call.error.is_none() {
                call.error = error.cloned();
            }
            if call.left == 0
                && let Some(call) = self.calls.remove(ticket)
            {
                self.outcomes.push_back((*ticket, call.error.map_or(Ok(()), Err)));
            }
        }
    }

    fn is_tried_again(&self, code: Code, asked: &Membership) -> bool {
        let newer = || {
            self.membership.as_ref().is_some_and(|m| m.member_id == asked.member_id && m.epoch > asked.epoch)
        };
        is_moving(code)
            || code == Code::REBALANCE_IN_PROGRESS
            || (code == Code::STALE_MEMBER_EPOCH && newer())
    }

    fn note(&mut self, code: Code) {
        if matches!(code, Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE | Code::REQUEST_TIMED_OUT)
            && self.coordinator == Coordinator::Known
        {
            self.coordinator = Coordinator::Unknown;
        }
    }

    fn wait(&mut self, now: Instant) {
        self.not_before = Some(now + self.backoff.next());
    }

    fn works(&mut self) {
        self.backoff.reset();
        self.not_before = None;
    }
}

fn is_moving(code: Code) -> bool {
    matches!(
        code,
        Code::NOT_COORDINATOR
            | Code::COORDINATOR_NOT_AVAILABLE
            | Code::COORDINATOR_LOAD_IN_PROGRESS
            | Code::REQUEST_TIMED_OUT
            | Code::UNKNOWN_TOPIC_OR_PARTITION
    )
}

fn is_of_member(code: Code) -> bool {
    matches!(
        code,
        Code::ILLEGAL_GENERATION
            | Code::UNKNOWN_MEMBER_ID
            | Code::FENCED_INSTANCE_ID
            | Code::STALE_MEMBER_EPOCH
            | Code::FENCED_MEMBER_EPOCH
    )
}

fn not_member(why: &str) -> CommitError {
    CommitError::new(CommitErrorKind::NotMember, why)
}

fn failed(code: Code) -> CommitError {
    let kind = match code {
        _ if is_of_member(code) => CommitErrorKind::NotMember,
        Code::GROUP_AUTHORIZATION_FAILED | Code::TOPIC_AUTHORIZATION_FAILED => CommitErrorKind::Denied,
        _ => CommitErrorKind::Other,
    };
    CommitError::new(kind, code.to_string())
}
