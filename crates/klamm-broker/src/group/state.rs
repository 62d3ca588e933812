//! One classic group: who is in it, at which generation, and what must happen next.
//!
//! The rules are those of Kafka's `ClassicGroup` and `GroupMetadataManager`: a join may wait for the other members, a
//! sync for the leader's assignment; both are answered through [`Replies`], now or later, by their token. Assignments
//! and subscriptions are relayed and not looked into.

mod commit;
mod leave;
mod persist;
mod rebalance;

use std::collections::{BTreeMap, HashMap};

use klamm_kafka::ErrorCode;

use super::member::Member;
use super::messages::{
    Description, Identity, JoinAnswer, JoinRequest, MemberDescription, Phase, Replies, Reply, SyncAnswer,
    SyncRequest, Token,
};

/// One classic group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    phase: Phase,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: HashMap<String, Member>,
    /// Member id of each static member.
    instances: HashMap<String, String>,
    /// Ids that were handed out and have not come back, and until when they may.
    pending: BTreeMap<String, i64>,
    /// End of the current phase: joins or syncs that have not come by then are not waited for.
    phase_deadline_ms: i64,
    /// Set in the first rebalance of an empty group, which waits for more members to come.
    initial: Option<InitialRebalance>,
    settings: ClassicSettings,
    joined: u64,
    /// Whether there is something new that a restart must know.
    unrecorded: bool,
}

/// What classic groups obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassicSettings {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay_ms: i64,
    /// `group.max.size`.
    pub max_size: usize,
}

/// `group.initial.rebalance.delay.ms`, prolonged while members keep coming, up to their rebalance timeout.
#[derive(Debug, Clone, Copy)]
struct InitialRebalance {
    ends_ms: i64,
    delay_ms: i64,
    remaining_ms: i64,
    somebody_came: bool,
}

/// How long the join of a new member is waited with: it has no id yet to send heartbeats with.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 300_000;

impl Group {
    pub fn new(settings: ClassicSettings) -> Self {
        Self {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: HashMap::new(),
            instances: HashMap::new(),
            pending: BTreeMap::new(),
            phase_deadline_ms: 0,
            initial: None,
            settings,
            joined: 0,
            unrecorded: true,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// A member joins, or joins again.
    pub fn join(&mut self, request: JoinRequest, token: Token, now_ms: i64, out: &mut Replies) {
        let refuse = |error, out: &mut Replies| {
            let member_id = request.identity.member_id.clone();
            out.push((token, Reply::Join(JoinAnswer { error: Some(error), member_id, ..refused_join() })));
        };
        if !self.has_room_for(&request.identity.member_id) {
            self.pending.remove(&request.identity.member_id);
            self.forget(&request.identity.member_id);
            let error = Some(ErrorCode::GROUP_MAX_SIZE_REACHED);
            return out.push((token, Reply::Join(JoinAnswer { error, ..refused_join() })));
        }
        if !self.accepts(&request) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, out);
        }
        let known_static =
            request.identity.instance_id.as_ref().and_then(|id| self.instances.get(id).cloned());
        if request.identity.member_id.is_empty() {
            return match (&request.identity.instance_id, known_static) {
                (Some(_), Some(old)) => self.replace_static(&old, request, token, now_ms, out),
                (None, _) if request.requires_known_member_id => {
                    let member_id = request.fresh_member_id;
                    self.pending.insert(member_id.clone(), now_ms + request.session_timeout_ms);
                    let error = Some(ErrorCode::MEMBER_ID_REQUIRED);
                    out.push((token, Reply::Join(JoinAnswer { error, member_id, ..refused_join() })));
                }
                _ => {
                    let member_id = request.fresh_member_id.clone();
                    self.add(member_id, request, token, now_ms, out);
                }
            };
        }
        let member_id = request.identity.member_id.clone();
        if self.pending.remove(&member_id).is_some() {
            return self.add(member_id, request, token, now_ms, out);
        }
        if let Err(error) = self.check_identity(&request.identity) {
            return refuse(error, out);
        }
        self.rejoin(&member_id, request, token, now_ms, out);
    }

