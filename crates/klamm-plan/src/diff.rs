//! What a plan would change on a cluster.

use std::collections::BTreeSet;
use std::fmt;

use klamm_contract::facts::{ClusterFacts, ConfigSource, TopicFacts};
use klamm_contract::{Order, Profile};
use klamm_kafka::{Acl, topic_config};
use serde::{Deserialize, Serialize};

use crate::placement::{Move, Wanted, moves};
use crate::plan::{Plan, TopicPlan};
use crate::spec::{Mechanism, SecretRef};
use crate::text;

/// The way from the cluster as it was seen to the plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diff {
    /// Cluster that it was compared with.
    pub cluster_id: String,
    /// Changes, in the order in which they are to be made.
    pub changes: Vec<Change>,
    /// Differences that cannot be changed in place.
    pub conflicts: Vec<Conflict>,
    /// Topics that are as planned.
    pub unchanged: Vec<String>,
}

/// One change of one topic, or of the cluster as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Topic; empty when the change is about the cluster.
    pub topic: String,
    /// What changes.
    pub kind: ChangeKind,
    /// What it can do to those who use the topic.
    pub risk: Risk,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The topic is created.
    CreateTopic {
        /// Partitions.
        partitions: u32,
        /// Copies of each.
        replication_factor: u32,
        /// Topic configuration.
        configs: Vec<(String, String)>,
    },
    /// One configuration of the topic changes.
    SetConfig {
        /// Kafka's name.
        name: String,
        /// Effective value now; `None` when the broker does not tell it.
        from: Option<String>,
        /// Value to be.
        to: String,
        /// Layer that the present value comes from.
        from_source: Option<ConfigSource>,
    },
    /// One configuration of the topic goes back to what it was.
    RestoreConfig {
        /// Kafka's name.
        name: String,
        /// Effective value now.
        from: Option<String>,
        /// The topic's own value that it had; `None` when it had none and inherits again.
        to: Option<String>,
    },
    /// The topic is deleted with all its records: only to take its creation back.
    DeleteTopic {
        /// Records that it holds.
        records: i64,
    },
    /// Copies of partitions are moved, added or dropped.
    Reassign {
        /// The partitions whose copies change.
        moves: Vec<Move>,
        /// Bytes per second that each broker may spend on it.
        throttle: u64,
    },
    /// Throttles that an interrupted move left behind are taken away.
    Unthrottle {
        /// Brokers that the move was about.
        brokers: Vec<i32>,
        /// The throttle that it had set, in bytes per second.
        throttle: u64,
    },
    /// An access rule is added.
    Allow {
        /// The rule.
        acl: Acl,
    },
    /// An access rule is removed: only to take its addition back.
    Revoke {
        /// The rule.
        acl: Acl,
    },
    /// A user is made, or its password set again.
    SetPassword {
        /// Name, without `User:`.
        user: String,
        /// SCRAM mechanism.
        mechanism: Mechanism,
        /// Where the password is.
        password: SecretRef,
        /// The brokers know the user already: its former password is gone then.
        exists: bool,
    },
    /// A user is removed: only to take its making back.
    RemoveUser {
        /// Name, without `User:`.
        user: String,
        /// SCRAM mechanism.
        mechanism: Mechanism,
    },
    /// A quota of a user is set or, with `None`, unset.
    SetQuota {
        /// `User:name`.
        principal: String,
        /// `producer_byte_rate`, `consumer_byte_rate`.
        name: String,
        /// Bytes a second now.
        from: Option<u64>,
        /// Bytes a second to be.
        to: Option<u64>,
    },
    /// A setting of all brokers changes while they run or, with `None`, is what each has by itself again.
    SetBrokers {
        /// Kafka's name.
        name: String,
        /// Effective value now.
        from: Option<String>,
        /// All brokers had been told the value before.
        told: bool,
        /// Value to be.
        to: Option<String>,
    },
    /// A group goes on in this topic, where it stopped in another one that this one is a copy of.
    MoveGroup {
        /// `group.id`.
        group: String,
        /// The topic that it has read.
        from: String,
        /// By partition of this topic: next offset to read.
        offsets: Vec<(i32, i64)>,
        /// Records that it reads again, at most.
        again: i64,
    },
    /// Partitions are added.
    AddPartitions {
        /// Partitions now.
        from: u32,
        /// Partitions to be.
        to: u32,
    },
}

