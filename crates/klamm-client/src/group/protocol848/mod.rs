//! A member of a `consumer` group (KIP-848): one heartbeat carries everything, the broker assigns.

mod reconcile;
#[cfg(test)]
mod sim;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;
use uuid::Uuid;

use super::{Coordinator, Membership, Settings, Subscription, Told};
use crate::backoff::Backoff;
use crate::{ConsumeError, ConsumeErrorKind, TopicPartition};

/// Partitions by the id of their topic, as the broker names them.
pub(crate) type Parts = BTreeSet<(Uuid, i32)>;

/// What to send; each ends by exactly one of the machine's methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `FindCoordinator`, ended by `coordinator`.
    Coordinator,
    /// `ConsumerGroupHeartbeat`, ended by `answered` or `heartbeat_lost`.
    Heartbeat(Heartbeat),
    /// The names of these topics, ended by `named`.
    Names(Vec<Uuid>),
}

/// A heartbeat's fields; what is `None` did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: String,
    /// 0 joins, -1 leaves, -2 leaves as a static member that comes back.
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) subscription: Option<Subscription>,
    pub(crate) owned: Option<Parts>,
}

/// The coordinator's answer to a heartbeat.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    pub(crate) message: Option<String>,
    pub(crate) member_id: Option<String>,
    pub(crate) epoch: i32,
    pub(crate) interval: Duration,
    /// All that this member is to own, if the broker says so.
    pub(crate) assignment: Option<Parts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Sends epoch 0.
    Joining,
    Joined,
    /// Sends the epoch of leaving; then the member is away, or ended.
    Leaving {
        for_good: bool,
    },
    /// Left because the application took nothing; comes back with it.
    Away,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Beat,
    Leave,
}

/// How often leaving is tried; afterwards the session's timeout does it.
const LEAVE_ATTEMPTS: u32 = 3;

/// The machine of a member.
#[derive(Debug)]
pub(crate) struct Protocol848 {
    settings: Settings,
    member_id: String,
    epoch: i32,
    phase: Phase,
    closing: bool,
    coordinator: Coordinator,
    sent: Option<Sent>,
    /// The next heartbeat says everything.
    full: bool,
    /// What the broker was told last.
    acknowledged: Option<Parts>,
    /// The broker waits for what this member owns now.
    acknowledge: bool,
    owned: BTreeMap<(Uuid, i32), TopicPartition>,
    /// The newest assignment, until it is reconciled.
    target: Option<Parts>,
    /// What the application gives up, and until when it may take.
    revoking: Option<(Parts, Instant)>,
    names: BTreeMap<Uuid, Arc<str>>,
    naming: bool,
    names_at: Option<Instant>,
    beat_at: Option<Instant>,
    coordinator_at: Option<Instant>,
    polled_at: Instant,
    leave_attempts: u32,
    /// The application took an event since the member began to leave.
    came_back: bool,
    backoff: Backoff,
    names_backoff: Backoff,
    told: VecDeque<Told>,
}

impl Protocol848 {
    /// A member that has not joined. Its id is the client's own since version 1 of the heartbeat.
    pub(crate) fn new(settings: Settings, member_id: Uuid, random: u64, now: Instant) -> Protocol848 {
        Protocol848 {
            settings,
            member_id: member_id.to_string(),
            epoch: 0,
            phase: Phase::Joining,
            closing: false,
            coordinator: Coordinator::Unknown,
            sent: None,
            full: true,
            acknowledged: None,
            acknowledge: false,
            owned: BTreeMap::new(),
            target: None,
            revoking: None,
            names: BTreeMap::new(),
            naming: false,
            names_at: None,
            beat_at: None,
            coordinator_at: None,
            polled_at: now,
            leave_attempts: 0,
            came_back: false,
            backoff: Backoff::of_java(random),
            names_backoff: Backoff::of_java(random ^ 1),
            told: VecDeque::new(),
        }
    }

