//! Joining, and the rebalance that follows: who is waited for, who leads, what the next generation is.

use std::collections::HashMap;

use bytes::Bytes;
use klamm_kafka::ErrorCode;

use super::{Group, InitialRebalance, NEW_MEMBER_JOIN_TIMEOUT_MS, refuse_join, refuse_sync};
use crate::group::classic_state;
use crate::group::member::Member;
use crate::group::messages::{Identity, JoinAnswer, JoinRequest, Phase, Replies, Reply, SyncAnswer, Token};

impl Group {
    /// Whether the protocols of a joining member fit those of all members, itself as it was among them.
    pub(super) fn accepts(&self, request: &JoinRequest) -> bool {
        if self.phase == Phase::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let shared =
            |name: &String| self.members.values().all(|m| m.protocols.iter().any(|(other, _)| other == name));
        self.protocol_type.as_ref() == Some(&request.protocol_type)
            && request.protocols.iter().any(|(name, _)| shared(name))
    }

    /// `group.max.size`. In a rebalance those count who have joined it, so that the last to come are kept out.
    pub(super) fn has_room_for(&self, member_id: &str) -> bool {
        let known = self.members.get(member_id);
        match self.phase {
            Phase::Empty => true,
            Phase::PreparingRebalance => {
                let joined = self.members.values().filter(|member| member.waiting_join.is_some()).count();
                known.is_some_and(|member| member.waiting_join.is_some()) || joined < self.settings.max_size
            }
            Phase::CompletingRebalance | Phase::Stable => {
                known.is_some() || self.members.len() < self.settings.max_size
            }
        }
    }

    pub(super) fn add(
        &mut self,
        member_id: String,
        request: JoinRequest,
        token: Token,
        now_ms: i64,
        out: &mut Replies,
    ) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if let Some(instance) = &request.identity.instance_id {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        self.joined += 1;
        if let Some(initial) = &mut self.initial {
            initial.somebody_came = true;
        }
        let member = Member {
            instance_id: request.identity.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            session_deadline_ms: now_ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
            waiting_join: Some(token),
            waiting_sync: None,
            synced: false,
            is_new: true,
            seniority: self.joined,
        };
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        self.members.insert(member_id, member);
        self.rebalance(now_ms, out);
    }

    /// A known member joins again: with a new subscription, or because it did not get its answer.
    pub(super) fn rejoin(
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
    pub(super) fn replace_static(
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
        member.protocols = request.protocols;
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_deadline_ms = now_ms + member.session_timeout_ms;
        self.members.insert(member_id.clone(), member);
        if self.phase == Phase::Stable && self.choose_protocol() == self.protocol {
            self.unrecorded = true;
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
        if let Some(member) = self.members.get_mut(&member_id) {
            member.waiting_join = Some(token);
        }
        self.rebalance(now_ms, out);
    }

    /// Starts a rebalance, or goes on with the one that is under way.
    pub(super) fn rebalance(&mut self, now_ms: i64, out: &mut Replies) {
        if self.phase != Phase::PreparingRebalance {
            if self.phase == Phase::CompletingRebalance {
                for member in self.members.values_mut() {
                    if let Some(token) = member.waiting_sync.take() {
                        refuse_sync(token, ErrorCode::REBALANCE_IN_PROGRESS, out);
                    }
                    member.assignment = Bytes::new();
                    // Its time was not counted while it waited.
                    member.session_deadline_ms = now_ms + member.session_timeout_ms;
                }
            }
            if self.phase == Phase::Empty {
                let delay_ms = self.settings.initial_delay_ms;
                let remaining_ms = (self.longest_rebalance_timeout_ms() - delay_ms).max(0);
                let ends_ms = now_ms + delay_ms;
                self.initial =
                    Some(InitialRebalance { ends_ms, delay_ms, remaining_ms, somebody_came: false });
            }
            self.phase = Phase::PreparingRebalance;
            self.phase_deadline_ms = now_ms + self.longest_rebalance_timeout_ms();
        }
        if self.initial.is_some() {
            self.end_initial_delay(now_ms, out);
        } else {
            self.complete_join_if_all_are_here(now_ms, out);
        }
    }

    /// The first rebalance of a group ends by the clock, whoever may still be expected.
    pub(super) fn end_initial_delay(&mut self, now_ms: i64, out: &mut Replies) {
        let Some(initial) = self.initial.filter(|initial| now_ms >= initial.ends_ms) else { return };
        if initial.somebody_came && initial.remaining_ms > 0 {
            let delay_ms = self.settings.initial_delay_ms.min(initial.remaining_ms);
            self.initial = Some(InitialRebalance {
                ends_ms: now_ms + delay_ms,
                delay_ms,
                remaining_ms: (initial.remaining_ms - initial.delay_ms).max(0),
                somebody_came: false,
            });
            return;
        }
        self.complete_without_the_late(now_ms, out);
    }

    pub(super) fn all_have_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.waiting_join.is_some())
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, now_ms: i64, out: &mut Replies) {
        if self.phase == Phase::PreparingRebalance && self.initial.is_none() && self.all_have_joined() {
            self.complete_join(now_ms, out);
        }
    }

    /// The time is up: dynamic members that have not joined are out. Static ones stay until their session ends.
    pub(super) fn complete_without_the_late(&mut self, now_ms: i64, out: &mut Replies) {
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
        self.initial = None;
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            self.unrecorded = true;
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
            member.is_new = false;
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
        classic_state::choose_protocol(self.members.values().map(|member| member.protocols.as_slice()))
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
    pub(super) fn assign(&mut self, assignments: Vec<(String, Bytes)>, now_ms: i64, out: &mut Replies) {
        let mut parts: HashMap<_, _> = assignments.into_iter().collect();
        self.phase = Phase::Stable;
        self.unrecorded = true;
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

    pub(super) fn sync_answer(&self, member_id: &str) -> SyncAnswer {
        SyncAnswer {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(member_id).map_or_else(Bytes::new, |m| m.assignment.clone()),
        }
    }
}
