//! Can this machine do everything that the plan needs, on this cluster, with these rights? Each thing is tried by
//! itself and named, so that one trouble does not hide another. Nothing is changed.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::future::join_all;
use klamm_admin::{
    Admin, AdminError, AdminErrorKind, ClientOptions, Mechanism, Mode, NewTopic, Operation, Rights,
    TopicRights,
};
use klamm_contract::facts::ClusterFacts;
use klamm_contract::keeps;
use klamm_plan::{Plan, TopicPlan, diff};
use serde::Serialize;

/// Version of the report's JSON form.
const VERSION: u32 = 1;

/// What was tried, in the order in which things depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// Version of this form.
    pub version: u32,
    /// The cluster that answered, if one did.
    pub cluster_id: Option<String>,
    /// Each thing that was tried.
    pub checks: Vec<Check>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, as `bootstrap localhost:9092` or `topic orders.events`.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How a check went; later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it must be.
    Ok,
    /// It could not be tried, or nobody tells.
    NotEvaluated,
    /// It works, and somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Ok => "ok",
            Outcome::NotEvaluated => "not evaluated",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        })
    }
}

impl DoctorReport {
    /// The worst outcome.
    pub fn worst(&self) -> Outcome {
        self.checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Ok)
    }

    /// The check called `name`.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

/// Tries everything that `plan` needs; without a plan, the cluster alone.
pub async fn doctor(options: &ClientOptions, plan: Option<&Plan>) -> DoctorReport {
    let mut doctor = Doctor { options, plan, checks: Vec::new() };
    let answers = doctor.bootstrap().await;
    doctor.security(answers);
    let cluster_id = match Admin::connect(options).await {
        Ok(admin) => {
            doctor.cluster(&admin).await;
            Some(admin.cluster_id())
        }
        // The addresses above say why.
        Err(_) => {
            doctor.skipped(["cluster", "listeners", "rights"], "no broker answers");
            None
        }
    };
    let clock = "Kafka's protocol does not tell the brokers' clocks";
    doctor.note("clock", Outcome::NotEvaluated, clock, None);
    DoctorReport { version: VERSION, cluster_id, checks: doctor.checks }
}

struct Doctor<'a> {
    options: &'a ClientOptions,
    plan: Option<&'a Plan>,
    checks: Vec<Check>,
}

