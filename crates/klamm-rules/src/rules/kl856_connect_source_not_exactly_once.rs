//! Connect workers write strong data of source connectors at least once.
//!
//! ## What it does
//! Joins source connectors (`file`) that write topics the spec calls strong with the workers' `exactly.once.source.support` (default `disabled`). Workers and connectors are joined as they stand in the same
//! tree: with workers of several clusters there it is only judged when all of them have it off.
//!
//! ## Why it hurts
//! A worker that dies between a write and the commit of the source's offset writes the same rows again after it starts.
//!
//! ## Example
//!     (exactly.once.source.support is not set: disabled)
//!
//! ## Use instead
//!     exactly.once.source.support=preparing      # on all workers, then a second round with enabled
//!
//! ## Severity
//! Warning: the connector must support it, too.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::evidence::Role;
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{connector_topics, sinks, told_text};
use crate::text::listed;

const SUPPORT: &str = "exactly.once.source.support";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let strong = |topic: &String| spec.topics.contains_key(topic) && cx.weight(topic).strong;
    let connectors = cx.clients(&[Role::Connector], out);
    let sources: Vec<(&str, Vec<String>)> = connectors
        .iter()
        .filter(|connector| sinks(connector) == Some(false))
        .map(|connector| (connector.name.as_str(), connector_topics(connector)))
        .map(|(name, topics)| (name, topics.into_iter().filter(&strong).collect::<Vec<_>>()))
        .filter(|(_, topics)| !topics.is_empty())
        .collect();
    let workers = cx.clients(&[Role::ConnectWorker], out);
    if sources.is_empty() {
        return;
    }
    let mut off = Vec::new();
    for worker in &workers {
        let Some((support, source)) = told_text(worker, SUPPORT, out) else { return };
        if support != "enabled" {
            off.push((worker, support, source));
        }
    }
    out.judged();
    if off.len() < workers.len() {
        return;
    }
    for (worker, support, source) in off {
        let topics: Vec<String> = sources.iter().flat_map(|(_, topics)| topics.clone()).collect();
        let names: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
        let fix = Fix::new("let workers write sources in transactions", Risk::RestartsClients);
        let fix = set_client(fix, worker, SUPPORT, "preparing").ask(
            "restart all workers with preparing, then set enabled and restart them once more; set \
            exactly.once.support=required in the connectors",
        );
        let finding = Finding::new(
            Severity::Warning,
            worker.subject(),
            "sources write strong data at \
        least once",
        )
        .fact(SUPPORT, support, source)
        .fact("sources", listed(&names, 5), "configuration files")
        .fact("strong topics that they write", listed(&topics, 5), "spec")
        .consequence("after a worker dies, rows are written a second time")
        .fix(fix)
        .next(
            "does each of these connectors support exactly once (GET \
            /connector-plugins/…/config/validate says so)?",
        )
        .at(&worker.place)
        .weighed(cx.weight_of_all(&topics));
        out.found(finding);
    }
}
