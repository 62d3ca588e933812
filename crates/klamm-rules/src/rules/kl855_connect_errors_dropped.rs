//! A connector passes over records that it cannot convert, and keeps them nowhere.
//!
//! ## What it does
//! Looks at connectors (`file`) with `errors.tolerance=all`: a sink without `errors.deadletterqueue.topic.name`, or another connector that does not even log (`errors.log.enable`). Sources have no dead letter queue.
//!
//! ## Why it hurts
//! A record that a converter or a transform fails on is left out, and the connector stays RUNNING. A changed schema empties the target without anything going red.
//!
//! ## Example
//!     errors.tolerance=all
//!
//! ## Use instead
//!     errors.tolerance=all
//!     errors.deadletterqueue.topic.name=orders-sink-dead
//!     errors.deadletterqueue.context.headers.enable=true
//!
//! ## Severity
//! Error where the spec says that the data is strong, else warning.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Role};
use crate::finding::{Finding, Fix};
use crate::frameworks::{connector_topics, sinks, told_text};
use crate::samples::grade;

const TOLERANCE: &str = "errors.tolerance";
const DEAD: &str = "errors.deadletterqueue.topic.name";
const LOG: &str = "errors.log.enable";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for connector in cx.clients(&[Role::Connector], out) {
        let Some((tolerance, source)) = told_text(connector, TOLERANCE, out) else { continue };
        if tolerance != "all" {
            out.judged();
            continue;
        }
        let sink = sinks(connector);
        let Some((dead, _)) = told_text(connector, DEAD, out) else { continue };
        let Some((log, _)) = told_text(connector, LOG, out) else { continue };
        out.judged();
        let kept = !dead.is_empty() || (sink != Some(true) && log == "true");
        if !kept {
            found(cx, out, connector, &source, sink);
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, connector: &Client, source: &str, sink: Option<bool>) {
    let weight = cx.weight_of_all(&connector_topics(connector));
    let name = if connector.name.is_empty() { "connector" } else { &connector.name };
    let fix = Fix::new("keep the records that fail", Risk::RestartsClients);
    let (fix, missing) = if sink == Some(true) {
        let fix = set_client(fix, connector, DEAD, &format!("{name}-dead"));
        (set_client(fix, connector, "errors.deadletterqueue.context.headers.enable", "true"), DEAD)
    } else {
        (set_client(fix, connector, LOG, "true"), LOG)
    };
    let finding = Finding::new(
        grade(&weight),
        connector.subject(),
        "it passes over records that it cannot convert, and keeps them nowhere",
    )
    .fact(TOLERANCE, "all", source)
    .fact(missing, "not set", connector.place.file.clone())
    .consequence("a record that fails is gone, and the connector stays RUNNING")
    .fix(fix)
    .next("how many did it pass over? (metric total-records-skipped of task-error-metrics)")
    .at(&connector.place)
    .weighed(weight);
    out.found(finding);
}
