//! The coordinator of one group, as Kafka's classic one decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_kafka::ErrorCode as Code;

use super::Dice;
use crate::group::Settings;
use crate::group::assign::Strategy;
use crate::group::classic::{JoinAnswer, JoinedMember, SyncAnswer, What};

/// Names a request.
pub(super) type Caller = u64;

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Join(JoinAnswer),
    Sync(SyncAnswer),
    Heartbeat(Result<(), Code>),
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Preparing,
    Completing,
    Stable,
}

#[derive(Debug, Clone)]
struct Entry {
    instance_id: Option<String>,
    protocols: Vec<(Strategy, Bytes)>,
    joining: Option<Caller>,
    syncing: Option<Caller>,
    heard: Instant,
    session: Duration,
    rebalance: Duration,
    assignment: Bytes,
    /// The last generation that it has joined itself.
    joined_in: i32,
}

#[derive(Debug, Clone)]
struct Group {
    state: State,
    generation: i32,
    leader: String,
    protocol: Option<Strategy>,
    members: BTreeMap<String, Entry>,
    promised: BTreeSet<String>,
    /// When the rebalance goes on without those that are missing.
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) broker: i32,
    group: Group,
    /// What survives a move: the group as it was stable last.
    saved: Group,
    ids: u64,
    pub(super) out: Vec<(Caller, Answer)>,
    pub(super) expelled: u64,
    pub(super) skipped: u64,
    pub(super) generations: u64,
}

fn sync_answer(error: Code, assignment: Bytes) -> Answer {
    Answer::Sync(SyncAnswer { error, protocol: None, assignment })
}

impl Coordinator {
    pub(super) fn new() -> Coordinator {
        let group = Group {
            state: State::Empty,
            generation: 0,
            leader: String::new(),
            protocol: None,
            members: BTreeMap::new(),
            promised: BTreeSet::new(),
            deadline: None,
        };
        let saved = group.clone();
        Coordinator {
            broker: 0,
            group,
            saved,
            ids: 0,
            out: Vec::new(),
            expelled: 0,
            skipped: 0,
            generations: 0,
        }
    }

    /// Whether the member has joined the current generation.
    pub(super) fn is_in(&self, member_id: &str) -> bool {
        self.group.members.get(member_id).is_some_and(|entry| entry.joined_in == self.group.generation)
    }

    /// Whether the member has joined the current generation, and it is this one.
    pub(super) fn is_current(&self, member_id: &str, generation: i32) -> bool {
        self.is_in(member_id) && self.group.generation == generation
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.group.members.values().filter(|entry| !entry.is_waiting());
        sessions.map(|entry| entry.heard + entry.session).chain(self.group.deadline).min()
    }

    /// Another broker takes over what was saved.
    pub(super) fn move_to(&mut self, broker: i32, now: Instant) {
        self.broker = broker;
        for entry in self.group.members.values() {
            self.out.extend(
                entry.joining.map(|c| (c, Answer::Join(JoinAnswer::refused(Code::NOT_COORDINATOR, "")))),
            );
            self.out.extend(entry.syncing.map(|c| (c, sync_answer(Code::NOT_COORDINATOR, Bytes::new()))));
        }
        self.group = self.saved.clone();
        self.group.members.values_mut().for_each(|entry| entry.heard = now);
    }

    /// The group is gone.
    pub(super) fn forget(&mut self, now: Instant) {
        let broker = self.broker;
        self.saved = Coordinator::new().group;
        self.move_to(broker, now);
    }