    /// What to send now, if anything.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        self.check_poll(now);
        self.reconcile(now);
        if let Some(unknown) = self.ask_names(now) {
            return Some(Ask::Names(unknown));
        }
        if matches!(self.phase, Phase::Away | Phase::Ended) {
            return None;
        }
        match self.coordinator {
            Coordinator::Asked => return None,
            Coordinator::Unknown => {
                if self.coordinator_at.is_some_and(|at| now < at) {
                    return None;
                }
                self.coordinator = Coordinator::Asked;
                return Some(Ask::Coordinator);
            }
            Coordinator::Known => {}
        }
        let due = self.beat_at.is_none_or(|at| at <= now);
        if self.sent.is_some() || !due {
            return None;
        }
        Some(Ask::Heartbeat(self.heartbeat()))
    }

    /// Whether the coordinator was found.
    pub(crate) fn coordinator(&mut self, found: Result<(), Code>, now: Instant) {
        if self.coordinator != Coordinator::Asked {
            return;
        }
        self.coordinator = Coordinator::Unknown;
        match found {
            Ok(()) => self.coordinator = Coordinator::Known,
            Err(Code::GROUP_AUTHORIZATION_FAILED) => self.fatal(Code::GROUP_AUTHORIZATION_FAILED, None),
            Err(_) => {
                self.count_leave(now);
                self.coordinator_at = Some(now + self.backoff.next());
            }
        }
    }

    /// The coordinator answered a heartbeat.
    pub(crate) fn answered(&mut self, answer: Answer, now: Instant) {
        let Some(sent) = self.sent.take() else { return };
        match (self.phase, sent) {
            (Phase::Joining | Phase::Joined, Sent::Beat) => {}
            (Phase::Leaving { .. }, Sent::Leave) => {
                let moving = self.moved(answer.code) || answer.code == Code::COORDINATOR_LOAD_IN_PROGRESS;
                if moving {
                    self.leave_failed(now)
                } else {
                    self.left(now)
                }
                return;
            }
            // The member began to leave while it was on its way.
            _ => return,
        }
        if answer.code != Code::NONE {
            self.refused(answer.code, answer.message.as_deref(), now);
            return;
        }
        self.backoff.reset();
        if let Some(id) = answer.member_id.filter(|id| !id.is_empty()) {
            self.member_id = id;
        }
        self.epoch = answer.epoch;
        self.phase = Phase::Joined;
        self.beat_at = Some(if self.acknowledge { now } else { now + answer.interval });
        if let Some(assignment) = answer.assignment {
            self.target = Some(assignment);
        }
        self.reconcile(now);
    }

    /// No answer came: what the broker knows is unknown, and it is told everything again.
    pub(crate) fn heartbeat_lost(&mut self, now: Instant) {
        let Some(sent) = self.sent.take() else { return };
        self.coordinator = Coordinator::Unknown;
        self.full = true;
        match (self.phase, sent) {
            (Phase::Leaving { .. }, Sent::Leave) => self.leave_failed(now),
            (Phase::Leaving { .. }, Sent::Beat) => {}
            _ => self.again(now),
        }
    }

    /// The names of topics; those that are not there are asked for again.
    pub(crate) fn named(&mut self, names: impl IntoIterator<Item = (Uuid, Arc<str>)>, now: Instant) {
        if !std::mem::take(&mut self.naming) {
            return;
        }
        let before = self.names.len();
        self.names.extend(names);
        if self.names.len() > before {
            self.names_backoff.reset();
        }
        self.names_at = Some(now + self.names_backoff.next());
        self.reconcile(now);
    }

    /// The application gave up what the last [`Told::Revoking`] named.
    pub(crate) fn revoked(&mut self, now: Instant) {
        if let Some((parts, _)) = self.revoking.take() {
            self.owned.retain(|part, _| !parts.contains(part));
            self.after_revoke(now);
        }
    }

    /// The application took an event, or none waits for it.
    pub(crate) fn polled(&mut self, now: Instant) {
        self.polled_at = now;
        self.came_back = true;
        if self.phase == Phase::Away {
            self.rejoin(now);
        }
    }

    /// Gives up all partitions, then leaves.
    pub(crate) fn close(&mut self, now: Instant) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        match self.phase {
            Phase::Joining if self.full && self.sent.is_none() && self.backoff.failures() == 0 => {
                self.phase = Phase::Ended;
            }
            Phase::Joining => self.leave(now),
            Phase::Joined => self.reconcile(now),
            Phase::Leaving { .. } => self.phase = Phase::Leaving { for_good: true },
            Phase::Away => self.phase = Phase::Ended,
            Phase::Ended => {}
        }
    }

    /// Nothing more will be asked.
    pub(crate) fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What to tell the application next.
    pub(crate) fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Who commits.
    pub(crate) fn membership(&self) -> Option<Membership> {
        (self.phase == Phase::Joined).then(|| Membership {
            member_id: self.member_id.clone(),
            epoch: self.epoch,
            instance_id: self.settings.instance_id.clone(),
        })
    }

    /// When to ask again, at the latest.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Away | Phase::Ended) {
            return None;
        }
        let poll = (!self.closing && !matches!(self.phase, Phase::Leaving { .. }))
            .then(|| self.polled_at + self.settings.max_poll_interval);
        let revoke = self.revoking.as_ref().map(|(_, until)| *until);
        let beat = match self.coordinator {
            Coordinator::Known if self.sent.is_none() => self.beat_at,
            Coordinator::Unknown => self.coordinator_at,
            _ => None,
        };
        let names = self.names_at.filter(|_| !self.unnamed().is_empty());
        [poll, revoke, beat, names].into_iter().flatten().min()
    }

    fn heartbeat(&mut self) -> Heartbeat {
        let leaving = matches!(self.phase, Phase::Leaving { .. });
        let full = !leaving && (std::mem::take(&mut self.full) || self.phase == Phase::Joining);
        let owned: Parts = self.owned.keys().copied().collect();
        let tell = full
            || (!leaving
                && (self.acknowledge || self.acknowledged.as_ref().is_some_and(|told| *told != owned)));
        if tell {
            self.acknowledged = Some(owned.clone());
            self.acknowledge = false;
        }
        self.sent = Some(if leaving { Sent::Leave } else { Sent::Beat });
        self.beat_at = None;
        let epoch = match (leaving, &self.settings.instance_id) {
            (true, Some(_)) => -2,
            (true, None) => -1,
            (false, _) => self.epoch,
        };
        Heartbeat {
            member_id: self.member_id.clone(),
            epoch,
            instance_id: self.settings.instance_id.clone(),
            rack: self.settings.rack.clone().filter(|_| full),
            rebalance_timeout: full.then_some(self.settings.max_poll_interval),
            subscription: full.then(|| self.settings.subscription.clone()),
            owned: tell.then_some(owned),
        }
    }

    fn refused(&mut self, code: Code, message: Option<&str>, now: Instant) {
        self.full = true;
        match code {
            Code::FENCED_MEMBER_EPOCH | Code::UNKNOWN_MEMBER_ID => {
                let again = self.phase == Phase::Joining;
                self.lose_all();
                if self.closing {
                    self.phase = Phase::Ended;
                } else {
                    self.rejoin(now);
                    // A join that is refused is no reason to hurry.
                    if again {
                        self.again(now);
                    }
                }
            }
            Code::COORDINATOR_LOAD_IN_PROGRESS => self.again(now),
            _ if self.moved(code) => self.again(now),
            _ => self.fatal(code, message),
        }
    }

    fn moved(&mut self, code: Code) -> bool {
        let moved = matches!(code, Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE);
        if moved {
            self.coordinator = Coordinator::Unknown;
        }
        moved
    }

    fn again(&mut self, now: Instant) {
        let at = now + self.backoff.next();
        self.beat_at = Some(at);
        self.coordinator_at = Some(at);
    }

    fn rejoin(&mut self, now: Instant) {
        self.phase = Phase::Joining;
        self.epoch = 0;
        self.full = true;
        self.acknowledged = None;
        self.acknowledge = false;
        self.beat_at = Some(now);
    }

    fn check_poll(&mut self, now: Instant) {
        let over = now >= self.polled_at + self.settings.max_poll_interval;
        if over && !self.closing && matches!(self.phase, Phase::Joining | Phase::Joined) {
            let limit = self.settings.max_poll_interval.as_millis();
            self.lose_all();
            self.tell_error(
                ConsumeErrorKind::LeftBehind,
                format!("no event was taken for max.poll.interval.ms={limit}: the member leaves the group"),
            );
            self.leave(now);
        }
    }

    fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving { for_good: self.closing };
        self.leave_attempts = 0;
        self.came_back = false;
        self.beat_at = Some(now);
    }

    fn leave_failed(&mut self, now: Instant) {
        self.count_leave(now);
        self.again(now);
    }

    fn count_leave(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Leaving { .. }) {
            self.leave_attempts += 1;
            if self.leave_attempts >= LEAVE_ATTEMPTS {
                self.left(now);
            }
        }
    }

    fn left(&mut self, now: Instant) {
        let for_good = self.closing || matches!(self.phase, Phase::Leaving { for_good: true });
        self.phase = if for_good { Phase::Ended } else { Phase::Away };
        if self.phase == Phase::Away && self.came_back {
            self.rejoin(now);
        }
    }

    fn fatal(&mut self, code: Code, message: Option<&str>) {
        let kind = match code {
            Code::GROUP_AUTHORIZATION_FAILED | Code::TOPIC_AUTHORIZATION_FAILED => ConsumeErrorKind::Denied,
            _ => ConsumeErrorKind::Fatal,
        };
        self.lose_all();
        self.phase = Phase::Ended;
        let group = &self.settings.group;
        let said = message.unwrap_or(code.meaning());
        let text = format!("group {group}: {code}: {said}");
        self.tell_error(kind, text);
    }

    fn tell_error(&mut self, kind: ConsumeErrorKind, message: String) {
        self.told.push_back(Told::Error(ConsumeError { kind, message }));
    }
}
