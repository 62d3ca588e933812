//! The way back from what a run did: found by looking at what it changed, and at what is there now.

use klamm_contract::facts::{ClusterFacts, ConfigFact, ConfigSource, TopicFacts};
use klamm_kafka::topic_config;
use klamm_plan::{AccessFacts, Change, ChangeKind, Conflict, Risk, risk_of};

use crate::journal::{Inverse, Step};

const CHANGED: &str = "it was changed since";

/// The way back, as it is found step by step.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub changes: Vec<Change>,
    pub left: Vec<String>,
    pub conflicts: Vec<Conflict>,
}

/// The cluster as it is now, as far as a run is about it.
#[derive(Debug)]
pub(super) struct Live {
    pub cluster: ClusterFacts,
    pub access: AccessFacts,
}

impl Back {
    /// The way back from `steps`, the last one first, given the cluster as it is now.
    pub fn of<'a>(steps: impl DoubleEndedIterator<Item = &'a Step>, live: &Live) -> Self {
        let mut back = Back::default();
        steps.rev().for_each(|step| back.take(step, live));
        back
    }

    /// Adds what takes `step` back.
    fn take(&mut self, step: &Step, live: &Live) {
        let topic = &step.change.topic;
        match (&step.inverse, live.cluster.topics.get(topic)) {
            (Inverse::Never { why }, _) => self.left.push(format!("{}: {why}", step.change)),
            (Inverse::Revoke, _) => self.revoke(&step.change.kind, &live.access),
            (Inverse::RemoveUser, _) => self.remove_user(&step.change.kind, &live.access),
            (Inverse::SetBack, _) => self.set_back(&step.change.kind, live),
            // The topic is gone, and what was set on it went with it.
            (_, None) => {}
            (Inverse::DeleteTopic, Some(live)) => {
                if step.topic_id.is_some() && live.id != step.topic_id {
                    let (has, wants) = (live.id.clone(), step.topic_id.clone());
                    let why = "it was deleted and made again since";
                    return self.conflict(topic, "topic id", has, wants, why);
                }
                let kind = ChangeKind::DeleteTopic { records: 0 };
                self.changes.push(Change { topic: topic.clone(), kind, risk: Risk::LosesData });
            }
            (Inverse::MoveBack, Some(live)) => self.move_back(step, live),
            (Inverse::RestoreConfig { name, to }, Some(live)) => self.restore(step, name, to.as_ref(), live),
        }
    }

    /// A rule that is gone already is not removed again.
    fn revoke(&mut self, made: &ChangeKind, access: &AccessFacts) {
        let ChangeKind::Allow { acl } = made else { return };
        if access.acls.as_ref().is_some_and(|acls| acls.contains(acl)) {
            self.cluster(ChangeKind::Revoke { acl: acl.clone() }, Risk::DeniesClients);
        }
    }

    /// A user that is gone already is not removed again.
    fn remove_user(&mut self, made: &ChangeKind, access: &AccessFacts) {
        let ChangeKind::SetPassword { user, mechanism, .. } = made else { return };
        let known = access.users.as_ref().and_then(|users| users.get(user));
        if known.is_some_and(|known| known.contains(mechanism)) {
            let (user, mechanism) = (user.clone(), *mechanism);
            self.cluster(ChangeKind::RemoveUser { user, mechanism }, Risk::DeniesClients);
        }
    }

    /// Quotas and settings of all brokers.
    fn set_back(&mut self, made: &ChangeKind, live: &Live) {
        match made {
            ChangeKind::SetQuota { principal, name, from, to } => {
                let now = live.access.quotas.get(principal).and_then(|quotas| quotas.get(name)).copied();
                if now == *from {
                    return;
                }
                if now != *to {
                    let text =
                        |rate: Option<u64>| Some(rate.map_or("no limit".to_owned(), |rate| rate.to_string()));
                    return self.conflict(principal, name, text(now), text(*to), CHANGED);
                }
                let risk = match (*from, now) {
                    (Some(from), Some(now)) if from < now => Risk::SlowsClients,
                    (Some(_), None) => Risk::SlowsClients,
                    _ => Risk::Safe,
                };
                let (principal, name) = (principal.clone(), name.clone());
                self.cluster(ChangeKind::SetQuota { principal, name, from: now, to: *from }, risk);
            }
            ChangeKind::SetBrokers { name, from, told, to } => {
                let now = told_to_all(&live.cluster, name);
                let wanted = from.clone().filter(|_| *told);
                if now == wanted {
                    return;
                }
                if now != *to {
                    let text = |value: Option<String>| Some(value.unwrap_or_else(|| "nothing".to_owned()));
                    return self.conflict("all brokers", name, text(now), text(to.clone()), CHANGED);
                }
                let kind = ChangeKind::SetBrokers { name: name.clone(), from: now, told: true, to: wanted };
                self.cluster(kind, Risk::Safe);
            }
            _ => {}
        }
    }

    fn cluster(&mut self, kind: ChangeKind, risk: Risk) {
        self.changes.push(Change { topic: String::new(), kind, risk });
    }

    fn move_back(&mut self, step: &Step, live: &TopicFacts) {
        let ChangeKind::Reassign { moves, throttle } = &step.change.kind else { return };
        let mut back = Vec::new();
        for planned in moves {
            let Some(now) = live.partitions.iter().find(|found| found.index == planned.partition) else {
                continue;
            };
            if now.replicas == planned.from {
                continue;
            }
            if now.replicas != planned.to {
                let setting = format!("copies of partition {}", planned.partition);
                let (has, wants) = (format!("{:?}", now.replicas), format!("{:?}", planned.to));
                let topic = &step.change.topic;
                return self.conflict(topic, &setting, Some(has), Some(wants), "they were moved since");
            }
            back.push(planned.back());
        }
        if !back.is_empty() {
            let kind = ChangeKind::Reassign { moves: back, throttle: *throttle };
            self.changes.push(Change { topic: step.change.topic.clone(), kind, risk: Risk::CopiesData });
        }
    }

    fn restore(&mut self, step: &Step, name: &str, to: Option<&String>, live: &TopicFacts) {
        let topic = &step.change.topic;
        let Some(configs) = &live.configs else {
            let why = "what cannot be read cannot be compared (DESCRIBE_CONFIGS is denied)";
            return self.conflict(topic, name, None, to.cloned(), why);
        };
        let now = configs.get(name);
        if is_restored(now, to) {
            return;
        }
        let value = now.and_then(|fact| fact.value.clone());
        let set = match &step.change.kind {
            ChangeKind::SetConfig { to, .. } => Some(to.clone()),
            ChangeKind::RestoreConfig { to, .. } => to.clone(),
            _ => None,
        };
        let ours = match (&set, &value) {
            (Some(set), Some(value)) => topic_config(name).map_or(set == value, |c| c.same_value(set, value)),
            (None, _) => now.is_none_or(|fact| fact.source != ConfigSource::Topic),
            (Some(_), None) => false,
        };
        if !ours {
            return self.conflict(topic, name, value, set, CHANGED);
        }
        let default = topic_config(name).map(|config| config.default);
        let risk = risk_of(name, value.as_deref(), to.map(String::as_str).or(default).unwrap_or_default());
        let kind = ChangeKind::RestoreConfig { name: name.to_owned(), from: value, to: to.cloned() };
        self.changes.push(Change { topic: topic.clone(), kind, risk });
    }

    fn conflict(
        &mut self,
        topic: &str,
        setting: &str,
        has: Option<String>,
        wants: Option<String>,
        why: &str,
    ) {
        let text = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
        self.conflicts.push(Conflict {
            topic: topic.to_owned(),
            setting: setting.to_owned(),
            has: text(has),
            wants: text(wants),
            why: why.to_owned(),
            fix: "change it by hand, or let the spec say what it is to be and apply".to_owned(),
        });
    }
}

