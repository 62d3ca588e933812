//! Brokers make a topic of every name that somebody asks for.
//!
//! ## What it does
//! Looks for `auto.create.topics.enable=true` on live brokers and in their files; true is Kafka's default.
//!
//! ## Why it hurts
//! A name with a typo becomes a topic with the brokers' defaults: one partition and one copy, unless they say otherwise. The writer notices
//! nothing, the reader waits, and the records are as safe as one disk. A topic that was deleted comes back while a client still uses it.
//!
//! ## Example
//!     auto.create.topics.enable=true
//!
//! ## Use instead
//!     auto.create.topics.enable=false
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - Apache Kafka, broker configuration `auto.create.topics.enable`

use klamm_plan::Risk;

use crate::brokers::{Wanted, facts, live_values, report, values};
use crate::check::{Cx, Out};
use crate::finding::Severity;

const NAME: &str = "auto.create.topics.enable";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if cx.evidence.live.cluster.value().is_some_and(|cluster| cluster.embedded) {
        return;
    }
    let mut bad = Vec::new();
    for value in values(cx, out, NAME, "true") {
        out.judged();
        if value.is_true() {
            bad.push(value);
        }
    }
    if bad.is_empty() {
        return;
    }
    let copies = live_values(cx, out, "default.replication.factor");
    let wanted = Wanted {
        name: NAME,
        to: "false",
        severity: Severity::Warning,
        what: "brokers create topics that nobody planned".to_owned(),
        consequence: "a name with a typo becomes a topic with default settings, and nobody is told"
            .to_owned(),
        risk: Risk::RefusesWrites,
        next: format!("kafka-topics.sh --bootstrap-server {} --list", cx.bootstrap()),
    };
    report(cx, out, &bad, &wanted, |finding| match finding.place {
        None => facts(finding, "default.replication.factor", &copies),
        Some(_) => finding,
    });
}