/// What a change can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Risk {
    /// Nobody notices.
    Safe,
    /// Clients read it when they start.
    RestartsClients,
    /// Brokers read it when they start: written as a file, not applied.
    NeedsBrokerRestart,
    /// Records are copied between brokers, under a throttle.
    CopiesData,
    /// Whoever has no rule is denied from now on, if the brokers let everybody in where there is no rule.
    ClosesToOthers,
    /// Clients above the quota are slowed down.
    SlowsClients,
    /// Whoever counts on the rule or the user is denied from now on.
    DeniesClients,
    /// Writes that were accepted can be refused from now on.
    RefusesWrites,
    /// Keys move to other partitions: their order is broken once, and readers that count on co-partitioning go wrong.
    MovesKeys,
    /// Records are deleted.
    LosesData,
}

/// A difference that cannot be changed in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Topic.
    pub topic: String,
    /// What differs: `replication factor`, `partitions`, `configuration`.
    pub setting: String,
    /// What the cluster has.
    pub has: String,
    /// What the plan wants.
    pub wants: String,
    /// Why it cannot be changed in place.
    pub why: String,
    /// The command or change that would reconcile.
    pub fix: String,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Risk::Safe => "safe",
            Risk::RestartsClients => "restarts clients",
            Risk::NeedsBrokerRestart => "needs a broker restart",
            Risk::CopiesData => "copies data",
            Risk::ClosesToOthers => "first rule: closes it to others",
            Risk::SlowsClients => "slows clients",
            Risk::DeniesClients => "denies clients",
            Risk::RefusesWrites => "may refuse writes",
            Risk::MovesKeys => "moves keys",
            Risk::LosesData => "loses data",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::CreateTopic { partitions, replication_factor, .. } => {
                let partitions = text::count(*partitions, "partition");
                write!(f, "create {} with {partitions}, {}", self.topic, text::copies(*replication_factor))
            }
            ChangeKind::SetConfig { name, from, to, .. } => {
                write!(
                    f,
                    "set {name} of {} from {} to {to}",
                    self.topic,
                    from.as_deref().unwrap_or("unknown")
                )
            }
            ChangeKind::RestoreConfig { name, from, to } => {
                let from = from.as_deref().unwrap_or("unknown");
                let to = to.as_deref().unwrap_or("what the cluster has for all topics");
                write!(f, "set {name} of {} from {from} back to {to}", self.topic)
            }
            ChangeKind::DeleteTopic { records } => {
                write!(f, "delete {} with {}", self.topic, text::records(*records))
            }
            ChangeKind::Reassign { moves, .. } => {
                let copies = |side: fn(&Move) -> usize| {
                    let (least, most) = (moves.iter().map(side).min(), moves.iter().map(side).max());
                    match (least.unwrap_or(0), most.unwrap_or(0)) {
                        (least, most) if least == most => text::copies(most as u32),
                        (least, most) => format!("{least} to {most} copies"),
                    }
                };
                let (before, after) = (copies(|step| step.from.len()), copies(|step| step.to.len()));
                let partitions = text::count(moves.len() as u64, "partition");
                match before == after {
                    true => write!(f, "move {before} of {partitions} of {}", self.topic),
                    false => write!(f, "bring {partitions} of {} from {before} to {after}", self.topic),
                }
            }
            ChangeKind::Unthrottle { .. } => {
                write!(f, "take away the throttles that an interrupted move left on {}", self.topic)
            }
            kind @ (ChangeKind::Allow { .. }
            | ChangeKind::Revoke { .. }
            | ChangeKind::SetPassword { .. }
            | ChangeKind::RemoveUser { .. }
            | ChangeKind::SetQuota { .. }) => of_access(kind, f),
            ChangeKind::SetBrokers { name, from, to, .. } => {
                let to = to.as_deref().unwrap_or("what each has by itself");
                write!(f, "set {name} of all brokers from {} to {to}", from.as_deref().unwrap_or("unknown"))
            }
            ChangeKind::MoveGroup { group, from, again, .. } => {
                let again = match again {
                    0 => "no record is read twice".to_owned(),
                    again => format!("at most {} are read twice", text::records(*again)),
                };
                write!(f, "group {group} goes on in {} where it stopped in {from}: {again}", self.topic)
            }
            ChangeKind::AddPartitions { from, to } => {
                write!(f, "raise partitions of {} from {from} to {to}", self.topic)
            }
        }
    }
}

