//! The requests of the classic protocol, to groups of either kind.

use klamm_kafka::ErrorCode;

use super::super::consumer::ConsumerGroup;
use super::super::ledger::Entry;
use super::super::messages::{
    Identity, JoinAnswer, JoinRequest, Phase, Replies, Reply, SyncAnswer, SyncRequest,
};
use super::super::state::Group;
use super::{Coordinator, Slot, State, scene};
use crate::config::MigrationPolicy;
use crate::topics::Topics;

impl Coordinator {
    /// Joins, and waits until the group's next generation begins. Cancelling leaves the member to its session timeout.
    pub async fn join(&self, group: &str, request: JoinRequest, topics: &Topics) -> JoinAnswer {
        let receiver = {
            let mut state = self.lock();
            if let Some(Slot::Consumer(known)) = state.groups.get(group)
                && !known.is_empty()
            {
                return self.join_consumer(&mut state, group, &request, topics);
            }
            let known = matches!(state.groups.get(group), Some(Slot::Classic { .. }));
            if !known && !request.identity.member_id.is_empty() {
                return refused(ErrorCode::UNKNOWN_MEMBER_ID, request.identity.member_id);
            }
            if !known {
                // A `consumer` group without members gives way.
                let machine = Group::new(self.settings.classic);
                state.groups.insert(group.to_owned(), Slot::Classic { machine, recorded: None });
            }
            let (token, receiver) = state.wait();
            let mut replies = Replies::new();
            let Some(Slot::Classic { machine, .. }) = state.groups.get_mut(group) else {
                return refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, String::new());
            };
            // A static member may take another's place at once: then the journal decides whether it has.
            let before = request.identity.instance_id.is_some().then(|| machine.clone());
            machine.join(request, token, self.clock.monotonic_ms(), &mut replies);
            if !self.settle_classic_or_undo(&mut state, group, replies, before) {
                state.waiting.remove(&token);
                return refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, String::new());
            }
            receiver
        };
        match receiver.await {
            Ok(Reply::Join(answer)) => answer,
            _ => refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, String::new()),
        }
    }

    fn join_consumer(
        &self,
        state: &mut State,
        group: &str,
        request: &JoinRequest,
        topics: &Topics,
    ) -> JoinAnswer {
        if self.settings.consumer.migration == MigrationPolicy::Disabled {
            return refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, String::new());
        }
        let joined =
            self.change_consumer(state, group, topics, |known, scene| known.classic_join(request, scene));
        joined.unwrap_or_else(|refusal| refused(refusal.code, String::new()))
    }

    /// Asks for the member's assignment, and waits for the leader to bring it. Cancelling is as in [`Self::join`].
    pub async fn sync(&self, group: &str, request: SyncRequest, topics: &Topics) -> SyncAnswer {
        let receiver = {
            let mut state = self.lock();
            let image = state.look(topics);
            let settings = self.settings_of(&state, group);
            let now_ms = self.clock.monotonic_ms();
            let (token, receiver) = state.wait();
            let mut replies = Replies::new();
            let before;
            match state.groups.get_mut(group) {
                Some(Slot::Classic { machine, .. }) => {
                    // The leader's assignment is worth nothing that a restart would not know.
                    before = machine.is_led_by(&request.identity).then(|| machine.clone());
                    machine.sync(request, token, now_ms, &mut replies);
                }
                Some(Slot::Consumer(known)) if !known.is_empty() => {
                    let answer = known.classic_sync(&request, scene(&image, &settings, now_ms));
                    state.waiting.remove(&token);
                    self.watch(&state, group);
                    return answer.unwrap_or_else(no_sync);
                }
                _ => {
                    state.waiting.remove(&token);
                    return no_sync(ErrorCode::UNKNOWN_MEMBER_ID);
                }
            }
            if !self.settle_classic_or_undo(&mut state, group, replies, before) {
                state.waiting.remove(&token);
                return no_sync(ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
            receiver
        };
        match receiver.await {
            Ok(Reply::Sync(answer)) => answer,
            _ => no_sync(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    pub fn heartbeat(&self, group: &str, identity: &Identity, generation: i32) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        let now_ms = self.clock.monotonic_ms();
        let result = match state.groups.get_mut(group) {
            Some(Slot::Classic { machine, .. }) => machine.heartbeat(identity, generation, now_ms),
            Some(Slot::Consumer(known)) => known.classic_heartbeat(identity, generation, now_ms),
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        };
        self.watch(&state, group);
        result
    }

    /// Members leave together.
    pub fn leave(&self, group: &str, identities: &[Identity], topics: &Topics) -> Vec<Result<(), ErrorCode>> {
        let mut state = self.lock();
        match state.groups.get_mut(group) {
            Some(Slot::Classic { machine, .. }) => {
                let mut replies = Replies::new();
                let results = machine.leave(identities, self.clock.monotonic_ms(), &mut replies);
                self.settle_classic(&mut state, group, replies);
                results
            }
            Some(Slot::Consumer(known)) => {
                let leavers: Vec<_> = identities.iter().map(|one| known.classic_leaver(one)).collect();
                let ids: Vec<_> = leavers.iter().flatten().cloned().collect();
                let left = self.change_consumer(&mut state, group, topics, |known, scene| {
                    known.classic_leave(&ids, scene)
                });
                let error = left.err().map(|refusal| refusal.code);
                let result =
                    |leaver: Result<String, ErrorCode>| leaver.and_then(|_| error.map_or(Ok(()), Err));
                leavers.into_iter().map(result).collect()
            }
            None => vec![Err(ErrorCode::UNKNOWN_MEMBER_ID); identities.len()],
        }
    }

    /// Sends what fell due. What the journal is to know and cannot take now is tried again with the next event.
    pub(super) fn settle_classic(&self, state: &mut State, group: &str, replies: Replies) {
        self.settle_classic_or_undo(state, group, replies, None);
    }

    /// Like [`Self::settle_classic`], but puts the group back as it was `before` if the journal fails; gives whether
    /// it did not.
    fn settle_classic_or_undo(
        &self,
        state: &mut State,
        group: &str,
        replies: Replies,
        before: Option<Group>,
    ) -> bool {
        let wall_ms = self.clock.now_ms();
        let State { groups, journal, .. } = state;
        if let Some(Slot::Classic { machine, recorded }) = groups.get_mut(group)
            && let Some(record) = machine.take_unrecorded(wall_ms)
        {
            let entry = Entry::Classic { group: group.to_owned(), state: record.clone() };
            if journal.append(&entry).is_ok() {
                *recorded = Some(record);
            } else if let Some(before) = before {
                *machine = before;
                return false;
            } else {
                machine.remember_to_record();
            }
        }
        state.tidy();
        state.deliver(replies);
        self.watch(state, group);
        true
    }

    /// Only members of the classic protocol are left in a `consumer` group: it becomes a classic one.
    pub(super) fn turn_classic(
        &self,
        state: &mut State,
        group: &str,
        known: &ConsumerGroup,
        rebalance: bool,
    ) -> std::io::Result<()> {
        let (now_ms, wall_ms) = (self.clock.monotonic_ms(), self.clock.now_ms());
        let classic = known.to_classic(&state.image, wall_ms);
        let mut machine = Group::from_state(&classic, self.settings.classic, now_ms);
        let record = machine.to_record(wall_ms);
        state.record(&Entry::Classic { group: group.to_owned(), state: record.clone() })?;
        let mut replies = Replies::new();
        if rebalance {
            machine.rebalance_or_go_on(now_ms, &mut replies);
        }
        state.groups.insert(group.to_owned(), Slot::Classic { machine, recorded: Some(record) });
        self.settle_classic(state, group, replies);
        Ok(())
    }

    /// Whether a classic group may become a `consumer` group with its members.
    pub(super) fn is_upgradable(&self, machine: &Group) -> Result<(), &'static str> {
        if !self.settings.consumer.migration.allows_upgrade() {
            Err("online upgrade is disabled")
        } else if !machine.embeds_consumer_protocol() {
            Err("the group does not use the consumer embedded protocol")
        } else if machine.size() > self.settings.consumer.max_size {
            Err("the group size exceeds the consumer group maximum size")
        } else if machine.phase() == Phase::Empty {
            Err("it is empty")
        } else {
            Ok(())
        }
    }
}

fn refused(error: ErrorCode, member_id: String) -> JoinAnswer {
    JoinAnswer { error: Some(error), member_id, generation: -1, ..JoinAnswer::default() }
}

fn no_sync(error: ErrorCode) -> SyncAnswer {
    SyncAnswer { error: Some(error), ..SyncAnswer::default() }
}
