//! Members of the classic protocol in a `consumer` group, and groups that go from one protocol to the other (KIP-848's
//! online migration, `group.consumer.migration.policy`).
//!
//! Such a member does not see the assignors of others: it joins, syncs and is told to join again until it has its part of
//! the target assignment, step by step, as a cooperative assignor would move it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use klamm_kafka::ErrorCode;

use super::member::Held;
use super::{ClassicPart, ConsumerGroup, ConsumerSettings, Downgrade, Member, MemberState, Scene};
use crate::error::Refusal;
use crate::group::assign::Assignment;
use crate::group::classic_state::{ClassicMember, ClassicState};
use crate::group::embedded::{self, PROTOCOL_TYPE};
use crate::group::image::TopicsImage;
use crate::group::messages::{Identity, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest};

impl ConsumerGroup {
    /// A classic group as a `consumer` group: its assignment is the target, and everybody has reached it.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND` if what its members embed cannot be read, or comes from an assignor of their own.
    pub fn from_classic(id: &str, state: &ClassicState, image: &TopicsImage) -> Result<Self, Refusal> {
        let refused = |why: &str| {
            let message = format!("Cannot upgrade classic group {id} to consumer group because {why}.");
            Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
        };
        let malformed = || refused("the embedded consumer protocol is malformed");
        let mut group = Self { epoch: state.generation, target_epoch: state.generation, ..Self::new(id) };
        for classic in &state.members {
            let (assigned, custom) = match classic.assignment.is_empty() {
                true => (Assignment::new(), false),
                false => embedded::assignment(&classic.assignment, image).ok_or_else(malformed)?,
            };
            if custom {
                return Err(refused("an unsupported custom assignor is in use"));
            }
            let chosen = classic.subscription(state.protocol.as_deref());
            let subscription = embedded::subscription(&chosen).ok_or_else(malformed)?;
            let since = |partitions: &std::collections::BTreeSet<i32>| {
                partitions.iter().map(|partition| (*partition, state.generation)).collect()
            };
            let member = Member {
                instance_id: classic.instance_id.clone(),
                rack_id: subscription.rack_id,
                client_id: classic.client_id.clone(),
                client_host: classic.client_host.clone(),
                rebalance_timeout_ms: i32::try_from(classic.rebalance_timeout_ms).unwrap_or(i32::MAX),
                topics: subscription.topics,
                epoch: state.generation,
                previous_epoch: state.generation,
                assigned: assigned.iter().map(|(topic, all)| (*topic, since(all))).collect::<Held>(),
                classic: Some(ClassicPart {
                    session_timeout_ms: classic.session_timeout_ms,
                    protocols: classic.protocols.clone(),
                }),
                ..Member::new(&classic.id)
            };
            group.members.insert(classic.id.clone(), Arc::new(member));
            group.targets.insert(classic.id.clone(), Arc::new(assigned));
        }
        group.topics = Arc::new(group.subscribed_topics(image));
        Ok(group)
    }

    /// The group as a classic one, if all its members speak that protocol: the target is their assignment.
    pub fn to_classic(&self, image: &TopicsImage, wall_ms: i64) -> ClassicState {
        let members: Vec<_> = self
            .members
            .values()
            .filter_map(|member| {
                let classic = member.classic.as_ref()?;
                Some(ClassicMember {
                    id: member.id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    session_timeout_ms: classic.session_timeout_ms,
                    rebalance_timeout_ms: member.rebalance_timeout_ms.into(),
                    protocols: classic.protocols.clone(),
                    assignment: Bytes::new(),
                })
            })
            .collect();
        let mut state = ClassicState {
            generation: self.epoch,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            leader: members.first().map(|member| member.id.clone()),
            protocol: None,
            since_ms: wall_ms,
            members,
        };
        state.protocol = state.choose_protocol();
        for member in &mut state.members {
            let subscription = member.subscription(state.protocol.as_deref());
            let target = self.targets.get(&member.id).cloned().unwrap_or_default();
            member.assignment = embedded::write_assignment(&target, &subscription, image).unwrap_or_default();
        }
        state
    }