/// Changes of who may do what, and how fast.
fn of_access(kind: &ChangeKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        ChangeKind::Allow { acl } => write!(f, "add the rule: {acl}"),
        ChangeKind::Revoke { acl } => write!(f, "remove the rule: {acl}"),
        ChangeKind::SetPassword { user, mechanism, password, exists: false } => {
            write!(f, "make user {user} ({mechanism}), with its password from {password}")
        }
        ChangeKind::SetPassword { user, mechanism, password, exists: true } => {
            write!(f, "set the password of user {user} ({mechanism}) again, from {password}")
        }
        ChangeKind::RemoveUser { user, mechanism } => write!(f, "remove user {user} ({mechanism})"),
        ChangeKind::SetQuota { principal, name, from, to } => {
            let rate = |rate: &Option<u64>| {
                rate.map_or("no limit".to_owned(), |rate| format!("{}/s", text::bytes(rate.into())))
            };
            write!(f, "set {name} of {principal} from {} to {}", rate(from), rate(to))
        }
        _ => Ok(()),
    }
}

impl Diff {
    /// The cluster is as planned.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.conflicts.is_empty()
    }
}

/// Compares `plan` with the cluster. Only topics of the plan, and only what the plan sets, are looked at.
pub fn diff(plan: &Plan, facts: &ClusterFacts) -> Diff {
    let mut diff = Diff { cluster_id: facts.cluster_id.clone(), ..Diff::default() };
    let bootstrap = facts
        .brokers
        .first()
        .map_or("HOST:PORT".to_owned(), |broker| format!("{}:{}", broker.host, broker.port));
    for topic in &plan.topics {
        let before = (diff.changes.len(), diff.conflicts.len());
        match facts.topics.get(topic.name()) {
            None => diff.changes.push(create(topic)),
            Some(live) => {
                placement(topic, live, facts, &mut diff);
                configs(topic, live, &bootstrap, &mut diff);
            }
        }
        if before == (diff.changes.len(), diff.conflicts.len()) {
            diff.unchanged.push(topic.name().to_owned());
        }
    }
    diff
}

fn create(topic: &TopicPlan) -> Change {
    let promise = &topic.contract.layer_topic;
    let kind = ChangeKind::CreateTopic {
        partitions: promise.partitions,
        replication_factor: promise.replication_factor,
        configs: topic.configs(),
    };
    Change { topic: topic.name().to_owned(), kind, risk: Risk::Safe }
}

