//! One classic group: who is in it, at which generation, and what must happen next.
//!
//! The rules are those of Kafka's `ClassicGroup` and `GroupMetadataManager`: a join may wait for the other members, a
//! sync for the leader's assignment; both are answered through [`Replies`], now or later, by their token. Assignments
//! and subscriptions are relayed and not looked into.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use klamm_kafka::ErrorCode;

/// Stands for a join or sync that waits for its answer.
pub(crate) type Token = u64;

/// Answers that fell due, in order.
pub(crate) type Replies = Vec<(Token, Reply)>;

/// The answer to a join or a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Join(JoinAnswer),
    Sync(SyncAnswer),
}

/// A member as it names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub member_id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    pub identity: Identity,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i64,
    pub rebalance_timeout_ms: i64,
    pub protocol_type: String,
    /// Name and subscription, the preferred one first.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether a new dynamic member must come back with the id it is given (KIP-394).
    pub requires_known_member_id: bool,
    /// Whether the client understands `skip_assignment` (KIP-814).
    pub supports_skip_assignment: bool,
    /// The id that a new member is to have.
    pub fresh_member_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JoinAnswer {
    pub error: Option<ErrorCode>,
    pub member_id: String,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    pub skip_assignment: bool,
    /// Only for the leader: every member with its subscription.
    pub members: Vec<(Identity, Bytes)>,
}

#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub identity: Identity,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignments: Vec<(String, Bytes)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncAnswer {
    pub error: Option<ErrorCode>,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl Phase {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group as `DescribeGroups` tells it.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub state: &'static str,
    pub protocol_type: String,
    pub protocol: String,
    pub members: Vec<MemberDescription>,
}

#[derive(Debug, Clone)]
pub(crate) struct MemberDescription {
    pub identity: Identity,
    pub client_id: String,
    pub client_host: String,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// One classic group.
#[derive(Debug)]
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
    /// Not before this time is a rebalance completed (`group.initial.rebalance.delay.ms`).
    settle_until_ms: i64,
    initial_delay_ms: i64,
    joined: u64,
}

#[derive(Debug)]
struct Member {
    instance_id: Option<String>,
    client_id: String,
    client_host: String,
    session_timeout_ms: i64,
    rebalance_timeout_ms: i64,
    protocols: Vec<(String, Bytes)>,
    assignment: Bytes,
    session_deadline_ms: i64,
    waiting_join: Option<Token>,
    waiting_sync: Option<Token>,
    synced: bool,
    /// Order in which members joined: the eldest leads.
    seniority: u64,
}

impl Member {
    fn subscription(&self, protocol: Option<&str>) -> Bytes {
        let chosen = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        chosen.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }
}

