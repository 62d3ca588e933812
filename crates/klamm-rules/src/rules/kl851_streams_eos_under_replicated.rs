//! A Kafka Streams application works exactly once, and what it relies on has fewer than three copies.
//!
//! ## What it does
//! For applications with `processing.guarantee=exactly_once_v2` (`file`, `code`) looks at the copies of `__transaction_state` and at the number of copies that Streams gives its internal topics: its own `replication.factor`, or with -1 (the
//! default) the brokers' `default.replication.factor` (`live`).
//!
//! ## Why it hurts
//! Exactly once stands on the transaction log and on changelogs. With one copy, the broker that has it stops the application when it restarts; with its disk, committed transactions and state are gone, and with them the guarantee.
//!
//! ## Severity
//! Error with one copy, warning with two. Clusters of fewer than three brokers are left out: there is no third.

use klamm_plan::Risk;

use crate::amend::{copies, set_client};
use crate::check::{Cx, Out};
use crate::evidence::Client;
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{told, told_text};
use crate::streams::{apps, subject};
use crate::text::{number, source_of};

const FACTOR: &str = "replication.factor";
const LOG: &str = "__transaction_state";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (id, app) in apps(cx, out) {
        for client in &app.clients {
            let Some((guarantee, source)) = told_text(client, "processing.guarantee", out) else { continue };
            if guarantee.starts_with("exactly_once") {
                check_app(cx, out, &id, client, &source);
            }
        }
    }
}

fn check_app(cx: &Cx<'_>, out: &mut Out, id: &str, client: &Client, guarantee: &str) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    if brokers.len() < 3 {
        return;
    }
    out.judged();
    check_log(cx, out, id, client, guarantee);
    let factor = told(client, FACTOR);
    let (factor, source) = match factor.number() {
        None => {
            out.unclear(&client.subject(), factor.source());
            return;
        }
        Some(-1) => {
            let Some(broker) = brokers.first() else { return };
            let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
            else {
                return;
            };
            let Some(number) = number(configs, "default.replication.factor") else { return };
            (
                number,
                format!(
                    "default.replication.factor of broker {}: {}",
                    broker.id,
                    source_of(configs, "default.replication.factor")
                ),
            )
        }
        Some(factor) => (factor, factor_source(client)),
    };
    if (1..3).contains(&factor) {
        let fix = Fix::new(format!("give the internal topics of {id} three copies"), Risk::RestartsClients);
        let fix =
            set_client(fix, client, FACTOR, "3").ask("topics that exist keep their copies: KL802 names them");
        let found = finding(
            id,
            client,
            factor,
            format!("its internal topics are made with {factor} of 3 copies"),
            fix,
        );
        out.found(found.fact(FACTOR, factor.to_string(), source).fact(
            "processing.guarantee",
            "exactly_once_v2",
            guarantee,
        ));
    }
}

/// The transaction log itself, which every application on the cluster shares.
fn check_log(cx: &Cx<'_>, out: &mut Out, id: &str, client: &Client, guarantee: &str) {
    if let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) {
        let copies = topics.get(LOG).map_or(3, copies);
        if (1..3).contains(&copies) {
            let fix = Fix::new(format!("give {LOG} three copies"), Risk::CopiesData)
                .ask(format!(
                    "place its partitions on three brokers each with kafka-reassign-partitions.sh \
                --bootstrap-server {} (--generate proposes, --execute moves)",
                    cx.bootstrap()
                ))
                .undo_by("execute the placement that --execute printed as the current one");
            let found = finding(
                id,
                client,
                copies as i64,
                format!("the transaction log has {copies} of 3 copies"),
                fix,
            );
            out.found(
                found.fact(format!("copies of {LOG}"), copies.to_string(), "placement of the topic").fact(
                    "processing.guarantee",
                    "exactly_once_v2",
                    guarantee,
                ),
            );
        }
    }
}

fn factor_source(client: &Client) -> String {
    told(client, FACTOR).source().to_owned()
}

fn finding(id: &str, client: &Client, copies: i64, what: String, fix: Fix) -> Finding {
    let severity = if copies == 1 { Severity::Error } else { Severity::Warning };
    Finding::new(severity, subject(id), format!("it works exactly once, and {what}"))
        .consequence(
            "one broker that restarts can stop the application, and a lost disk can take \
        committed work with it",
        )
        .fix(fix)
        .next("klamm explain KL501")
        .at(&client.place)
}
