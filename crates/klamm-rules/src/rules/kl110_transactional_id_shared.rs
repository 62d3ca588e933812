//! Two producers use one `transactional.id`, or producers are being fenced.
//!
//! ## What it does
//! Fires where the same constant `transactional.id` is given to producers of two places that do not name different clusters, and where metrics count fenced producers.
//! With transactions of version 2 the epoch grows with each transaction, so growth proves nothing and is not looked at.
//!
//! Tests and examples run by themselves and are left out.
//!
//! ## Why it hurts
//! The id says who is who after a restart: the producer that starts later fences the other, whose transaction is aborted and which cannot write any more. Two that
//! run at once throw each other out for ever.
//!
//! ## Example
//!     transactional.id=shop        # in two services, or a constant in a service with two instances
//!
//! ## Use instead
//!     transactional.id=shop-${POD_NAME}
//!
//! ## Severity
//! Error for two producers of one cluster; warning where the cluster is not named, or where only the metric says so.
//!
//! ## References
//! - KIP-98, KIP-447, KIP-890

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::advice::templated;
use crate::check::{Cx, Out};
use crate::evidence::{Client, HostMetrics};
use crate::finding::{Finding, Fix, Severity};
use crate::producers::producers;
use crate::text::listed;

const ID: &str = "transactional.id";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut users: BTreeMap<&str, Vec<&Client>> = BTreeMap::new();
    for client in producers(cx, out).into_iter().filter(|client| !client.place.is_test()) {
        match client.setting(ID).map(|id| id.value.as_deref()) {
            Some(Some(id)) if !id.is_empty() && !templated(id) => users.entry(id).or_default().push(client),
            // Computed: made for each instance.
            _ => out.judged(),
        }
    }
    for (id, clients) in users {
        out.judged();
        check_id(cx, out, id, &clients);
    }
    let Some(host) = out.see("metrics of clients", &cx.evidence.host) else { return };
    for metrics in &host.hosts {
        if let Some(fenced) = metrics.fenced_producers {
            out.judged();
            if fenced > 0 {
                fenced_at(out, metrics, fenced);
            }
        }
    }
}

fn check_id(cx: &Cx<'_>, out: &mut Out, id: &str, clients: &[&Client]) {
    let cluster =
        |client: &Client| client.setting("bootstrap.servers").and_then(|servers| servers.value.clone());
    let Some((first, rest)) = clients.split_first() else { return };
    let other = |client: &&&Client| {
        let apart = client.place != first.place;
        apart && (cluster(client).is_none() || cluster(first).is_none() || cluster(client) == cluster(first))
    };
    let sharing: Vec<&Client> = rest.iter().filter(other).copied().collect();
    if sharing.is_empty() {
        return;
    }
    let same = sharing.iter().all(|client| cluster(client).is_some());
    let severity = if same { Severity::Error } else { Severity::Warning };
    let places: Vec<String> = sharing.iter().map(|client| client.place.to_string()).collect();
    let setting = first.setting(ID).map_or(&first.place, |setting| &setting.place);
    let mut finding = Finding::new(
        severity,
        first.subject(),
        format!("{ID} {id:?} is also used at {}", listed(&places, 3)),
    )
    .at(setting)
    .fact(ID, id, setting.to_string());
    for client in &sharing {
        finding =
            finding.fact(ID, id, client.setting(ID).map_or_else(String::new, |id| id.place.to_string()));
    }
    let finding = finding
        .consequence("the producer that starts later fences the other, whose open transaction is aborted")
        .fix(
            Fix::new("give each producer an id of its own", Risk::RestartsClients)
                .code(
                    setting,
                    format!("{ID}={id}-NAME, with a NAME that stays the same over restarts of one instance"),
                )
                .undo_by(format!("set {ID}={id} again")),
        )
        .next(format!(
            "kafka-transactions.sh --bootstrap-server {} describe --transactional-id {id}",
            cx.bootstrap()
        ))
        .weighed(cx.weight_of_all(&first.topics));
    out.found(finding);
}

fn fenced_at(out: &mut Out, metrics: &HostMetrics, fenced: u64) {
    let finding = Finding::new(Severity::Warning, format!("host {}", metrics.at), "producers were fenced")
        .fact("fenced producers since the start", fenced.to_string(), metrics.at.clone())
        .consequence(
            "a transaction of each fenced producer was aborted, and the producer had to be made anew",
        )
        .fix(
            Fix::new("find the ids that are used twice", Risk::Safe)
                .ask(
                    "look for PRODUCER_FENCED and INVALID_PRODUCER_EPOCH with their \
                    transactional.id in the logs of this process",
                )
                .undo_by("nothing is changed"),
        )
        .next("do two instances start with the same transactional.id?");
    out.found(finding);
}