/// The topic's own value is `to`; with `None`, it has none.
fn is_restored(now: Option<&ConfigFact>, to: Option<&String>) -> bool {
    let own = now.filter(|fact| fact.source == ConfigSource::Topic);
    match (own, to) {
        (None, None) => true,
        (Some(fact), Some(to)) => fact.value.as_ref() == Some(to),
        _ => false,
    }
}

/// The value that all brokers were told while they run, if they were.
fn told_to_all(cluster: &ClusterFacts, name: &str) -> Option<String> {
    let facts = cluster.brokers.iter().filter_map(|broker| broker.configs.get(name));
    let mut told = facts.filter(|fact| fact.source == ConfigSource::DynamicDefaultBroker);
    told.find_map(|fact| fact.value.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType};

    use super::*;

    fn live(acls: Vec<Acl>, quota: Option<u64>) -> Live {
        let quotas = quota.map(|rate| ("producer_byte_rate".to_owned(), rate)).into_iter().collect();
        let quotas = BTreeMap::from([("User:a".to_owned(), quotas)]);
        Live {
            cluster: ClusterFacts::default(),
            access: AccessFacts { acls: Some(acls), quotas, ..AccessFacts::default() },
        }
    }

    fn back(kind: ChangeKind, live: &Live) -> (Vec<String>, usize) {
        let step = Step::new(0, &Change { topic: String::new(), kind, risk: Risk::Safe });
        let back = Back::of([step].iter(), live);
        (back.changes.iter().map(Change::to_string).collect(), back.conflicts.len())
    }

    #[test]
    fn a_rule_is_removed_once() {
        let acl = Acl {
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            resource_type: ResourceType::Topic,
            resource: "t".to_owned(),
            pattern: Pattern::Literal,
            operation: Operation::Read,
            permission: Permission::Allow,
        };
        let made = ChangeKind::Allow { acl: acl.clone() };
        assert_eq!(back(made.clone(), &live(vec![acl], None)).0.len(), 1);
        assert_eq!(back(made, &live(Vec::new(), None)), (Vec::new(), 0));
    }

    #[test]
    fn a_quota_goes_back_unless_it_did_or_somebody_changed_it() {
        let made = |from| ChangeKind::SetQuota {
            principal: "User:a".to_owned(),
            name: "producer_byte_rate".to_owned(),
            from,
            to: Some(50),
        };
        let (changes, conflicts) = back(made(Some(10)), &live(Vec::new(), Some(50)));
        assert_eq!(changes, ["set producer_byte_rate of User:a from 50 B/s to 10 B/s"]);
        assert_eq!(conflicts, 0);
        assert_eq!(back(made(Some(10)), &live(Vec::new(), Some(10))), (Vec::new(), 0));
        assert_eq!(back(made(None), &live(Vec::new(), None)), (Vec::new(), 0));
        assert_eq!(back(made(None), &live(Vec::new(), Some(7))), (Vec::new(), 1));
    }
}