    /// Whether only members of the classic protocol remain, and some do, when `without` are gone, and the group may then
    /// become a classic one.
    pub(super) fn may_become_classic_without(&self, without: &[String], settings: &ConsumerSettings) -> bool {
        let mut rest = self.members.values().filter(|member| !without.contains(&member.id)).peekable();
        settings.migration.allows_downgrade()
            && rest.peek().is_some()
            && rest.all(|member| member.classic.is_some())
            && self.members.len() - without.len() <= settings.classic_max_size
    }

    /// `JoinGroup`. What is refused leaves the group half changed: the caller drops it.
    pub fn classic_join(&mut self, join: &JoinRequest, scene: Scene<'_>) -> Result<JoinAnswer, Refusal> {
        let unknown = join.identity.member_id.is_empty();
        let id = if unknown { &join.fresh_member_id } else { &join.identity.member_id };
        self.check_size(id, scene.settings.max_size)?;
        if !self.supports(&join.protocol_type, &join.protocols) {
            let message = format!("Member {id}'s protocols are not supported.");
            return Err(Refusal::new(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, message));
        }
        let instance = join.identity.instance_id.as_deref();
        if unknown && instance.is_none() && join.requires_known_member_id {
            let error = Some(ErrorCode::MEMBER_ID_REQUIRED);
            return Ok(JoinAnswer { error, member_id: id.clone(), generation: -1, ..JoinAnswer::default() });
        }
        let replaced = instance.and_then(|instance| self.static_member(instance));
        let downgrade = replaced.filter(|old| old.classic.is_none()).is_some_and(|old| {
            let others = self.members.values().filter(|member| member.id != old.id);
            scene.settings.migration.allows_downgrade()
                && self.members.len() <= scene.settings.classic_max_size
                && others.clone().all(|member| member.classic.is_some())
        });
        let before = match instance {
            None => self.members.get(id).cloned().unwrap_or_else(|| Arc::new(Member::new(id))),
            Some(instance) => match self.static_member(instance).cloned() {
                None if unknown => Arc::new(Member::new(id)),
                Some(old) if unknown => self.replace(&old, id),
                known => self.check_instance(known, instance, id)?,
            },
        };
        let first = join.protocols.first();
        let subscription = first.and_then(|(_, bytes)| embedded::subscription(bytes)).ok_or_else(|| {
            let message = "Malformed embedded consumer protocol in subscription deserialization.";
            Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, message)
        })?;
        let owned = embedded::by_id(subscription.owned, scene.image);
        let member = Member {
            instance_id: instance.map(str::to_owned).or_else(|| before.instance_id.clone()),
            rack_id: subscription.rack_id.or_else(|| before.rack_id.clone()),
            rebalance_timeout_ms: i32::try_from(join.rebalance_timeout_ms).unwrap_or(i32::MAX),
            topics: subscription.topics,
            regex: String::new(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            classic: Some(ClassicPart {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols.clone(),
            }),
            ..before.as_ref().clone()
        };
        let change = self.admit(&before, member, scene)?;
        if downgrade {
            let stale = self.target_epoch < self.epoch;
            self.turned_classic = Some(if stale { Downgrade::Rebalance } else { Downgrade::AsItIs });
        } else {
            self.compute_target(change.homogeneous, scene);
        }
        let member = self.reconcile(&change, &Some(owned), scene)?;
        self.prolong(&member.id, join.session_timeout_ms, scene.now_ms);
        let timers = self.timers_of(&member.id);
        timers.join_ms = None;
        timers.revocation = None;
        timers.sync_ms = Some(scene.now_ms.saturating_add(join.rebalance_timeout_ms));
        Ok(JoinAnswer {
            member_id: member.id.clone(),
            generation: member.epoch,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol: first.map(|(name, _)| name.clone()),
            ..JoinAnswer::default()
        })
    }