impl Doctor<'_> {
    /// Each address by itself: clients try them in turn, and a dead one is found only when the others are gone.
    async fn bootstrap(&mut self) -> bool {
        let addresses = &self.options.bootstrap;
        let probes =
            join_all(addresses.iter().map(|address| Admin::probe_address(self.options, address))).await;
        let mut answers = false;
        for (address, probe) in addresses.iter().zip(probes) {
            let name = format!("bootstrap {address}");
            let probe = match probe {
                Ok(probe) => probe,
                Err(error) => {
                    self.failed(name, &error);
                    continue;
                }
            };
            answers = true;
            let fetch =
                probe.fetch.map_or_else(String::new, |(low, high)| format!(", Fetch {low} to {high}"));
            let detail = format!("answers, knows {} requests{fetch}", probe.apis);
            if probe.unspoken.is_empty() {
                self.note(name, Outcome::Ok, detail, None);
            } else {
                let detail = format!("{detail}; no common version of {}", probe.unspoken.join(", "));
                self.note(
                    name,
                    Outcome::Fail,
                    detail,
                    Some("klamm needs Apache Kafka 2.3 or later".to_owned()),
                );
            }
        }
        if addresses.is_empty() {
            let hint = Some("give --bootstrap, or write cluster.bootstrap into the spec".to_owned());
            self.note("bootstrap", Outcome::Fail, "no address is given", hint);
        }
        answers
    }

    fn security(&mut self, answers: bool) {
        let security = &self.options.security;
        let mut detail = security.protocol().to_owned();
        if let Some(sasl) = &security.sasl {
            detail = format!("{detail}, {} as {}", sasl.mechanism, sasl.username);
        }
        let bare = security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == Mechanism::Plain);
        if !answers {
            self.note("security", Outcome::NotEvaluated, format!("{detail}: no broker answers"), None);
        } else if bare && security.tls.is_none() {
            let hint = Some("use TLS, or SCRAM, which does not send the password".to_owned());
            self.note("security", Outcome::Warn, format!("{detail}: the password travels unencrypted"), hint);
        } else {
            self.note("security", Outcome::Ok, detail, None);
        }
    }

    async fn cluster(&mut self, admin: &Admin) {
        self.listeners(admin).await;
        let facts = match admin.facts(&self.topic_names()).await {
            Ok(facts) => facts,
            Err(error) => {
                self.failed("cluster", &error);
                self.skipped(["topics", "rights"], "the cluster could not be looked at");
                return;
            }
        };
        self.identity(&facts);
        let Some(plan) = self.plan else { return };
        let rights = admin.topic_rights(&self.topic_names()).await;
        let rights = match rights {
            Ok(rights) => rights,
            Err(error) => return self.failed("rights", &error),
        };
        for topic in &plan.topics {
            let seen = rights.get(topic.name()).copied().unwrap_or(TopicRights::Missing);
            match seen {
                TopicRights::Missing => self.missing_topic(admin, topic, &facts).await,
                TopicRights::Denied => self.unseen(topic.name()),
                TopicRights::Known(rights) => {
                    self.contract(plan, topic, &facts);
                    self.topic_rights(topic.name(), rights);
                }
            }
        }
        self.others_topics(&rights);
        for consumer in &plan.consumers {
            self.group(admin, &consumer.contract.group).await;
        }
    }

    async fn listeners(&mut self, admin: &Admin) {
        match admin.probe().await {
            Err(error) => self.failed("listeners", &error),
            Ok(probes) => {
                for probe in probes {
                    let name =
                        format!("listener {}:{} of broker {}", probe.host, probe.port, probe.broker_id);
                    match probe.outcome {
                        Ok(()) => self.note(name, Outcome::Ok, "can be used from here", None),
                        Err(error) => {
                            let hint =
                                "set the broker's advertised.listeners to an address that clients can reach";
                            let hint = error.hint().unwrap_or(hint).to_owned();
                            self.note(name, Outcome::Fail, error.kind().to_string(), Some(hint));
                        }
                    }
                }
            }
        }
    }

    fn identity(&mut self, facts: &ClusterFacts) {
        let kind = if facts.embedded { ", klamm's embedded broker" } else { "" };
        let detail = format!("{} with {} live brokers{kind}", facts.cluster_id, facts.brokers.len());
        let planned = self.plan.and_then(|plan| plan.cluster.cluster_id.as_ref());
        match planned.filter(|planned| **planned != facts.cluster_id) {
            None => self.note("cluster", Outcome::Ok, detail, None),
            Some(planned) => {
                let hint = Some("plan again against this cluster".to_owned());
                self.note("cluster", Outcome::Fail, format!("{detail}; the plan is for {planned}"), hint);
            }
        }
        if facts.brokers.iter().any(|broker| broker.configs.is_empty()) {
            let hint = Some("grant DESCRIBE_CONFIGS on the cluster".to_owned());
            self.note("broker configuration", Outcome::Warn, "may not be described", hint);
        }
    }

    /// Lets the cluster say whether it would create the topic: that covers rights, policies and placement at once.
    async fn missing_topic(&mut self, admin: &Admin, topic: &TopicPlan, facts: &ClusterFacts) {
        let name = format!("topic {}", topic.name());
        let promise = &topic.contract.layer_topic;
        let new = NewTopic {
            name: topic.name().to_owned(),
            partitions: i32::try_from(promise.partitions).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(promise.replication_factor).unwrap_or(i16::MAX),
            configs: topic.configs(),
        };
        for breach in keeps(&topic.contract, facts) {
            self.breach(&name, &breach);
        }
        match admin.create_topics(&[new], Mode::ValidateOnly).await {
            Ok(()) => self.note(name, Outcome::Ok, "does not exist yet, and may be created", None),
            Err(error) => self.failed(name, &error),
        }
    }

    fn unseen(&mut self, topic: &str) {
        let hint = Some(format!("grant DESCRIBE, and what the service needs, on topic {topic}"));
        self.note(format!("topic {topic}"), Outcome::Fail, "this user may not even see it", hint);
    }

    fn contract(&mut self, plan: &Plan, topic: &TopicPlan, facts: &ClusterFacts) {
        let name = format!("topic {}", topic.name());
        let breaches = keeps(&topic.contract, facts);
        for breach in &breaches {
            self.breach(&name, breach);
        }
        let difference = diff(plan, facts);
        for conflict in difference.conflicts.iter().filter(|conflict| conflict.topic == topic.name()) {
            let detail = format!(
                "{} is {}, the plan wants {}: {}",
                conflict.setting, conflict.has, conflict.wants, conflict.why
            );
            self.note(&name, Outcome::Warn, detail, Some(conflict.fix.clone()));
        }
        let changes: Vec<_> =
            difference.changes.iter().filter(|change| change.topic == topic.name()).collect();
        for change in &changes {
            let hint = Some("klamm apply brings it to the plan".to_owned());
            self.note(
                &name,
                Outcome::Warn,
                format!("differs from the plan: {change} ({})", change.risk),
                hint,
            );
        }
        if breaches.is_empty() && changes.is_empty() {
            self.note(name, Outcome::Ok, format!("keeps its contract: {}", topic.survives), None);
        }
    }

    fn breach(&mut self, name: &str, breach: &klamm_contract::Breach) {
        let detail = format!(
            "{} {} is {}, {} is needed: {}",
            breach.layer, breach.setting, breach.value, breach.needed, breach.consequence
        );
        self.note(name, Outcome::Fail, detail, Some(breach.fix.clone()));
    }

    fn topic_rights(&mut self, topic: &str, rights: Option<Rights>) {
        let name = format!("rights on topic {topic}");
        let read = self.plan.is_some_and(|plan| {
            plan.consumers.iter().any(|consumer| consumer.contract.topics.iter().any(|read| read == topic))
        });
        let owned = self.plan.is_some_and(|plan| plan.topic(topic).is_some());
        let needed =
            [(Operation::Write, owned), (Operation::Read, read), (Operation::DescribeConfigs, owned)];
        let wished = [(Operation::AlterConfigs, owned)];
        self.rights(name, rights, &needed, &wished);
    }

    /// Topics that are read, but that another spec owns.
    fn others_topics(&mut self, rights: &std::collections::BTreeMap<String, TopicRights>) {
        let Some(plan) = self.plan else { return };
        for (topic, rights) in rights.iter().filter(|(topic, _)| plan.topic(topic).is_none()) {
            match rights {
                TopicRights::Known(rights) => self.topic_rights(topic, *rights),
                TopicRights::Denied => self.unseen(topic),
                TopicRights::Missing => {
                    let hint = Some("its owner must create it first".to_owned());
                    self.note(format!("topic {topic}"), Outcome::Fail, "is read, and does not exist", hint);
                }
            }
        }
    }

    async fn group(&mut self, admin: &Admin, group: &str) {
        match admin.describe_group(group).await {
            Err(error) => self.failed(format!("group {group}"), &error),
            Ok(described) => {
                let name = format!("group {group}");
                let detail = match described.members.len() {
                    _ if described.state == "Dead" => "does not exist yet".to_owned(),
                    members => format!("{}, {members} members", described.state),
                };
                self.note(name, Outcome::Ok, detail, None);
                // Kafka tells no rights for a group that does not exist.
                self.rights(
                    format!("rights on group {group}"),
                    described.rights,
                    &[(Operation::Read, true)],
                    &[],
                );
            }
        }
    }

    fn rights(
        &mut self,
        name: String,
        rights: Option<Rights>,
        needed: &[(Operation, bool)],
        wished: &[(Operation, bool)],
    ) {
        let Some(rights) = rights else {
            return self.note(name, Outcome::NotEvaluated, "the broker does not tell them", None);
        };
        let lacking = |operations: &[(Operation, bool)]| {
            let lacking = operations.iter().filter(|(operation, asked)| *asked && !rights.allows(*operation));
            lacking.map(|(operation, _)| operation.to_string()).collect::<Vec<_>>().join(", ")
        };
        let (must, may) = (lacking(needed), lacking(wished));
        if !must.is_empty() {
            self.note(name, Outcome::Fail, format!("{must} is missing"), Some(format!("grant {must}")));
        } else if !may.is_empty() {
            let hint = format!("grant {may} if klamm is to adjust it");
            self.note(name, Outcome::Warn, format!("{may} is missing"), Some(hint));
        } else {
            self.note(name, Outcome::Ok, "everything that is needed is allowed", None);
        }
    }

    /// Topics of the plan, and those that its consumers read.
    fn topic_names(&self) -> Vec<String> {
        let Some(plan) = self.plan else { return Vec::new() };
        let owned = plan.topics.iter().map(TopicPlan::name);
        let read =
            plan.consumers.iter().flat_map(|consumer| consumer.contract.topics.iter().map(String::as_str));
        let names: BTreeSet<&str> = owned.chain(read).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    fn failed(&mut self, name: impl Into<String>, error: &AdminError) {
        let detail = match error.kind() {
            // The check's name says the address already.
            AdminErrorKind::Unreachable { tried } if tried.len() == 1 => tried[0].kind().to_string(),
            AdminErrorKind::Wire(error) => error.kind().to_string(),
            _ => error.to_string(),
        };
        self.note(name, Outcome::Fail, detail, error.hint());
    }

    fn skipped(&mut self, names: impl IntoIterator<Item = &'static str>, why: &str) {
        for name in names {
            self.note(name, Outcome::NotEvaluated, why, None);
        }
    }

    fn note(
        &mut self,
        name: impl Into<String>,
        outcome: Outcome,
        detail: impl Into<String>,
        hint: Option<String>,
    ) {
        self.checks.push(Check { name: name.into(), outcome, detail: detail.into(), hint });
    }
}