impl Group {
    pub fn new(initial_delay_ms: i64) -> Self {
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
            settle_until_ms: 0,
            initial_delay_ms,
            joined: 0,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// Whether the group has neither members nor anybody who is about to become one.
    pub fn is_vacant(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// A member joins, or joins again.
    pub fn join(&mut self, request: JoinRequest, token: Token, now_ms: i64, out: &mut Replies) {
        let refuse = |error, out: &mut Replies| {
            let member_id = request.identity.member_id.clone();
            out.push((token, Reply::Join(JoinAnswer { error: Some(error), member_id, ..refused_join() })));
        };
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

    /// A member leaves, or an administrator removes a static one by its instance id.
    pub fn leave(&mut self, identity: &Identity, now_ms: i64, out: &mut Replies) -> Result<(), ErrorCode> {
        if self.pending.remove(&identity.member_id).is_some() {
            self.complete_join_if_all_are_here(now_ms, out);
            return Ok(());
        }
        if identity.instance_id.is_none() || !identity.member_id.is_empty() {
            self.check_identity(identity)?;
        }
        let member_id = self.resolve(identity);
        if !self.members.contains_key(&member_id) {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.remove(&member_id, ErrorCode::UNKNOWN_MEMBER_ID, now_ms, out);
        Ok(())
    }

    /// Whether a commit may be made: by a member of the current generation, or (`generation` below 0) from outside
    /// while the group has no members.
    pub fn check_commit(
        &mut self,
        identity: &Identity,
        generation: i32,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && identity.member_id.is_empty() && identity.instance_id.is_none() {
            return if self.phase == Phase::Empty { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        }
        self.check_member(identity, generation)?;
        match self.phase {
            Phase::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            // The assignment is about to change hands: the new owner must not find a commit that moves under it.
            Phase::CompletingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::PreparingRebalance | Phase::Stable => {
                self.touch(&self.resolve(identity), now_ms);
                Ok(())
            }
        }
    }

    /// When [`Group::tick`] must be called next, if nothing happens before.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let sessions = self.members.values().filter(|m| !m.is_waiting()).map(|m| m.session_deadline_ms);
        let pending = self.pending.values().copied();
        let phase = match self.phase {
            Phase::PreparingRebalance if self.all_have_joined() => Some(self.settle_until_ms),
            Phase::PreparingRebalance | Phase::CompletingRebalance => Some(self.phase_deadline_ms),
            Phase::Empty | Phase::Stable => None,
        };
        sessions.chain(pending).chain(phase).min()
    }

    /// Does what has fallen due: removes who has been silent for too long, ends a phase that took too long.
    pub fn tick(&mut self, now_ms: i64, out: &mut Replies) {
        self.pending.retain(|_, deadline| *deadline > now_ms);
        let expired: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| !member.is_waiting() && member.session_deadline_ms <= now_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in expired {
            self.remove(&member_id, ErrorCode::UNKNOWN_MEMBER_ID, now_ms, out);
        }
        match self.phase {
            Phase::PreparingRebalance => {
                if now_ms >= self.phase_deadline_ms {
                    self.drop_members_that_did_not_join(now_ms, out);
                } else {
                    self.complete_join_if_all_are_here(now_ms, out);
                }
            }
            Phase::CompletingRebalance if now_ms >= self.phase_deadline_ms => {
                let silent: Vec<_> =
                    self.members.iter().filter(|(_, m)| !m.synced).map(|(id, _)| id.clone()).collect();
                for member_id in silent {
                    self.remove(&member_id, ErrorCode::UNKNOWN_MEMBER_ID, now_ms, out);
                }
            }
            _ => {}
        }
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

/// Joining and rebalancing.
impl Group {
    /// Whether the protocols of a joining member fit those of the others.
    fn accepts(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        let others: Vec<_> = self
            .members
            .iter()
            .filter(|(id, member)| {
                let same_instance =
                    member.instance_id.is_some() && member.instance_id == request.identity.instance_id;
                **id != request.identity.member_id && !same_instance
            })
            .map(|(_, member)| member)
            .collect();
        if others.is_empty() {
            return true;
        }
        let shared =
            |name: &String| others.iter().all(|m| m.protocols.iter().any(|(other, _)| other == name));
        self.protocol_type.as_ref() == Some(&request.protocol_type)
            && request.protocols.iter().any(|(name, _)| shared(name))
    }

    fn add(&mut self, member_id: String, request: JoinRequest, token: Token, now_ms: i64, out: &mut Replies) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if let Some(instance) = &request.identity.instance_id {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        self.joined += 1;
        let member = Member {
            instance_id: request.identity.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            session_deadline_ms: now_ms + request.session_timeout_ms,
            waiting_join: Some(token),
            waiting_sync: None,
            synced: false,
            seniority: self.joined,
        };
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        self.members.insert(member_id, member);
        self.rebalance(now_ms, out);
    }

    /// A known member joins again: with a new subscription, or because it did not get its answer.
    fn rejoin(
        &mut self,
        member_id: &str,
        request: JoinRequest,
        token: Token,
        now_ms: i64,
        out: &mut Replies,
    ) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let unchanged = member.protocols == request.protocols;
        let leads = self.leader.as_deref() == Some(member_id);
        let answer_now = match self.phase {
            Phase::CompletingRebalance => unchanged,
            // The leader joins again when it sees that the partitions have changed.
            Phase::Stable => unchanged && !leads,
            Phase::PreparingRebalance | Phase::Empty => false,
        };
        if answer_now {
            member.session_deadline_ms = now_ms + member.session_timeout_ms;
            out.push((token, Reply::Join(self.join_answer(member_id))));
            return;
        }
        member.protocols = request.protocols;
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        if let Some(older) = member.waiting_join.replace(token) {
            // The same member asks twice: the older connection is gone.
            refuse_join(older, member_id, ErrorCode::UNKNOWN_MEMBER_ID, out);
        }
        self.rebalance(now_ms, out);
    }

    /// A static member comes back without its member id, after a restart: it gets a new id and keeps its place.
    fn replace_static(
        &mut self,
        old_id: &str,
        request: JoinRequest,
        token: Token,
        now_ms: i64,
        out: &mut Replies,
    ) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        let member_id = request.fresh_member_id;
        if let Some(older) = member.waiting_join.take() {
            refuse_join(older, old_id, ErrorCode::FENCED_INSTANCE_ID, out);
        }
        if let Some(older) = member.waiting_sync.take() {
            refuse_sync(older, ErrorCode::FENCED_INSTANCE_ID, out);
        }
        let led = self.leader.as_deref() == Some(old_id);
        if led {
            self.leader = Some(member_id.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        let unchanged = member.protocols == request.protocols;
        member.protocols = request.protocols;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_deadline_ms = now_ms + member.session_timeout_ms;
        if self.phase == Phase::Stable && unchanged {
            self.members.insert(member_id.clone(), member);
            let mut answer = self.join_answer(&member_id);
            if led && request.supports_skip_assignment {
                answer.skip_assignment = true;
            } else if led {
                // An older client would assign anew; it must not believe that it leads.
                answer = JoinAnswer { leader: old_id.to_owned(), members: Vec::new(), ..answer };
            }
            out.push((token, Reply::Join(answer)));
            return;
        }
        member.waiting_join = Some(token);
        self.members.insert(member_id, member);
        self.rebalance(now_ms, out);
    }

    /// Starts a rebalance, or goes on with the one that is under way.
    fn rebalance(&mut self, now_ms: i64, out: &mut Replies) {
        if self.phase != Phase::PreparingRebalance {
            if self.phase == Phase::CompletingRebalance {
                for member in self.members.values_mut() {
                    if let Some(token) = member.waiting_sync.take() {
                        refuse_sync(token, ErrorCode::REBALANCE_IN_PROGRESS, out);
                    }
                    // Its time was not counted while it waited.
                    member.session_deadline_ms = now_ms + member.session_timeout_ms;
                }
            }
            self.settle_until_ms = match self.phase {
                Phase::Empty => now_ms + self.initial_delay_ms,
                _ => now_ms,
            };
            self.phase = Phase::PreparingRebalance;
            self.phase_deadline_ms = now_ms + self.longest_rebalance_timeout_ms();
        }
        self.complete_join_if_all_are_here(now_ms, out);
    }

    fn all_have_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.waiting_join.is_some())
    }

    fn complete_join_if_all_are_here(&mut self, now_ms: i64, out: &mut Replies) {
        if self.phase == Phase::PreparingRebalance && self.all_have_joined() && now_ms >= self.settle_until_ms
        {
            self.complete_join(now_ms, out);
        }
    }

    /// The time is up: dynamic members that have not joined are out. Static ones stay until their session ends.
    fn drop_members_that_did_not_join(&mut self, now_ms: i64, out: &mut Replies) {
        self.pending.clear();
        let late: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| member.waiting_join.is_none() && member.instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in late {
            self.forget(&member_id);
        }
        let anybody_joined = self.members.values().any(|member| member.waiting_join.is_some());
        if self.members.is_empty() || anybody_joined {
            self.complete_join(now_ms, out);
        } else {
            // Only static members that are away: wait for them, or for the end of their sessions.
            self.phase_deadline_ms = now_ms + self.longest_rebalance_timeout_ms();
        }
    }

    /// All joins are in: a new generation begins.
    fn complete_join(&mut self, now_ms: i64, out: &mut Replies) {
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            (self.protocol, self.leader) = (None, None);
            return;
        }
        self.protocol = self.choose_protocol();
        self.elect_leader();
        self.phase = Phase::CompletingRebalance;
        self.phase_deadline_ms = now_ms + self.longest_rebalance_timeout_ms();
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.synced = false;
            member.session_deadline_ms = now_ms + member.session_timeout_ms;
            waiting.extend(member.waiting_join.take().map(|token| (member.seniority, token, id.clone())));
        }
        waiting.sort_unstable();
        for (_, token, member_id) in waiting {
            out.push((token, Reply::Join(self.join_answer(&member_id))));
        }
    }

    /// The protocol that most members prefer among those that all of them know.
    fn choose_protocol(&self) -> Option<String> {
        let mut common: Option<HashSet<&str>> = None;
        for member in self.members.values() {
            let names: HashSet<_> = member.protocols.iter().map(|(name, _)| name.as_str()).collect();
            common = Some(common.map_or(names.clone(), |common| &common & &names));
        }
        let common = common?;
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            let preferred =
                member.protocols.iter().map(|(name, _)| name.as_str()).find(|name| common.contains(name));
            *votes.entry(preferred?).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
    }

    /// The leader stays if it has joined; else the eldest of those who have leads.
    fn elect_leader(&mut self) {
        let joined = |member: &Member| member.waiting_join.is_some();
        if self.leader.as_ref().and_then(|id| self.members.get(id)).is_some_and(joined) {
            return;
        }
        let eldest = self.members.iter().filter(|(_, m)| joined(m)).min_by_key(|(_, m)| m.seniority);
        self.leader = eldest.map(|(id, _)| id.clone());
    }

    /// The leader has spoken: everybody gets its part.
    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now_ms: i64, out: &mut Replies) {
        let mut parts: HashMap<_, _> = assignments.into_iter().collect();
        self.phase = Phase::Stable;
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.assignment = parts.remove(id).unwrap_or_default();
            member.session_deadline_ms = now_ms + member.session_timeout_ms;
            waiting.extend(member.waiting_sync.take().map(|token| (token, id.clone())));
        }
        waiting.sort_unstable();
        for (token, member_id) in waiting {
            out.push((token, Reply::Sync(self.sync_answer(&member_id))));
        }
    }