    /// `SyncGroup`: what the member has now.
    pub fn classic_sync(&mut self, sync: &SyncRequest, scene: Scene<'_>) -> Result<SyncAnswer, ErrorCode> {
        let (member, classic) = self.classic_member(&sync.identity, sync.generation)?;
        let chosen = classic.protocols.first();
        let differs = |ours: Option<&str>, theirs: &Option<String>| {
            theirs.as_deref().is_some_and(|theirs| Some(theirs) != ours)
        };
        if differs(Some(PROTOCOL_TYPE), &sync.protocol_type)
            || differs(chosen.map(|(name, _)| name.as_str()), &sync.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if self.target_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            self.must_join_again(&member, scene.now_ms);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.timers_of(&member.id).sync_ms = None;
        self.prolong(&member.id, classic.session_timeout_ms, scene.now_ms);
        let subscription = chosen.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        let assignment = embedded::write_assignment(&member.assignment(), &subscription, scene.image);
        Ok(SyncAnswer {
            error: None,
            protocol_type: sync.protocol_type.clone(),
            protocol: sync.protocol.clone(),
            assignment: assignment.ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?,
        })
    }

    /// `Heartbeat`.
    pub fn classic_heartbeat(
        &mut self,
        identity: &Identity,
        generation: i32,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let (member, classic) = self.classic_member(identity, generation)?;
        self.prolong(&member.id, classic.session_timeout_ms, now_ms);
        let freed = member.state == MemberState::UnreleasedPartitions && !self.waits_for_others(&member);
        if member.epoch < self.target_epoch || member.state == MemberState::UnrevokedPartitions || freed {
            self.must_join_again(&member, now_ms);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// `LeaveGroup`: who leaves, if that may be.
    pub fn classic_leaver(&self, identity: &Identity) -> Result<String, ErrorCode> {
        let member = match &identity.instance_id {
            None => self.known(&identity.member_id).map_err(|refusal| refusal.code)?,
            Some(instance) => {
                let member = self.static_member(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
                if !identity.member_id.is_empty() && identity.member_id != member.id {
                    return Err(ErrorCode::FENCED_INSTANCE_ID);
                }
                member
            }
        };
        Ok(member.id.clone())
    }

    /// Puts out who leaves.
    pub fn classic_leave(&mut self, ids: &[String], scene: Scene<'_>) -> Result<(), Refusal> {
        self.fence(ids, scene)
    }

    fn classic_member(
        &self,
        identity: &Identity,
        generation: i32,
    ) -> Result<(Arc<Member>, ClassicPart), ErrorCode> {
        let member = match &identity.instance_id {
            None => self.members.get(&identity.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?,
            Some(instance) => self.static_member(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?,
        };
        if member.id != identity.member_id {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
        let classic = member.classic.clone().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch != generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok((member.clone(), classic))
    }

    fn must_join_again(&mut self, member: &Member, now_ms: i64) {
        let deadline = now_ms.saturating_add(member.rebalance_timeout_ms.into());
        self.timers_of(&member.id).join_ms.get_or_insert(deadline);
    }

    fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.target(&member.id);
        let mut missing = target
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (*topic, *partition)))
            .filter(|(topic, partition)| !member.holds(*topic, *partition));
        missing.any(|(topic, partition)| self.is_held_by_another(&member.id, topic, partition))
    }

    /// Whether a classic member's protocols fit those of the other classic members.
    fn supports(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        let mut known = BTreeMap::<&str, usize>::new();
        let classic: Vec<_> = self.members.values().filter_map(|member| member.classic.as_ref()).collect();
        for (name, _) in classic.iter().flat_map(|classic| &classic.protocols) {
            *known.entry(name).or_default() += 1;
        }
        let shared = |name: &str| known.get(name).copied().unwrap_or(0) == classic.len();
        protocol_type == PROTOCOL_TYPE && protocols.iter().any(|(name, _)| shared(name))
    }
}
