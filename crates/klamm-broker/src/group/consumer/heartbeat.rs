//! `ConsumerGroupHeartbeat`: joining, staying, and leaving.

use std::collections::BTreeSet;
use std::sync::Arc;

use klamm_kafka::ErrorCode;

use super::member::{Held, LEFT_FOR_NOW};
use super::reconcile::Owned;
use super::regexes::RegexChange;
use super::{ConsumerGroup, Deadline, Member, MemberState, Scene, Timers};
use crate::error::Refusal;
use crate::group::assign::Assignment;

/// A heartbeat; what is `None` has not changed since the last one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beat {
    pub member_id: String,
    pub epoch: i32,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub rebalance_timeout_ms: Option<i32>,
    pub topics: Option<BTreeSet<String>>,
    pub regex: Option<String>,
    pub server_assignor: Option<String>,
    pub owned: Owned,
    pub client_id: String,
    pub client_host: String,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BeatAnswer {
    pub member_id: String,
    pub epoch: i32,
    /// Told when it has changed, or when the member has told everything itself.
    pub assignment: Option<Assignment>,
}

/// What a heartbeat or join has changed of a member.
#[derive(Debug)]
pub(super) struct Change {
    pub id: String,
    /// Whether its subscription is another one.
    pub subscription: bool,
    pub regex: RegexChange,
    /// Whether the group counts as one whose members are all subscribed alike; unset: as it stands.
    pub homogeneous: Option<bool>,
}

/// `member_epoch` of a member that joins.
const JOINING: i32 = 0;

impl Beat {
    fn is_full(&self) -> bool {
        let subscribed = self.topics.is_some() || self.regex.is_some();
        self.rebalance_timeout_ms.is_some() && subscribed && self.owned.is_some()
    }

    /// Whether it says no more than that the member is there.
    fn is_bare(&self) -> bool {
        let names = self.instance_id.is_some() || self.rack_id.is_some() || self.server_assignor.is_some();
        let subscribed = self.topics.is_some() || self.regex.is_some();
        !names && !subscribed && self.rebalance_timeout_ms.is_none()
    }
}

impl ConsumerGroup {
    /// Answers the heartbeat of a member that has nothing to tell and nothing to do: most are such. `None` for all
    /// others, which [`Self::heartbeat`] handles.
    pub fn heartbeat_at_rest(&mut self, beat: &Beat, scene: Scene<'_>) -> Option<BeatAnswer> {
        let member = self.members.get(&beat.member_id)?;
        let same_client = member.client_id == beat.client_id && member.client_host == beat.client_host;
        let at_rest = beat.is_bare()
            && beat.epoch == member.epoch
            && same_client
            && member.classic.is_none()
            && member.is_reconciled_to(self.target_epoch)
            && self.target_epoch == self.epoch
            && self.compared
            && self.members.len() <= scene.settings.max_size;
        // Expressions are refreshed by the clock, and one may wait to be resolved for the first time.
        let expressions = || self.members.values().any(|member| !member.regex.is_empty());
        if !at_rest || beat.epoch <= JOINING || expressions() {
            return None;
        }
        let answer = BeatAnswer { member_id: member.id.clone(), epoch: member.epoch, assignment: None };
        self.prolong(&beat.member_id, scene.settings.session_timeout_ms, scene.now_ms);
        Some(answer)
    }

