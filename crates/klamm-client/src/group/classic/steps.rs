//! What time brings, and what is to be asked next.

use std::time::{Duration, Instant};

use super::super::Told;
use super::super::assign::{ConsumerSubscription, Previous, SUBSCRIPTION_VERSION};
use super::{Ask, AskId, Classic, Leading, MemberId, Phase, What};
use crate::ConsumeErrorKind;

/// What Java adds to the time that an answer to `JoinGroup` may take.
const JOIN_LAPSE: Duration = Duration::from_secs(5);

impl Classic {
    /// The next thing to ask, until there is none: then at [`Classic::wake_at`], or when something has happened.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        self.pass(now);
        self.go_on(now);
        let what = self
            .ask_leave()
            .or_else(|| self.ask_coordinator(now))
            .or_else(|| self.ask_step(now))
            .or_else(|| self.ask_heartbeat(now))
            .or_else(|| self.ask_watch(now))?;
        let (id, what) = what;
        Some(Ask { id, what })
    }

    /// When [`Classic::ask`] may have more although nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let lookup = self.coordinator.retry.not_before.filter(|_| self.wants_coordinator());
        let is_ready = self.revoking.is_empty() && self.coordinator.broker.is_some();
        let step = match &self.phase {
            Phase::Unjoined if is_ready => self.join.not_before,
            Phase::Leading(leading) if leading.pending.is_none() => leading.not_before,
            _ => None,
        };
        let beats = self.beats();
        let heartbeat = beats.then_some(self.heart.at).filter(|_| self.heart.pending.is_none());
        let session = beats.then(|| self.heart.heard + self.settings.session_timeout);
        let watch = self.watch.as_ref().filter(|watch| watch.pending.is_none() && self.is_stable());
        let poll = self.is_polled().then(|| self.polled + self.settings.max_poll_interval);
        let revoking = self.revoking.front().map(|revoking| revoking.until);
        let all = [lookup, step, heartbeat, session, watch.map(|watch| watch.at), poll, revoking];
        all.into_iter().flatten().min()
    }

    /// What is over by now.
    pub(super) fn pass(&mut self, now: Instant) {
        while let Some(late) = self.revoking.pop_front_if(|revoking| revoking.until <= now) {
            late.partitions.iter().for_each(|partition| {
                self.owned.remove(partition);
            });
            self.told.push(Told::Lost(late.partitions));
        }
        if self.is_polled() && self.polled + self.settings.max_poll_interval <= now {
            self.step_away();
        }
        if self.beats() && self.heart.heard + self.settings.session_timeout <= now {
            self.lose_coordinator();
        }
    }

    /// Another broker may be the coordinator now.
    pub(super) fn lose_coordinator(&mut self) {
        self.coordinator.broker = None;
        self.heart.pending = None;
    }

    /// What follows of itself: a rebalance begins, or the end.
    fn go_on(&mut self, now: Instant) {
        match self.phase {
            Phase::Stable if self.rejoin.is_some() && self.revoking.is_empty() => {
                if !self.is_cooperative() {
                    self.revoke_all(now);
                }
                self.phase = Phase::Unjoined;
            }
            Phase::Closing if self.revoking.is_empty() => {
                self.say_farewell("the consumer is being closed");
                self.drop_out(MemberId::Gone);
                self.phase = Phase::Ended;
            }
            _ => {}
        }
    }

    /// The application was not there for too long.
    fn step_away(&mut self) {
        let was_in = !self.member_id.is_empty();
        self.say_farewell("consumer poll timeout has expired");
        self.drop_out(MemberId::Gone);
        self.phase = Phase::Away;
        if was_in {
            let interval = self.settings.max_poll_interval;
            let why = format!("left, because no event was taken for {interval:?} (max.poll.interval.ms)");
            self.tell(ConsumeErrorKind::LeftBehind, &why);
        }
    }

    /// Only dynamic members leave: the place of a static one is kept until its session is over.
    fn say_farewell(&mut self, reason: &'static str) {
        if let Some(broker) = self.coordinator.broker
            && self.settings.instance_id.is_none()
            && !self.member_id.is_empty()
        {
            self.leave = Some(What::Leave { broker, member_id: self.member_id.clone(), reason });
        }
    }

    fn ask_leave(&mut self) -> Option<(AskId, What)> {
        let what = self.leave.take()?;
        let id = self.next_id();
        self.leaving = Some(id);
        Some((id, what))
    }

    fn ask_coordinator(&mut self, now: Instant) -> Option<(AskId, What)> {
        if !self.wants_coordinator() || !self.coordinator.retry.is_due(now) {
            return None;
        }
        let id = self.next_id();
        self.coordinator.pending = Some(id);
        Some((id, What::Coordinator))
    }

    fn ask_step(&mut self, now: Instant) -> Option<(AskId, What)> {
        let broker = self.coordinator.broker;
        match &mut self.phase {
            Phase::Unjoined if self.revoking.is_empty() && self.join.is_due(now) => self.ask_join(broker?),
            Phase::Leading(Leading { pending: None, not_before, topics, .. })
                if not_before.is_none_or(|at| at <= now) =>
            {
                let topics = topics.clone();
                let id = self.next_id();
                if let Phase::Leading(leading) = &mut self.phase {
                    leading.pending = Some(id);
                }
                Some((id, What::Topics(topics)))
            }
            Phase::Syncing { pending: None, strategy, assignments } => {
                let (broker, generation, strategy) = (broker?, self.generation?, *strategy);
                let assignments = std::mem::take(assignments);
                let id = self.next_id();
                self.phase = Phase::Syncing { pending: Some(id), strategy, assignments: Vec::new() };
                let member_id = self.member_id.clone();
                Some((id, What::Sync { broker, member_id, generation, strategy, assignments }))
            }
            _ => None,
        }
    }

    fn ask_join(&mut self, broker: i32) -> Option<(AskId, What)> {
        let id = self.next_id();
        self.phase = Phase::Joining(id);
        // What a heartbeat would tell, the join tells as well.
        (self.heart.pending, self.watch) = (None, None);
        let said = ConsumerSubscription {
            topics: self.topics.clone(),
            user_data: None,
            owned: self.owned.iter().cloned().collect(),
            generation: self.generation,
            rack: self.settings.rack.as_deref().map(Into::into),
        };
        let protocols = self.strategies.iter().map(|strategy| {
            let user_data = match strategy {
                super::Strategy::Sticky => self.previous.as_ref().map(Previous::encode),
                super::Strategy::CooperativeSticky => {
                    Some(Previous::encode_generation(self.cooperative_generation))
                }
                super::Strategy::Range | super::Strategy::RoundRobin => None,
            };
            (*strategy, ConsumerSubscription { user_data, ..said.clone() }.encode(SUBSCRIPTION_VERSION))
        });
        let what = What::Join {
            broker,
            member_id: self.member_id.clone(),
            protocols: protocols.collect(),
            reason: self.rejoin.take().unwrap_or(""),
            timeout: self.settings.max_poll_interval + JOIN_LAPSE,
        };
        Some((id, what))
    }

    fn ask_heartbeat(&mut self, now: Instant) -> Option<(AskId, What)> {
        if !self.beats() || self.heart.pending.is_some() || self.heart.at > now {
            return None;
        }
        let (broker, generation) = (self.coordinator.broker?, self.generation?);
        let id = self.next_id();
        self.heart.pending = Some(id);
        self.heart.at = now + self.settings.heartbeat_interval;
        Some((id, What::Heartbeat { broker, member_id: self.member_id.clone(), generation }))
    }

    fn ask_watch(&mut self, now: Instant) -> Option<(AskId, What)> {
        let is_due = |watch: &&mut super::Watch| watch.pending.is_none() && watch.at <= now;
        if !self.is_stable() || self.watch.as_mut().filter(is_due).is_none() {
            return None;
        }
        let id = self.next_id();
        let watch = self.watch.as_mut()?;
        watch.pending = Some(id);
        Some((id, What::Topics(watch.topics.clone())))
    }

    fn wants_coordinator(&self) -> bool {
        let goes_on = !matches!(self.phase, Phase::Joining(_) | Phase::Away | Phase::Ended | Phase::Closing);
        goes_on && self.coordinator.broker.is_none() && self.coordinator.pending.is_none()
    }

    /// Whether the coordinator is to hear of this member.
    fn beats(&self) -> bool {
        let is_quiet = matches!(self.phase, Phase::Joining(_) | Phase::Away | Phase::Ended);
        self.generation.is_some() && self.coordinator.broker.is_some() && !is_quiet
    }

    /// Whether it matters that the application is there. While it joins, the coordinator has the word.
    fn is_polled(&self) -> bool {
        !matches!(self.phase, Phase::Joining(_) | Phase::Away | Phase::Closing | Phase::Ended)
    }

    fn is_stable(&self) -> bool {
        matches!(self.phase, Phase::Stable)
    }
}
