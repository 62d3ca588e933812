//! All groups of the broker, the requests that wait for them, and the task that watches their deadlines.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use klamm_kafka::ErrorCode;
use tokio::sync::{Notify, oneshot};

use super::messages::{
    Description, Identity, JoinAnswer, JoinRequest, Phase, Replies, Reply, SyncAnswer, SyncRequest, Token,
};
use super::state::Group;
use crate::clock::Clock;
use crate::sync::lock;

/// The coordinator of every classic group.
#[derive(Debug)]
pub(crate) struct Coordinator {
    clock: Clock,
    initial_delay_ms: i64,
    state: Mutex<State>,
    /// When the watch task wakes by itself; an earlier deadline wakes it through `earlier`.
    wakes_at_ms: AtomicI64,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<String, Group>,
    waiting: HashMap<Token, oneshot::Sender<Reply>>,
    next_token: Token,
}

impl State {
    fn deliver(&mut self, replies: Replies) {
        for (token, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&token) {
                // The connection may have gone meanwhile; the member's session tells.
                let _ = waiting.send(reply);
            }
        }
    }

    fn wait(&mut self) -> (Token, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        self.next_token += 1;
        self.waiting.insert(self.next_token, sender);
        (self.next_token, receiver)
    }
}

/// A group as `ListGroups` tells it.
#[derive(Debug, Clone)]
pub(crate) struct GroupListing {
    pub id: String,
    pub protocol_type: String,
    pub state: &'static str,
}

impl Coordinator {
    pub fn new(clock: Clock, initial_delay_ms: i64) -> Self {
        Self {
            clock,
            initial_delay_ms,
            state: Mutex::default(),
            wakes_at_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }
    }

    /// Joins, and waits until the group's next generation begins. Cancelling leaves the member to its session timeout.
    pub async fn join(&self, group: &str, request: JoinRequest) -> JoinAnswer {
        let receiver = {
            let mut state = lock(&self.state);
            let known = state.groups.contains_key(group);
            if !known && !request.identity.member_id.is_empty() {
                let member_id = request.identity.member_id;
                return refused(ErrorCode::UNKNOWN_MEMBER_ID, member_id);
            }
            let (token, receiver) = state.wait();
            let new = || Group::new(self.initial_delay_ms);
            let machine = state.groups.entry(group.to_owned()).or_insert_with(new);
            let mut replies = Replies::new();
            machine.join(request, token, self.clock.monotonic_ms(), &mut replies);
            self.settle(&mut state, group, replies);
            receiver
        };
        match receiver.await {
            Ok(Reply::Join(answer)) => answer,
            _ => refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, String::new()),
        }
    }

    /// Asks for the member's assignment, and waits for the leader to bring it. Cancelling is as in [`Self::join`].
    pub async fn sync(&self, group: &str, request: SyncRequest) -> SyncAnswer {
        let refused = |error| SyncAnswer { error: Some(error), ..SyncAnswer::default() };
        let receiver = {
            let mut state = lock(&self.state);
            if !state.groups.contains_key(group) {
                return refused(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            let (token, receiver) = state.wait();
            let mut replies = Replies::new();
            if let Some(machine) = state.groups.get_mut(group) {
                machine.sync(request, token, self.clock.monotonic_ms(), &mut replies);
            }
            self.settle(&mut state, group, replies);
            receiver
        };
        match receiver.await {
            Ok(Reply::Sync(answer)) => answer,
            _ => refused(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    pub fn heartbeat(&self, group: &str, identity: &Identity, generation: i32) -> Result<(), ErrorCode> {
        let mut state = lock(&self.state);
        let machine = state.groups.get_mut(group).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        machine.heartbeat(identity, generation, self.clock.monotonic_ms())
    }

    pub fn leave(&self, group: &str, identity: &Identity) -> Result<(), ErrorCode> {
        let mut state = lock(&self.state);
        let machine = state.groups.get_mut(group).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let mut replies = Replies::new();
        let result = machine.leave(identity, self.clock.monotonic_ms(), &mut replies);
        self.settle(&mut state, group, replies);
        result
    }

    /// Whether this member, or nobody in particular, may commit offsets of the group now.
    pub fn check_commit(&self, group: &str, identity: &Identity, generation: i32) -> Result<(), ErrorCode> {
        let mut state = lock(&self.state);
        match state.groups.get_mut(group) {
            Some(machine) => machine.check_commit(identity, generation, self.clock.monotonic_ms()),
            None if generation < 0 => Ok(()),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    pub fn describe(&self, group: &str) -> Option<Description> {
        lock(&self.state).groups.get(group).map(Group::describe)
    }

    /// Whether the group has members.
    pub fn is_active(&self, group: &str) -> bool {
        lock(&self.state).groups.get(group).is_some_and(|group| group.phase() != Phase::Empty)
    }

    pub fn list(&self) -> Vec<GroupListing> {
        let state = lock(&self.state);
        let listing = |(id, group): (&String, &Group)| GroupListing {
            id: id.clone(),
            protocol_type: group.protocol_type().to_owned(),
            state: group.phase().name(),
        };
        state.groups.iter().map(listing).collect()
    }

    /// Forgets a group without members; gives whether it was known.
    ///
    /// # Errors
    /// `NON_EMPTY_GROUP` if it has members.
    pub fn delete(&self, group: &str) -> Result<bool, ErrorCode> {
        let mut state = lock(&self.state);
        match state.groups.get(group) {
            Some(machine) if !machine.is_vacant() => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => Ok(state.groups.remove(group).is_some()),
            None => Ok(false),
        }
    }

    /// Ends sessions and phases when their time has come. Runs until it is cancelled.
    pub async fn watch_deadlines(&self) {
        loop {
            let next = self.tick();
            self.wakes_at_ms.store(next, Ordering::SeqCst);
            // A deadline that moved forward between the tick and the store is caught by the notification's permit.
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Lets every group do what has fallen due, and gives the next deadline of all.
    fn tick(&self) -> i64 {
        let mut state = lock(&self.state);
        let now_ms = self.clock.monotonic_ms();
        let mut replies = Replies::new();
        for group in state.groups.values_mut() {
            if group.next_deadline_ms().is_some_and(|deadline| deadline <= now_ms) {
                group.tick(now_ms, &mut replies);
            }
        }
        state.deliver(replies);
        let next = state.groups.values().filter_map(Group::next_deadline_ms).min();
        // Not at once again, should a deadline stay behind: at most a thousand times a second.
        next.map_or(i64::MAX, |next| next.max(now_ms + 1))
    }

    /// Sends what fell due, and wakes the watch task if the group now has an earlier deadline than it sleeps for.
    fn settle(&self, state: &mut State, group: &str, replies: Replies) {
        state.deliver(replies);
        let deadline = state.groups.get(group).and_then(Group::next_deadline_ms);
        if deadline.is_some_and(|deadline| deadline < self.wakes_at_ms.load(Ordering::SeqCst)) {
            self.earlier.notify_one();
        }
    }
}

fn refused(error: ErrorCode, member_id: String) -> JoinAnswer {
    JoinAnswer { error: Some(error), member_id, generation: -1, ..JoinAnswer::default() }
}
