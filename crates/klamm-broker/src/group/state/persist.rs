//! A classic group as a value: for the journal, and to go from one protocol to the other.

use klamm_kafka::ErrorCode;

use super::{ClassicSettings, Group, refuse_join, refuse_sync};
use crate::group::classic_state::{ClassicMember, ClassicState};
use crate::group::member::Member;
use crate::group::messages::{Identity, Phase, Replies};

impl Group {
    /// A group as the journal, or a `consumer` group that became classic, tells of it. Sessions begin now.
    pub fn from_state(state: &ClassicState, settings: ClassicSettings, now_ms: i64) -> Self {
        let mut group = Self {
            phase: if state.members.is_empty() { Phase::Empty } else { Phase::Stable },
            generation: state.generation,
            protocol_type: state.protocol_type.clone(),
            protocol: state.protocol.clone(),
            leader: state.leader.clone(),
            unrecorded: false,
            ..Self::new(settings)
        };
        for classic in &state.members {
            group.joined += 1;
            if let Some(instance) = &classic.instance_id {
                group.instances.insert(instance.clone(), classic.id.clone());
            }
            let member = Member {
                instance_id: classic.instance_id.clone(),
                client_id: classic.client_id.clone(),
                client_host: classic.client_host.clone(),
                session_timeout_ms: classic.session_timeout_ms,
                rebalance_timeout_ms: classic.rebalance_timeout_ms,
                protocols: classic.protocols.clone(),
                assignment: classic.assignment.clone(),
                session_deadline_ms: now_ms.saturating_add(classic.session_timeout_ms),
                waiting_join: None,
                waiting_sync: None,
                synced: true,
                is_new: false,
                seniority: group.joined,
            };
            group.members.insert(classic.id.clone(), member);
        }
        group
    }

    /// The group with all that its members brought.
    pub fn to_state(&self, wall_ms: i64) -> ClassicState {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, member)| member.seniority);
        let members = members.into_iter().map(|(id, member)| ClassicMember {
            id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        });
        ClassicState {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since_ms: wall_ms,
            members: members.collect(),
        }
    }

    /// What the journal keeps. Of the members' protocols that is only the chosen one, as in Kafka.
    pub fn to_record(&self, since_ms: i64) -> ClassicState {
        let mut state = self.to_state(since_ms);
        for member in &mut state.members {
            member.protocols.retain(|(name, _)| Some(name) == state.protocol.as_ref());
        }
        state
    }

    /// What the journal is to keep, if that has changed: a generation that has its assignments, or an empty group.
    pub fn take_unrecorded(&mut self, wall_ms: i64) -> Option<ClassicState> {
        if !self.unrecorded || !matches!(self.phase, Phase::Empty | Phase::Stable) {
            return None;
        }
        self.unrecorded = false;
        Some(self.to_record(wall_ms))
    }

    /// The journal could not take what was to be recorded.
    pub fn remember_to_record(&mut self) {
        self.unrecorded = true;
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }

    pub fn is_led_by(&self, identity: &Identity) -> bool {
        self.leader.as_ref() == Some(&identity.member_id)
    }

    /// Tells everybody who waits to join again: the group is about to change its protocol.
    pub fn send_all_away(&mut self, out: &mut Replies) {
        for (id, member) in &mut self.members {
            if let Some(token) = member.waiting_join.take() {
                refuse_join(token, id, ErrorCode::REBALANCE_IN_PROGRESS, out);
            }
            if let Some(token) = member.waiting_sync.take() {
                refuse_sync(token, ErrorCode::REBALANCE_IN_PROGRESS, out);
            }
        }
    }
}