    pub(super) fn handle(
        &mut self,
        caller: Caller,
        what: &What,
        settings: &Settings,
        now: Instant,
        fault: bool,
    ) {
        let instance = settings.instance_id.as_deref();
        match what {
            What::Join { broker, member_id, protocols, .. } => {
                let error = if *broker != self.broker {
                    Some(Code::NOT_COORDINATOR)
                } else {
                    fault.then_some(
                        [
                            Code::COORDINATOR_LOAD_IN_PROGRESS,
                            Code::COORDINATOR_NOT_AVAILABLE,
                            Code::REBALANCE_IN_PROGRESS,
                            Code::GROUP_MAX_SIZE_REACHED,
                            Code::GROUP_AUTHORIZATION_FAILED,
                        ][caller as usize % 5],
                    )
                };
                let refused = match error {
                    Some(error) => Some(JoinAnswer::refused(error, member_id)),
                    None => self.join(caller, member_id, protocols, settings, now),
                };
                self.out.extend(refused.map(|answer| (caller, Answer::Join(answer))));
            }
            What::Sync { broker, member_id, generation, assignments, .. } => {
                let error = match self.check(*broker, member_id, instance, *generation) {
                    Ok(()) if fault => Err(Code::COORDINATOR_NOT_AVAILABLE),
                    checked => checked,
                };
                match error {
                    Err(error) => self.out.push((caller, sync_answer(error, Bytes::new()))),
                    Ok(()) => self.sync(caller, member_id, assignments, now),
                }
            }
            What::Heartbeat { broker, member_id, generation } => {
                let mut answer = self.check(*broker, member_id, instance, *generation);
                if answer.is_ok() {
                    if fault {
                        answer =
                            Err([Code::GROUP_AUTHORIZATION_FAILED, Code::NOT_COORDINATOR]
                                [caller as usize % 2]);
                    } else if self.group.state == State::Preparing {
                        answer = Err(Code::REBALANCE_IN_PROGRESS);
                    }
                    self.group.members.get_mut(member_id).expect("it was checked").heard = now;
                }
                self.out.push((caller, Answer::Heartbeat(answer)));
            }
            What::Leave { broker, member_id, .. } => {
                if *broker == self.broker {
                    self.group.promised.remove(member_id);
                    self.expel(member_id, now);
                }
                self.out.push((caller, Answer::Leave));
            }
            What::Coordinator | What::Topics(_) => unreachable!("not for a coordinator"),
        }
    }

    /// Another process takes the place of a static member.
    pub(super) fn intrude(&mut self, instance: &str, now: Instant) -> bool {
        let Some(id) = self.of_instance(instance) else { return false };
        let mut entry = self.group.members.remove(&id).expect("it is there");
        self.fence(&mut entry);
        self.ids += 1;
        self.group.members.insert(format!("intruder-{}", self.ids), entry);
        self.prepare(now);
        true
    }

    /// Somebody asks for a rebalance.
    pub(super) fn rebalance(&mut self, now: Instant) {
        if self.group.state == State::Stable {
            self.prepare(now);
        }
    }

    pub(super) fn pass(&mut self, now: Instant) {
        let silent: Vec<String> = self
            .group
            .members
            .iter()
            .filter(|(_, entry)| !entry.is_waiting() && entry.heard + entry.session <= now)
            .map(|(id, _)| id.clone())
            .collect();
        silent.iter().for_each(|id| self.expel(id, now));
        if self.group.deadline.is_some_and(|deadline| deadline <= now) {
            match self.group.state {
                State::Preparing => self.complete(now),
                State::Completing => {
                    let missing = self.group.members.iter().filter(|(_, entry)| entry.syncing.is_none());
                    let missing: Vec<String> = missing.map(|(id, _)| id.clone()).collect();
                    missing.iter().for_each(|id| self.expel(id, now));
                }
                State::Empty | State::Stable => self.group.deadline = None,
            }
        }
    }