fn placement(topic: &TopicPlan, live: &TopicFacts, facts: &ClusterFacts, diff: &mut Diff) {
    let promise = &topic.contract.layer_topic;
    let name = topic.name();
    let (has, wants) = (live.partitions.len() as u32, promise.partitions);
    if has > wants {
        diff.conflicts.push(Conflict {
            topic: name.to_owned(),
            setting: "partitions".to_owned(),
            has: has.to_string(),
            wants: wants.to_string(),
            why: "Kafka cannot take partitions away".to_owned(),
            fix: format!("write partitions: {has} into the spec, or move to a new topic"),
        });
    } else if has < wants {
        let keyed = topic.contract.key.is_some() || topic.contract.order != Order::None;
        let risk = if keyed { Risk::MovesKeys } else { Risk::Safe };
        diff.changes.push(Change {
            topic: name.to_owned(),
            kind: ChangeKind::AddPartitions { from: has, to: wants },
            risk,
        });
    }
    let copies: Vec<u32> = live.partitions.iter().map(|partition| partition.replicas.len() as u32).collect();
    let wants = promise.replication_factor;
    // Copies that are enough stay where they are, unless the contract is about racks.
    let racks = topic.contract.profile == Profile::Prod && topic.contract.durability.survive.racks > 0;
    if !racks && copies.iter().all(|copies| *copies == wants) {
        return;
    }
    let wanted = Wanted { copies: Some(wants as usize), without: &BTreeSet::new(), instead: None };
    match moves(live, facts, &wanted) {
        Ok(moves) if moves.is_empty() => {}
        Ok(moves) => diff.changes.push(Change {
            topic: name.to_owned(),
            kind: ChangeKind::Reassign { moves, throttle: throttle(topic) },
            risk: Risk::CopiesData,
        }),
        Err(brokers) => {
            let least = copies.iter().min().copied().unwrap_or(0);
            let most = copies.iter().max().copied().unwrap_or(0);
            diff.conflicts.push(Conflict {
                topic: name.to_owned(),
                setting: "replication factor".to_owned(),
                has: if least == most { least.to_string() } else { format!("{least} to {most}") },
                wants: wants.to_string(),
                why: format!("{} cannot hold them", text::count(brokers as u64, "live broker")),
                fix: "bring the other brokers back, or plan for those that there are".to_owned(),
            });
        }
    }
}

/// Bytes per second that a broker may spend on moving this topic: at least twice what is written to it at the peak, or
/// the copies would never catch up.
fn throttle(topic: &TopicPlan) -> u64 {
    const DEFAULT_THROTTLE: u64 = 50_000_000;
    DEFAULT_THROTTLE.max(topic.sizing.peak_bytes_per_second.saturating_mul(2))
}

fn configs(topic: &TopicPlan, live: &TopicFacts, bootstrap: &str, diff: &mut Diff) {
    let Some(configs) = &live.configs else {
        diff.conflicts.push(Conflict {
            topic: topic.name().to_owned(),
            setting: "configuration".to_owned(),
            has: "not readable".to_owned(),
            wants: "as planned".to_owned(),
            why: "what cannot be read cannot be compared".to_owned(),
            fix: format!(
                "kafka-acls.sh --bootstrap-server {bootstrap} --add --allow-principal User:… --operation DescribeConfigs --topic {}",
                topic.name()
            ),
        });
        return;
    };
    for (name, to) in topic.configs() {
        let Some(config) = topic_config(&name) else { continue };
        let fact = configs.get(&name);
        // A broker that does not list a configuration uses Kafka's default.
        let from = fact.map_or(Some(config.default.to_owned()), |fact| fact.value.clone());
        if from.as_deref().is_some_and(|from| config.same_value(from, &to)) {
            continue;
        }
        let risk = risk_of(&name, from.as_deref(), &to);
        let from_source = fact.map(|fact| fact.source);
        let kind = ChangeKind::SetConfig { name, from, to, from_source };
        diff.changes.push(Change { topic: topic.name().to_owned(), kind, risk });
    }
}

/// What setting `name` of a topic from `from` to `to` can do.
pub fn risk_of(name: &str, from: Option<&str>, to: &str) -> Risk {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    // -1 keeps without end: the longest of all.
    let kept = |text: &str| number(text).map(|value| if value < 0 { i64::MAX } else { value });
    let shrinks = |read: &dyn Fn(&str) -> Option<i64>| match (from.and_then(read), read(to)) {
        (Some(from), Some(to)) => to < from,
        _ => true,
    };
    match name {
        "retention.ms" | "retention.bytes" if shrinks(&kept) => Risk::LosesData,
        "cleanup.policy" => Risk::LosesData,
        "max.message.bytes" if shrinks(&number) => Risk::RefusesWrites,
        "min.insync.replicas" if from.and_then(number) < number(to) => Risk::RefusesWrites,
        _ => Risk::Safe,
    }
}
