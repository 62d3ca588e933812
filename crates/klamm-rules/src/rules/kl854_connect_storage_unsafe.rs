//! The topics in which Kafka Connect keeps connectors, offsets and states can lose them.
//!
//! ## What it does
//! Takes the storage topics that workers name (`file`) and looks at them on the cluster (`live`): compacted and nothing else, three copies where there are three brokers, and one partition for the topic of
//! configurations. A topic that is not there yet is judged by the worker's `….replication.factor`, whose default is 3.
//!
//! ## Why it hurts
//! Connectors live in these topics and nowhere else. With `delete` in the policy a connector that nobody changed for seven days is gone, and a source starts from the beginning. A worker refuses to start on a
//! topic that is not compacted or whose configurations have several partitions: it shows at the next restart.
//!
//! ## Severity
//! Error where data is deleted, the worker refuses, or there is one copy; warning with two copies.

use klamm_plan::Risk;

use crate::amend::{configs, copies, set_client, set_topic};
use crate::check::{Cx, Out};
use crate::evidence::{Client, Role, Topic};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::told_text;
use crate::samples::subject;
use crate::text::{source_of, value};

const POLICY: &str = "cleanup.policy";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for worker in cx.clients(&[Role::ConnectWorker], out) {
        for kind in ["config", "offset", "status"] {
            let named =
                worker.setting(&format!("{kind}.storage.topic")).and_then(|setting| setting.value.clone());
            // A standalone worker has none: it keeps its offsets in a file.
            let Some(name) = named else { continue };
            let topics = out.see("topics of the cluster", &cx.evidence.live.topics);
            match topics.and_then(|topics| topics.get(&name)) {
                Some(topic) => check_topic(cx, out, kind, &name, topic),
                None => check_worker(out, worker, kind, &name),
            }
        }
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, kind: &str, name: &str, topic: &Topic) {
    out.judged();
    check_policy(cx, out, kind, name, topic);
    let partitions = topic.partitions.len();
    if kind == "config" && partitions > 1 {
        let fix = Fix::new("move the configurations to a topic with one partition", Risk::RestartsClients)
            .ask(
                "save the configurations of all connectors (GET /connectors?expand=info), stop the \
            workers, name a new topic in config.storage.topic, start them, and create the connectors \
            again: they go on from their offsets",
            )
            .undo_by(format!("name {name} in config.storage.topic again"));
        let found = finding(
            name,
            kind,
            Severity::Error,
            &format!("it has {partitions} partitions, it must have 1"),
            fix,
        )
        .fact("partitions", partitions.to_string(), "placement of the topic")
        .consequence("workers refuse to start on it: configurations have no order over several partitions");
        out.found(found);
    }
    let copies = copies(topic);
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    if copies > 0 && copies < 3.min(brokers.len()) {
        let fix = Fix::new(format!("give {name} three copies"), Risk::CopiesData)
            .ask(format!(
                "place its partitions on three brokers each with kafka-reassign-partitions.sh \
            --bootstrap-server {} (--generate proposes, --execute moves)",
                cx.bootstrap()
            ))
            .undo_by("execute the placement that --execute printed as the current one");
        let severity = if copies == 1 { Severity::Error } else { Severity::Warning };
        let found = finding(name, kind, severity, &format!("it has {copies} of 3 copies"), fix)
            .fact("copies", copies.to_string(), "placement of the topic")
            .consequence(lost(copies as i64));
        out.found(found);
    }
}

fn check_policy(cx: &Cx<'_>, out: &mut Out, kind: &str, name: &str, topic: &Topic) {
    if let Some(configs) = configs(out, name, topic) {
        match value(configs, POLICY) {
            None => out.unclear(&subject(name), format!("{POLICY} was not told")),
            Some("compact") => {}
            Some(policy) => {
                let fix = set_topic(
                    cx,
                    Fix::new(format!("compact {name}, and nothing else"), Risk::Safe),
                    name,
                    configs,
                    POLICY,
                    "compact",
                );
                let found = finding(
                    name,
                    kind,
                    Severity::Error,
                    &format!(
                        "its cleanup.policy is \
                {policy}"
                    ),
                    fix,
                )
                .fact(POLICY, policy, source_of(configs, POLICY))
                .consequence(format!(
                    "what was not written again within the retention is deleted from \
                    {name}, and workers refuse to start on it"
                ));
                out.found(found);
            }
        }
    }
}

fn check_worker(out: &mut Out, worker: &Client, kind: &str, name: &str) {
    let setting = format!("{kind}.storage.replication.factor");
    let Some((factor, source)) = told_text(worker, &setting, out) else { return };
    let Ok(copies) = factor.parse::<i64>() else { return };
    out.judged();
    if (1..3).contains(&copies) {
        let fix = set_client(
            Fix::new(format!("let workers make {name} with three copies"), Risk::RestartsClients),
            worker,
            &setting,
            "3",
        );
        let severity = if copies == 1 { Severity::Error } else { Severity::Warning };
        let found = finding(name, kind, severity, &format!("workers make it with {copies} of 3 copies"), fix);
        out.found(found.fact(setting, factor, source).consequence(lost(copies)).at(&worker.place));
    }
}

fn lost(copies: i64) -> String {
    let brokers = if copies == 1 { "1 broker" } else { "2 brokers" };
    format!(
        "losing {brokers} loses what Connect knows, and while they are down no connector can be changed or \
         started"
    )
}

fn finding(name: &str, kind: &str, severity: Severity, what: &str, fix: Fix) -> Finding {
    let keeps = match kind {
        "config" => "connectors",
        "offset" => "offsets of sources",
        _ => "states",
    };
    Finding::new(severity, subject(name), format!("Connect keeps {keeps} in it, and {what}"))
        .fix(fix)
        .next("are the configurations of all connectors kept in a repository, too?")
}
