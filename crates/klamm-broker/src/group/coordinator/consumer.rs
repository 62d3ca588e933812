//! The requests of the `consumer` protocol.

use std::io;

use klamm_kafka::ErrorCode;

use super::super::assign::Assignment;
use super::super::consumer::{
    Beat, BeatAnswer, Changes, ConsumerGroup, Downgrade, LEFT_FOR_NOW, Member, Scene,
};
use super::super::ledger::Entry;
use super::super::messages::{Phase, Replies};
use super::super::settings::ASSIGNMENT_INTERVAL;
use super::{Coordinator, Slot, State, scene};
use crate::error::Refusal;
use crate::topics::Topics;

/// `member_epoch` of a member that joins, and of one that leaves for good.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;

/// A group as `ConsumerGroupDescribe` tells it.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerDescription {
    pub state: &'static str,
    pub epoch: i32,
    pub target_epoch: i32,
    pub assignor: &'static str,
    /// Each member with what the target assignment gives it.
    pub members: Vec<(Member, Assignment)>,
}

/// How the change of a group ends in its place.
enum Place {
    /// It is there already, as it was before the change.
    Taken,
    /// It is new, or takes the place of a classic group; these replies go to the members of that one.
    New(Replies),
}

impl Coordinator {
    /// Answers a heartbeat, with the interval at which the next one is expected, in milliseconds. Expressions match topics
    /// that the member `may_describe`.
    pub fn consumer_heartbeat(
        &self,
        group: &str,
        beat: Beat,
        topics: &Topics,
        may_describe: &dyn Fn(&str) -> bool,
    ) -> Result<(BeatAnswer, i32), Refusal> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let interval_ms = self.settings_of(state, group).heartbeat_interval_ms;
        if matches!(beat.epoch, LEAVING | LEFT_FOR_NOW) {
            return self.consumer_leave(state, group, &beat, topics).map(|answer| (answer, 0));
        }
        if let Some(answer) = self.heartbeat_at_rest(state, group, &beat, topics) {
            return Ok((answer, interval_ms));
        }
        let (known, place) = self.consumer_group(state, group, beat.epoch == JOINING, topics)?;
        let answer = self.change(state, group, known, place, topics, |known, scene| {
            known.heartbeat(beat, scene, may_describe)
        })?;
        Ok((answer, interval_ms))
    }

    fn heartbeat_at_rest(
        &self,
        state: &mut State,
        group: &str,
        beat: &Beat,
        topics: &Topics,
    ) -> Option<BeatAnswer> {
        let image = state.look(topics);
        let settings = self.settings_of(state, group);
        let Some(Slot::Consumer(known)) = state.groups.get_mut(group) else { return None };
        // The session only grows, so the watch task sleeps no longer than it may.
        known.heartbeat_at_rest(beat, scene(&image, &settings, self.clock.monotonic_ms()))
    }

    /// The group that a heartbeat goes to; for a member that joins it is made, or made of a classic one.
    fn consumer_group(
        &self,
        state: &mut State,
        group: &str,
        joins: bool,
        topics: &Topics,
    ) -> Result<(ConsumerGroup, Place), Refusal> {
        let not_found = |message: String| Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message);
        let image = state.look(topics);
        let new = || Ok((ConsumerGroup::new(group), Place::New(Replies::new())));
        match state.groups.get_mut(group) {
            Some(Slot::Consumer(known)) => Ok((known.clone(), Place::Taken)),
            Some(Slot::Classic { .. }) if !joins => {
                Err(not_found(format!("Group {group} is not a consumer group.")))
            }
            Some(Slot::Classic { machine, .. }) if machine.phase() == Phase::Empty => new(),
            Some(Slot::Classic { machine, .. }) => {
                self.is_upgradable(machine).map_err(|why| {
                    not_found(format!(
                        "Cannot upgrade classic group {group} to consumer group because {why}."
                    ))
                })?;
                let classic = machine.to_state(0);
                let mut known = ConsumerGroup::from_classic(group, &classic, &image)?;
                known.start_timers(self.settings.consumer.session_timeout_ms, self.clock.monotonic_ms());
                let mut replies = Replies::new();
                machine.clone().send_all_away(&mut replies);
                Ok((known, Place::New(replies)))
            }
            None if joins => new(),
            None => Err(not_found(format!("Consumer group {group} not found."))),
        }
    }

    fn consumer_leave(
        &self,
        state: &mut State,
        group: &str,
        beat: &Beat,
        topics: &Topics,
    ) -> Result<BeatAnswer, Refusal> {
        match state.groups.get(group) {
            Some(Slot::Consumer(_)) => self.change_consumer(state, group, topics, |known, scene| {
                known.leave(&beat.member_id, beat.instance_id.as_deref(), beat.epoch, scene)
            }),
            Some(Slot::Classic { .. }) => {
                let message = format!("Group {group} is not a consumer group.");
                Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message))
            }
            None => Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} not found."))),
        }
    }

    /// Changes a `consumer` group that is there.
    pub(super) fn change_consumer<T>(
        &self,
        state: &mut State,
        group: &str,
        topics: &Topics,
        change: impl FnOnce(&mut ConsumerGroup, Scene<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        // First: the group is told which topics have changed.
        state.look(topics);
        let Some(Slot::Consumer(known)) = state.groups.get(group) else {
            return Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} not found.")));
        };
        let known = known.clone();
        self.change(state, group, known, Place::Taken, topics, change)
    }

    /// Changes a copy of the group, writes the difference to the journal, and puts the copy in the group's place.
    fn change<T>(
        &self,
        state: &mut State,
        group: &str,
        mut known: ConsumerGroup,
        place: Place,
        topics: &Topics,
        change: impl FnOnce(&mut ConsumerGroup, Scene<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let image = state.look(topics);
        let mut settings = self.settings_of(state, group);
        let own = state.own.get(group).is_some_and(|own| own.contains_key(ASSIGNMENT_INTERVAL));
        // Of the broker's settings for groups this one may change while it runs.
        let brokers = topics.broker_number("group.consumer.assignment.interval.ms").filter(|_| !own);
        settings.assignment_interval_ms = brokers.unwrap_or(settings.assignment_interval_ms);
        let answer = change(&mut known, scene(&image, &settings, self.clock.monotonic_ms()))?;
        let unavailable = |error: io::Error| {
            Refusal::new(ErrorCode::COORDINATOR_NOT_AVAILABLE, format!("the journal failed: {error}"))
        };
        if let Some(downgrade) = known.turned_classic() {
            let rebalance = downgrade == Downgrade::Rebalance;
            self.turn_classic(state, group, &known, rebalance).map_err(unavailable)?;
            return Ok(answer);
        }
        let empty = ConsumerGroup::new(group);
        let before = match (&place, state.groups.get(group)) {
            (Place::Taken, Some(Slot::Consumer(before))) => before,
            _ => &empty,
        };
        let changes = Changes::between(before, &known);
        if !changes.is_empty() {
            state.record(&Entry::Consumer { group: group.to_owned(), changes }).map_err(unavailable)?;
        }
        state.groups.insert(group.to_owned(), Slot::Consumer(known));
        if let Place::New(replies) = place {
            state.deliver(replies);
        }
        state.tidy();
        self.watch(state, group);
        Ok(answer)
    }

    pub(super) fn tick_consumer(&self, state: &mut State, group: &str, topics: &Topics) {
        // What the journal could not take stays due and is tried again.
        let _ = self.change_consumer(state, group, topics, |known, scene| known.tick(scene));
    }

    /// `None` if there is no such group of this protocol.
    pub fn describe_consumer(&self, group: &str) -> Option<ConsumerDescription> {
        let state = self.lock();
        let Some(Slot::Consumer(known)) = state.groups.get(group) else { return None };
        let members = known.members().map(|member| {
            let target = known.target(&member.id);
            (member.clone(), target.as_ref().clone())
        });
        Some(ConsumerDescription {
            state: known.state(),
            epoch: known.epoch(),
            target_epoch: known.target_epoch(),
            assignor: known.assignor(&self.settings_of(&state, group)).name(),
            members: members.collect(),
        })
    }

    /// Whether the name belongs to a classic group.
    pub fn is_classic(&self, group: &str) -> bool {
        matches!(self.lock().groups.get(group), Some(Slot::Classic { .. }))
    }
}