    /// A member asks for its assignment; the leader brings all of them.
    pub fn sync(&mut self, request: SyncRequest, token: Token, now_ms: i64, out: &mut Replies) {
        let refuse = |error, out: &mut Replies| {
            out.push((token, Reply::Sync(SyncAnswer { error: Some(error), ..SyncAnswer::default() })));
        };
        if let Err(error) = self.check_member(&request.identity, request.generation) {
            return refuse(error, out);
        }
        let differs = |ours: &Option<String>, theirs: &Option<String>| theirs.is_some() && ours != theirs;
        if differs(&self.protocol_type, &request.protocol_type) || differs(&self.protocol, &request.protocol)
        {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, out);
        }
        let member_id = self.resolve(&request.identity);
        match self.phase {
            Phase::Empty => refuse(ErrorCode::UNKNOWN_MEMBER_ID, out),
            Phase::PreparingRebalance => refuse(ErrorCode::REBALANCE_IN_PROGRESS, out),
            Phase::CompletingRebalance => {
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.synced = true;
                    if let Some(older) = member.waiting_sync.replace(token) {
                        refuse_sync(older, ErrorCode::REBALANCE_IN_PROGRESS, out);
                    }
                }
                if self.leader.as_deref() == Some(member_id.as_str()) {
                    self.assign(request.assignments, now_ms, out);
                }
            }
            Phase::Stable => {
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.synced = true;
                }
                self.touch(&member_id, now_ms);
                out.push((token, Reply::Sync(self.sync_answer(&member_id))));
            }
        }
    }

    /// A member says that it is alive.
    pub fn heartbeat(&mut self, identity: &Identity, generation: i32, now_ms: i64) -> Result<(), ErrorCode> {
        self.check_member(identity, generation)?;
        self.touch(&self.resolve(identity), now_ms);
        match self.phase {
            Phase::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Phase::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::CompletingRebalance | Phase::Stable => Ok(()),
        }
    }

    /// When [`Group::tick`] must be called next, if nothing happens before.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let sessions = self.members.values().filter(|m| m.may_expire()).map(|m| m.session_deadline_ms);
        let pending = self.pending.values().copied();
        let phase = match (self.phase, self.initial) {
            (Phase::PreparingRebalance, Some(initial)) => Some(initial.ends_ms),
            (Phase::PreparingRebalance | Phase::CompletingRebalance, _) => Some(self.phase_deadline_ms),
            (Phase::Stable, _) if !self.all_have_synced() => Some(self.phase_deadline_ms),
            (Phase::Empty | Phase::Stable, _) => None,
        };
        sessions.chain(pending).chain(phase).min()
    }

    /// Ends the session of this member, unless it waits for the others. Gives whether it did.
    pub fn expire_session(&mut self, member_id: &str, now_ms: i64, out: &mut Replies) -> bool {
        match self.members.get_mut(member_id) {
            Some(member) if member.may_expire() => member.session_deadline_ms = now_ms,
            _ => return false,
        }
        self.tick(now_ms, out);
        true
    }

    /// Does what has fallen due: removes who has been silent for too long, ends a phase that took too long.
    pub fn tick(&mut self, now_ms: i64, out: &mut Replies) {
        let waited_for = self.pending.len();
        self.pending.retain(|_, deadline| *deadline > now_ms);
        if self.pending.len() < waited_for {
            self.complete_join_if_all_are_here(now_ms, out);
        }
        let expired: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| member.may_expire() && member.session_deadline_ms <= now_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in expired {
            self.remove(&member_id, now_ms, out);
        }
        match self.phase {
            Phase::PreparingRebalance if self.initial.is_some() => self.end_initial_delay(now_ms, out),
            Phase::PreparingRebalance if now_ms >= self.phase_deadline_ms => {
                self.complete_without_the_late(now_ms, out);
            }
            Phase::CompletingRebalance | Phase::Stable
                if !self.all_have_synced() && now_ms >= self.phase_deadline_ms =>
            {
                let silent: Vec<_> =
                    self.members.iter().filter(|(_, m)| !m.synced).map(|(id, _)| id.clone()).collect();
                for member_id in &silent {
                    self.drop_member(member_id, out);
                }
                self.rebalance(now_ms, out);
            }
            _ => {}
        }
    }

    fn all_have_synced(&self) -> bool {
        self.members.values().all(|member| member.synced)
    }

    pub fn describe(&self) -> Description {
        let protocol = self.protocol.clone().filter(|_| self.phase == Phase::Stable);
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, member)| member.seniority);
        Description {
            state: self.phase.name(),
            protocol_type: self.protocol_type().to_owned(),
            members: members
                .into_iter()
                .map(|(id, member)| MemberDescription {
                    identity: Identity { member_id: id.clone(), instance_id: member.instance_id.clone() },
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    subscription: member.subscription(protocol.as_deref()),
                    assignment: member.assignment.clone(),
                })
                .collect(),
            protocol: protocol.unwrap_or_default(),
        }
    }
}