    fn check(
        &self,
        broker: i32,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Code> {
        if broker != self.broker {
            return Err(Code::NOT_COORDINATOR);
        }
        if let Some(known) = instance.and_then(|instance| self.of_instance(instance))
            && known != member_id
        {
            return Err(Code::FENCED_INSTANCE_ID);
        }
        if !self.group.members.contains_key(member_id) {
            return Err(Code::UNKNOWN_MEMBER_ID);
        }
        if generation == self.group.generation { Ok(()) } else { Err(Code::ILLEGAL_GENERATION) }
    }

    fn of_instance(&self, instance: &str) -> Option<String> {
        let mut members = self.group.members.iter();
        members.find(|(_, entry)| entry.instance_id.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    /// Gives what is answered at once.
    fn join(
        &mut self,
        caller: Caller,
        member_id: &str,
        protocols: &[(Strategy, Bytes)],
        settings: &Settings,
        now: Instant,
    ) -> Option<JoinAnswer> {
        let known = settings.instance_id.as_deref().and_then(|instance| self.of_instance(instance));
        let entry = Entry {
            instance_id: settings.instance_id.clone(),
            protocols: protocols.to_vec(),
            joining: Some(caller),
            syncing: None,
            heard: now,
            session: settings.session_timeout,
            rebalance: settings.max_poll_interval,
            assignment: Bytes::new(),
            joined_in: -1,
        };
        if member_id.is_empty() {
            self.ids += 1;
            let id = format!("m-{:x}-{}", self.ids.wrapping_mul(0x9e37_79b9), self.ids);
            if let Some(old) = known {
                return self.replace(&old, id, entry, caller, now);
            }
            if settings.instance_id.is_some() {
                self.group.members.insert(id, entry);
                self.prepare(now);
                return None;
            }
            self.group.promised.insert(id.clone());
            return Some(JoinAnswer::refused(Code::MEMBER_ID_REQUIRED, &id));
        }
        if self.group.promised.remove(member_id) {
            self.group.members.insert(member_id.to_owned(), entry);
            self.prepare(now);
            return None;
        }
        if known.is_some_and(|known| known != member_id) {
            return Some(JoinAnswer::refused(Code::FENCED_INSTANCE_ID, member_id));
        }
        let (state, is_leader) = (self.group.state, self.group.leader == member_id);
        let Some(old) = self.group.members.get_mut(member_id) else {
            return Some(JoinAnswer::refused(Code::UNKNOWN_MEMBER_ID, member_id));
        };
        let is_same = old.protocols == entry.protocols;
        (old.protocols, old.heard) = (entry.protocols, now);
        match state {
            State::Completing if is_same => return Some(self.current(member_id, false)),
            State::Stable if is_same && !is_leader => return Some(self.current(member_id, false)),
            _ => old.joining = Some(caller),
        }
        self.prepare(now);
        None
    }

    /// A static member is back under another member id.
    fn replace(
        &mut self,
        old_id: &str,
        id: String,
        mut entry: Entry,
        caller: Caller,
        now: Instant,
    ) -> Option<JoinAnswer> {
        let mut old = self.group.members.remove(old_id).expect("it is known");
        self.fence(&mut old);
        entry.assignment = old.assignment;
        entry.joined_in = self.group.generation;
        let was_leader = self.group.leader == old_id;
        if was_leader {
            self.group.leader.clone_from(&id);
        }
        let before = self.group.protocol;
        self.group.members.insert(id.clone(), entry);
        if self.group.state == State::Stable && self.vote() == before {
            self.group.members.get_mut(&id).expect("it is new").joining = None;
            self.saved = self.group.clone();
            self.skipped += u64::from(was_leader);
            return Some(self.current(&id, was_leader));
        }
        self.group.members.get_mut(&id).expect("it is new").joining = Some(caller);
        self.prepare(now);
        None
    }

    fn fence(&mut self, old: &mut Entry) {
        let fenced = Code::FENCED_INSTANCE_ID;
        self.out.extend(old.joining.take().map(|c| (c, Answer::Join(JoinAnswer::refused(fenced, "")))));
        self.out.extend(old.syncing.take().map(|c| (c, sync_answer(fenced, Bytes::new()))));
        self.expelled += 1;
    }

    fn current(&self, member_id: &str, skip_assignment: bool) -> JoinAnswer {
        let group = &self.group;
        let is_leader = group.leader == member_id;
        let protocol = group.protocol.expect("there is a generation");
        let metadata = |entry: &Entry| {
            let named = entry.protocols.iter().find(|(strategy, _)| *strategy == protocol);
            named.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
        };
        let members = group.members.iter().map(|(id, entry)| JoinedMember {
            id: id.clone(),
            instance_id: entry.instance_id.clone(),
            metadata: metadata(entry),
        });
        JoinAnswer {
            error: Code::NONE,
            generation: group.generation,
            protocol_type: Some("consumer".into()),
            protocol: Some(protocol.name().into()),
            leader: group.leader.clone(),
            skip_assignment,
            member_id: member_id.to_owned(),
            members: members.filter(|_| is_leader).collect(),
        }
    }

    fn prepare(&mut self, now: Instant) {
        match self.group.state {
            // The first members wait for each other a little.
            State::Empty => self.group.deadline = Some(now + Duration::from_millis(200)),
            State::Preparing => {}
            State::Completing | State::Stable => {
                for entry in self.group.members.values_mut() {
                    let syncing = entry.syncing.take();
                    self.out
                        .extend(syncing.map(|c| (c, sync_answer(Code::REBALANCE_IN_PROGRESS, Bytes::new()))));
                    entry.heard = now;
                }
                let longest = self.group.members.values().map(|entry| entry.rebalance).max();
                self.group.deadline = Some(now + longest.unwrap_or_default());
            }
        }
        let was_empty = self.group.state == State::Empty;
        let was_waiting = self.group.state == State::Preparing && self.group.protocol.is_none();
        self.group.state = State::Preparing;
        if was_empty {
            self.group.protocol = None;
        }
        let all = self.group.members.values().all(|entry| entry.joining.is_some());
        if all && !was_empty && !was_waiting {
            self.complete(now);
        }
    }

    fn complete(&mut self, now: Instant) {
        let before = self.group.members.len();
        self.group.members.retain(|_, entry| entry.joining.is_some() || entry.instance_id.is_some());
        self.expelled += (before - self.group.members.len()) as u64;
        if self.group.members.is_empty() {
            (self.group.state, self.group.deadline) = (State::Empty, None);
            self.saved = self.group.clone();
            return;
        }
        let joined = |group: &Group, id: &str| group.members.get(id).is_some_and(|e| e.joining.is_some());
        if !joined(&self.group, &self.group.leader) {
            let next = self.group.members.iter().find(|(_, entry)| entry.joining.is_some());
            let Some((id, _)) = next else {
                let longest = self.group.members.values().map(|entry| entry.rebalance).max();
                self.group.deadline = Some(now + longest.unwrap_or_default());
                return;
            };
            self.group.leader = id.clone();
        }
        self.group.generation += 1;
        self.generations += 1;
        self.group.protocol = self.vote();
        self.group.state = State::Completing;
        let longest = self.group.members.values().map(|entry| entry.rebalance).max();
        self.group.deadline = Some(now + longest.unwrap_or_default());
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        for id in ids {
            let entry = self.group.members.get_mut(&id).expect("it is there");
            entry.assignment = Bytes::new();
            let Some(caller) = entry.joining.take() else { continue };
            (entry.joined_in, entry.heard) = (self.group.generation, now);
            let answer = self.current(&id, false);
            self.out.push((caller, Answer::Join(answer)));
        }
    }

    /// The strategy that all have and most prefer.
    fn vote(&self) -> Option<Strategy> {
        let has = |entry: &Entry, strategy| entry.protocols.iter().any(|(known, _)| *known == strategy);
        let members = || self.group.members.values();
        let all = |strategy: &Strategy| members().all(|entry| has(entry, *strategy));
        let mut votes: BTreeMap<Strategy, usize> = BTreeMap::new();
        for entry in members() {
            let choice = entry.protocols.iter().map(|(strategy, _)| *strategy).find(|strategy| all(strategy));
            *votes.entry(choice.expect("members have one in common")).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(strategy, _)| strategy)
    }

    fn sync(&mut self, caller: Caller, member_id: &str, assignments: &[(String, Bytes)], now: Instant) {
        let group = &mut self.group;
        let is_leader = group.leader == member_id;
        let entry = group.members.get_mut(member_id).expect("it was checked");
        entry.heard = now;
        match group.state {
            State::Stable => {
                let assignment = entry.assignment.clone();
                self.out.push((caller, sync_answer(Code::NONE, assignment)));
            }
            State::Completing => {
                entry.syncing = Some(caller);
                if is_leader {
                    for (id, bytes) in assignments {
                        group.members.get_mut(id).expect("it is assigned to members").assignment =
                            bytes.clone();
                    }
                    (group.state, group.deadline) = (State::Stable, None);
                    for entry in group.members.values_mut() {
                        let assignment = entry.assignment.clone();
                        if let Some(caller) = entry.syncing.take() {
                            entry.heard = now;
                            self.out.push((caller, sync_answer(Code::NONE, assignment)));
                        }
                    }
                    self.saved = group.clone();
                }
            }
            State::Preparing | State::Empty => {
                self.out.push((caller, sync_answer(Code::REBALANCE_IN_PROGRESS, Bytes::new())));
            }
        }
    }

    fn expel(&mut self, member_id: &str, now: Instant) {
        if self.group.members.remove(member_id).is_none() {
            return;
        }
        self.expelled += 1;
        if self.group.members.is_empty() {
            (self.group.state, self.group.deadline) = (State::Empty, None);
            self.group.generation += 1;
            self.saved = self.group.clone();
        } else {
            self.prepare(now);
        }
    }
}

impl Entry {
    /// The coordinator owes it an answer, so that its silence means nothing.
    fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

/// A fault now and then.
pub(super) fn fault(dice: &mut Dice, faults: u64) -> bool {
    faults > 0 && dice.one_in(faults)
}