    fn join_answer(&self, member_id: &str) -> JoinAnswer {
        let leader = self.leader.clone().unwrap_or_default();
        let mut members = Vec::new();
        if leader == member_id {
            let mut all: Vec<_> = self.members.iter().collect();
            all.sort_by_key(|(_, member)| member.seniority);
            members.extend(all.into_iter().map(|(id, member)| {
                let identity = Identity { member_id: id.clone(), instance_id: member.instance_id.clone() };
                (identity, member.subscription(self.protocol.as_deref()))
            }));
        }
        JoinAnswer {
            error: None,
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            skip_assignment: false,
            members,
        }
    }

    fn sync_answer(&self, member_id: &str) -> SyncAnswer {
        SyncAnswer {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(member_id).map_or_else(Bytes::new, |m| m.assignment.clone()),
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

    fn remove(&mut self, member_id: &str, error: ErrorCode, now_ms: i64, out: &mut Replies) {
        if let Some(member) = self.forget(member_id) {
            if let Some(token) = member.waiting_join {
                refuse_join(token, member_id, error, out);
            }
            if let Some(token) = member.waiting_sync {
                refuse_sync(token, error, out);
            }
            self.rebalance(now_ms, out);
        }
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

impl Member {
    fn is_waiting(&self) -> bool {
        self.waiting_join.is_some() || self.waiting_sync.is_some()
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

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