    /// A member joins (epoch 0) or stays. Its expressions match topics that it `may_describe`. What is refused leaves the group
    /// half changed: the caller drops it.
    pub fn heartbeat(
        &mut self,
        beat: Beat,
        scene: Scene<'_>,
        may_describe: &dyn Fn(&str) -> bool,
    ) -> Result<BeatAnswer, Refusal> {
        let settings = scene.settings;
        self.check_size(&beat.member_id, settings.max_size)?;
        let before = match &beat.instance_id {
            Some(instance) => self.static_beat(&beat, instance)?,
            None => self.dynamic_beat(&beat)?,
        };
        let mut member = Member {
            topics: beat.topics.clone().unwrap_or_else(|| before.topics.clone()),
            regex: beat.regex.clone().unwrap_or_else(|| before.regex.clone()),
            rebalance_timeout_ms: beat.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
            client_id: beat.client_id.clone(),
            client_host: beat.client_host.clone(),
            classic: None,
            ..before.as_ref().clone()
        };
        let update = |field: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                field.clone_from(new);
            }
        };
        update(&mut member.instance_id, &beat.instance_id);
        update(&mut member.rack_id, &beat.rack_id);
        update(&mut member.server_assignor, &beat.server_assignor);

        let change = self.admit(&before, member, scene)?;
        self.compute_target(change.homogeneous, scene);
        let member = self.reconcile(&change, &beat.owned, scene)?;
        self.prolong(&member.id, settings.session_timeout_ms, scene.now_ms);
        let tells = beat.epoch == JOINING || beat.is_full() || before.assigned != member.assigned;
        let answer = BeatAnswer {
            member_id: member.id.clone(),
            epoch: member.epoch,
            assignment: tells.then(|| member.assignment()),
        };
        if change.regex.refresh {
            self.resolve_regexes(scene, may_describe)?;
        }
        Ok(answer)
    }

    /// Puts a changed member in place of `before`, and begins an epoch if that asks for one.
    pub(super) fn admit(
        &mut self,
        before: &Member,
        member: Member,
        scene: Scene<'_>,
    ) -> Result<Change, Refusal> {
        let topics_changed = before.topics != member.topics;
        let regex = self.change_regex(&before.regex, &member.regex, scene)?;
        // Kafka knows how members are subscribed from when it compared their topics last: not from this event, unless that does.
        let pending = self.target_epoch < self.epoch;
        let mut homogeneous = pending.then(|| self.is_homogeneous());
        let id = member.id.clone();
        if self.members.get(&id).is_none_or(|known| **known != member) {
            self.members.insert(id.clone(), Arc::new(member));
        }
        let changed = topics_changed || (regex.changed && regex.resolved);
        if changed || !self.compared {
            self.compare_topics(scene.image, changed)?;
            homogeneous = None;
        }
        Ok(Change { id, subscription: topics_changed || regex.changed, regex, homogeneous })
    }

    /// Takes a member one step towards its target.
    pub(super) fn reconcile(
        &mut self,
        change: &Change,
        owned: &Owned,
        scene: Scene<'_>,
    ) -> Result<Arc<Member>, Refusal> {
        let (id, subscription_changed) = (change.id.as_str(), change.subscription);
        let member = self.known(id)?.clone();
        if !subscription_changed && member.is_reconciled_to(self.target_epoch) {
            return Ok(member);
        }
        let next = self.step(&member, subscription_changed, owned, scene.image);
        if next == *member {
            return Ok(member);
        }
        let revoking = next.state == MemberState::UnrevokedPartitions && next.classic.is_none();
        let at_ms = scene.now_ms.saturating_add(next.rebalance_timeout_ms.into());
        let revocation = revoking.then_some(Deadline { at_ms, epoch: next.epoch });
        if next.classic.is_none() {
            self.timers_of(id).revocation = revocation;
        }
        let next = Arc::new(next);
        self.members.insert(id.to_owned(), next.clone());
        Ok(next)
    }

    fn dynamic_beat(&mut self, beat: &Beat) -> Result<Arc<Member>, Refusal> {
        match self.members.get(&beat.member_id) {
            Some(member) => {
                check_epoch(member, beat)?;
                Ok(member.clone())
            }
            None if beat.epoch == JOINING => Ok(Arc::new(Member::new(&beat.member_id))),
            None => self.known(&beat.member_id).cloned(),
        }
    }

    fn static_beat(&mut self, beat: &Beat, instance: &str) -> Result<Arc<Member>, Refusal> {
        let known = self.static_member(instance).cloned();
        match known {
            None if beat.epoch == JOINING => {
                let known = self.members.get(&beat.member_id).cloned();
                Ok(known.unwrap_or_else(|| Arc::new(Member::new(&beat.member_id))))
            }
            Some(old) if beat.epoch == JOINING => {
                if old.classic.is_none() && old.epoch != LEFT_FOR_NOW {
                    let message = format!(
                        "Static member {} with instance id {instance} cannot join the group because the \
                         instance id is owned by {} member.",
                        beat.member_id, old.id
                    );
                    return Err(Refusal::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
                }
                Ok(self.replace(&old, &beat.member_id))
            }
            known => {
                let member = self.check_instance(known, instance, &beat.member_id)?;
                check_epoch(&member, beat)?;
                Ok(member)
            }
        }
    }

    /// A static member comes back under a new id: it takes the place of the old one.
    pub(super) fn replace(&mut self, old: &Member, new_id: &str) -> Arc<Member> {
        let target = self.targets.remove(&old.id);
        self.members.remove(&old.id);
        self.timers.remove(&old.id);
        let member = Member { id: new_id.to_owned(), epoch: 0, previous_epoch: 0, ..old.clone() };
        let member = Arc::new(member);
        self.members.insert(new_id.to_owned(), member.clone());
        self.targets.insert(new_id.to_owned(), target.unwrap_or_default());
        member
    }

    /// A member leaves for good (epoch -1), or a static one for now (-2).
    pub fn leave(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        epoch: i32,
        scene: Scene<'_>,
    ) -> Result<BeatAnswer, Refusal> {
        let member = match instance_id {
            None => self.known(member_id)?.clone(),
            Some(instance) => {
                let known = self.static_member(instance).cloned();
                self.check_instance(known, instance, member_id)?
            }
        };
        if instance_id.is_some() && epoch == LEFT_FOR_NOW {
            // From its next join on, what it has counts as assigned since ever.
            let reset = |held: &Held| -> Held {
                let topic = |(topic, partitions): (&_, &std::collections::BTreeMap<i32, i32>)| {
                    (*topic, partitions.keys().map(|partition| (*partition, 0)).collect())
                };
                held.iter().map(topic).collect()
            };
            let away = Member {
                epoch: LEFT_FOR_NOW,
                revoking: Held::new(),
                assigned: reset(&member.assigned),
                ..member.as_ref().clone()
            };
            self.members.insert(member.id.clone(), Arc::new(away));
        } else {
            self.fence(std::slice::from_ref(&member.id), scene)?;
        }
        Ok(BeatAnswer { member_id: member_id.to_owned(), epoch, assignment: None })
    }

    pub(super) fn check_instance(
        &self,
        known: Option<Arc<Member>>,
        instance: &str,
        member_id: &str,
    ) -> Result<Arc<Member>, Refusal> {
        let member = known.ok_or_else(|| {
            Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance} is unknown."))
        })?;
        if member.id == member_id {
            return Ok(member);
        }
        let message = format!(
            "Static member {member_id} with instance id {instance} was fenced by member {}.",
            member.id
        );
        Err(Refusal::new(ErrorCode::FENCED_INSTANCE_ID, message))
    }

    pub(super) fn check_size(&self, member_id: &str, max_size: usize) -> Result<(), Refusal> {
        if self.members.len() < max_size || self.members.contains_key(member_id) {
            return Ok(());
        }
        let message = format!("The consumer group has reached its maximum capacity of {max_size} members.");
        Err(Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message))
    }

    pub(super) fn prolong(&mut self, id: &str, session_timeout_ms: i64, now_ms: i64) {
        self.timers_of(id).session_ms = now_ms.saturating_add(session_timeout_ms);
    }

    pub(super) fn timers_of(&mut self, id: &str) -> &mut Timers {
        let unset = Timers { session_ms: i64::MAX, revocation: None, join_ms: None, sync_ms: None };
        self.timers.entry(id.to_owned()).or_insert(unset)
    }
}

/// A member may be one step behind: the answer that raised its epoch may have been lost.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refusal> {
    let (received, known) = (beat.epoch, member.epoch);
    if received == JOINING || received == known {
        return Ok(());
    }
    let lost_an_answer = received == member.previous_epoch && owns_at_most(&beat.owned, &member.assigned);
    if received < known && lost_an_answer {
        return Ok(());
    }
    let how = if received > known { "greater" } else { "smaller" };
    let message = format!(
        "The consumer group member has a {how} member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
}

fn owns_at_most(owned: &Owned, assigned: &Held) -> bool {
    let Some(owned) = owned else { return false };
    owned.iter().all(|(topic, partitions)| {
        let has = assigned.get(topic);
        partitions.iter().all(|partition| has.is_some_and(|has| has.contains_key(partition)))
    })
}
