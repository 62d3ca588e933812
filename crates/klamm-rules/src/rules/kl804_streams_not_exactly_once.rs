//! A Kafka Streams application works on strong data at least once.
//!
//! ## What it does
//! Reads `processing.guarantee` of applications (`file`, `code`), whose default is `at_least_once`, and compares it with the spec: it fires where the spec promises exactly once. Without a spec it fires
//! where the application's topics are known and look like strong data, and says that this is inferred. A spec that promises at least once accepts it.
//!
//! ## Why it hurts
//! After a crash or a rebalance records are worked on again: sums count them twice, and the outputs are written twice.
//!
//! ## Example
//!     (processing.guarantee is not set: at_least_once)
//!
//! ## Use instead
//!     processing.guarantee=exactly_once_v2
//!
//! ## Severity
//! Error where the spec promises exactly once, else warning.

use klamm_contract::Delivery;
use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::told_text;
use crate::streams::{apps, subject};

const GUARANTEE: &str = "processing.guarantee";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (id, app) in apps(cx, out) {
        for client in &app.clients {
            let Some((guarantee, source)) = told_text(client, GUARANTEE, out) else { continue };
            if guarantee.starts_with("exactly_once") {
                out.judged();
                continue;
            }
            let topics: Vec<String> = match app.promise {
                Some(promise) => promise.reads.iter().chain(&promise.writes).cloned().collect(),
                None => client.topics.clone(),
            };
            let weight = cx.weight_of_all(&topics);
            let severity = match app.promise.map(|promise| promise.delivery) {
                Some(Delivery::ExactlyOnce) => Severity::Error,
                Some(_) => {
                    out.judged();
                    continue;
                }
                None if weight.strong => Severity::Warning,
                None if topics.is_empty() => {
                    out.unclear(&client.subject(), "which topics it works on is not known");
                    continue;
                }
                None => {
                    out.judged();
                    continue;
                }
            };
            out.judged();
            let fix = Fix::new(format!("let {id} work exactly once"), Risk::RestartsClients);
            let mut finding = Finding::new(severity, subject(&id), "it works at least once")
                .fact(GUARANTEE, guarantee, source)
                .consequence(
                    "after a crash records are worked on again: sums count them twice and outputs \
                have them twice",
                )
                .fix(set_client(fix, client, GUARANTEE, "exactly_once_v2"))
                .next("do the readers of its outputs read with isolation.level=read_committed?")
                .at(&client.place)
                .weighed(weight);
            if let Some(promise) = app.promise {
                finding = finding.fact("delivery", "exactly once", format!("spec, {}", promise.place));
            }
            out.found(finding);
        }
    }
}