/// Members one by one.
impl Group {
    /// The member id that `identity` stands for: a static member may leave it out.
    fn resolve(&self, identity: &Identity) -> String {
        let by_instance = identity.instance_id.as_ref().and_then(|id| self.instances.get(id));
        by_instance.unwrap_or(&identity.member_id).clone()
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), ErrorCode> {
        match identity.instance_id.as_ref().map(|id| self.instances.get(id)) {
            Some(None) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Some(current)) if *current != identity.member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
            _ if self.members.contains_key(&identity.member_id) => Ok(()),
            _ => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    fn check_member(&self, identity: &Identity, generation: i32) -> Result<(), ErrorCode> {
        self.check_identity(identity)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    fn touch(&mut self, member_id: &str, now_ms: i64) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_deadline_ms = now_ms + member.session_timeout_ms;
        }
    }

    /// Removes a member and lets the others rebalance.
    fn remove(&mut self, member_id: &str, now_ms: i64, out: &mut Replies) {
        if self.drop_member(member_id, out) {
            self.rebalance_or_go_on(now_ms, out);
        }
    }

    /// Removes a member; what it waits for is answered. Gives whether it was there.
    fn drop_member(&mut self, member_id: &str, out: &mut Replies) -> bool {
        let Some(member) = self.forget(member_id) else { return false };
        if let Some(token) = member.waiting_join {
            refuse_join(token, "", ErrorCode::UNKNOWN_MEMBER_ID, out);
        }
        if let Some(token) = member.waiting_sync {
            refuse_sync(token, ErrorCode::UNKNOWN_MEMBER_ID, out);
        }
        true
    }

    fn forget(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(member_id) {
            let eldest = self.members.iter().min_by_key(|(_, member)| member.seniority);
            self.leader = eldest.map(|(id, _)| id.clone());
        }
        Some(member)
    }

    fn longest_rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }
}

fn refused_join() -> JoinAnswer {
    JoinAnswer { generation: -1, ..JoinAnswer::default() }
}

fn refuse_join(token: Token, member_id: &str, error: ErrorCode, out: &mut Replies) {
    let answer = JoinAnswer { error: Some(error), member_id: member_id.to_owned(), ..refused_join() };
    out.push((token, Reply::Join(answer)));
}

fn refuse_sync(token: Token, error: ErrorCode, out: &mut Replies) {
    out.push((token, Reply::Sync(SyncAnswer { error: Some(error), ..SyncAnswer::default() })));
}

pub(crate) use commit::CommitKind;

#[cfg(test)]
mod tests;
