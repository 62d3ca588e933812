//! The metadata quorum cannot lose a controller, or shares its processes with brokers.
//!
//! ## What it does
//! Counts the voters of the metadata quorum (`live`, `controller.quorum.voters` in a file, or the nodes of a file whose `process.roles` has `controller`), and looks for nodes that are broker and controller in
//! one process (`process.roles=broker,controller`). A cluster of one broker is not judged.
//!
//! ## Why it hurts
//! One or two voters: the first that is lost takes the quorum with it. No leader is elected any more, no topic changes, no broker
//! joins. Combined: load, a full disk or a crash of the broker hits the controller, and both restart together; Kafka's own documentation
//! keeps combined mode out of critical deployments.
//!
//! ## Example
//!     controller.quorum.voters=1@c1:9093
//!
//! ## Use instead
//!     three controllers on hosts of their own
//!
//! ## Severity
//! Too few: error. Combined: warning where a spec has strong data, else info.
//!
//! ## References
//! - KIP-595, KIP-631; Apache Kafka, operations: KRaft

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::brokers::subject;
use crate::check::{Cx, Out};
use crate::evidence::BrokerFile;
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    live(cx, out);
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    let nodes: u32 = files.brokers.iter().map(|file| file.nodes.unwrap_or(1)).sum();
    let mut told = BTreeSet::new();
    for file in files.brokers.iter().filter(|_| nodes > 1) {
        let get = |name: &str| file.settings.get(name).and_then(|setting| setting.value.as_deref());
        if let Some(voters) = get("controller.quorum.voters") {
            out.judged();
            let count = voters.split(',').filter(|voter| voter.contains('@')).count();
            if count < 3 && told.insert(voters) {
                few(cx, out, subject(file), count, Some(file));
            }
        }
        let Some(roles) = get("process.roles") else { continue };
        out.judged();
        if let Some(count) = controllers(&files.brokers, file).filter(|count| *count < 3)
            && told.insert(file.place.file.as_str())
        {
            few(cx, out, subject(file), count, Some(file));
        }
        if roles.contains("broker") && roles.contains("controller") {
            combined(cx, out, subject(file), roles, Some(file));
        }
    }
}

/// Nodes of one file that are controllers, where it says how many and `file` has some of them.
fn controllers(all: &[BrokerFile], file: &BrokerFile) -> Option<usize> {
    let is_controller = |file: &BrokerFile| {
        let roles = file.settings.get("process.roles").and_then(|setting| setting.value.as_deref());
        roles.is_some_and(|roles| roles.contains("controller"))
    };
    let beside = all.iter().filter(|other| other.place.file == file.place.file && is_controller(other));
    let nodes: Option<u32> = beside.map(|other| other.nodes).sum();
    nodes.filter(|_| is_controller(file)).map(|nodes| nodes as usize)
}

fn live(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    if brokers.len() < 2 {
        return;
    }
    let Some(quorum) = out.see("the metadata quorum", &cx.evidence.live.quorum) else { return };
    out.judged();
    if quorum.voters.len() < 3 {
        few(cx, out, "cluster".to_owned(), quorum.voters.len(), None);
    }
    let both = quorum.voters.iter().filter(|voter| brokers.iter().any(|broker| broker.id == voter.id));
    let both: Vec<i32> = both.map(|voter| voter.id).collect();
    if !both.is_empty() {
        combined(cx, out, format!("nodes {}", listed(&both, 9)), "broker,controller", None);
    }
}

fn few(cx: &Cx<'_>, out: &mut Out, subject: String, count: usize, file: Option<&BrokerFile>) {
    let noun = if count == 1 { "controller votes" } else { "controllers vote" };
    let source = file.map_or("metadata quorum".to_owned(), |file| file.place.to_string());
    let finding = Finding::new(Severity::Error, subject, format!("{count} {noun}"))
        .fact("voters", count.to_string(), source)
        .consequence("the first controller that is lost stops elections, topic changes and brokers that start: partitions whose leader dies stay without one")
        .fix(
            Fix::new("bring the metadata quorum to three controllers", Risk::NeedsBrokerRestart)
                .ask("with kraft.version 1: format two more controllers with --no-initial-controllers, start them, and add each: kafka-metadata-quorum.sh --command-config controller.properties add-controller")
                .ask("with kraft.version 0 (controller.quorum.voters): write all three into controller.quorum.voters of every node, and restart the controllers, then the brokers, one at a time")
                .undo_by("kafka-metadata-quorum.sh remove-controller --controller-id ID --controller-directory-id DIRECTORY, or the old controller.quorum.voters again"),
        )
        .next(format!("kafka-metadata-quorum.sh --bootstrap-server {} describe --status", cx.bootstrap()));
    out.found(match file {
        Some(file) => finding.at(&file.place),
        None => finding,
    });
}

fn combined(cx: &Cx<'_>, out: &mut Out, subject: String, roles: &str, file: Option<&BrokerFile>) {
    let spec = cx.evidence.spec.value();
    let strong = spec.and_then(|spec| spec.topics.keys().find(|topic| cx.weight(topic).strong));
    let severity = if strong.is_some() { Severity::Warning } else { Severity::Info };
    let source = file.map_or("metadata quorum and brokers".to_owned(), |file| file.place.to_string());
    let mut finding = Finding::new(severity, subject, "brokers and controllers share processes")
        .fact("process.roles", roles, source)
        .consequence("what stops or slows the broker stops or slows the metadata quorum with it, and they can only restart together")
        .fix(
            Fix::new("run controllers apart from brokers", Risk::NeedsBrokerRestart)
                .ask("start three nodes with process.roles=controller and add them to the quorum")
                .ask("then write process.roles=broker into the combined nodes, one at a time, and restart each; remove it from the quorum first")
                .undo_by("write process.roles=broker,controller again, and add the node to the quorum"),
        )
        .next(format!("kafka-metadata-quorum.sh --bootstrap-server {} describe --replication", cx.bootstrap()));
    if let Some(topic) = strong {
        finding = finding.fact("strong data", topic, "spec").weighed(cx.weight(topic));
    }
    out.found(match file {
        Some(file) => finding.at(&file.place),
        None => finding,
    });
}
