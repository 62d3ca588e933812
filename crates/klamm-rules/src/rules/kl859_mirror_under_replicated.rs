//! MirrorMaker makes topics on the target with fewer than three copies.
//!
//! ## What it does
//! Reads `replication.factor` of each flow that runs (`file`), whose default is 2, and those of the topics for offset syncs, checkpoints and heartbeats, whose default is 3.
//!
//! ## Why it hurts
//! The second cluster is there for the worst day. With two copies and a floor of two one broker of it stops the writes; with a floor of one a single loss more takes records that are nowhere else by then.
//!
//! ## Example
//!     (replication.factor is not set: 2)
//!
//! ## Use instead
//!     primary->backup.replication.factor=3
//!
//! ## Severity
//! Error with one copy, warning with two.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::Client;
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{flows, set_flow, told};

const FACTORS: &[(&str, &str)] = &[
    ("replication.factor", "replicated topics"),
    ("offset-syncs.topic.replication.factor", "the topic of offset syncs"),
    ("checkpoints.topic.replication.factor", "the topic of checkpoints"),
    ("heartbeats.topic.replication.factor", "the topic of heartbeats"),
];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for flow in flows(cx, out, "MirrorSourceConnector") {
        check_flow(out, &flow);
    }
}

fn check_flow(out: &mut Out, flow: &Client) {
    let mut low = Vec::new();
    for (name, what) in FACTORS {
        let told = told(flow, name);
        match told.number() {
            None => out.unclear(&flow.subject(), told.source()),
            Some(factor) if (1..3).contains(&factor) => low.push((*name, *what, factor, told)),
            Some(_) => {}
        }
    }
    out.judged();
    let Some(least) = low.iter().map(|(.., factor, _)| *factor).min() else { return };
    let mut fix = Fix::new(format!("let {} make topics with three copies", flow.name), Risk::RestartsClients);
    for (name, ..) in &low {
        fix = set_flow(fix, flow, name, "3");
    }
    let fix = fix.ask("topics that exist on the target keep their copies: KL501 names them there");
    let severity = if least == 1 { Severity::Error } else { Severity::Warning };
    let what: Vec<&str> = low.iter().map(|(_, what, ..)| *what).collect();
    let mut finding = Finding::new(
        severity,
        format!("mirror {}", flow.name),
        format!("it makes {} with fewer than three copies", what.join(" and ")),
    )
    .consequence(format!(
        "losing {} loses {}",
        if least == 1 { "the 1 broker that holds them" } else { "the 2 brokers that hold them" },
        what.join(" and ")
    ))
    .fix(fix)
    .next("klamm explain KL604")
    .at(&flow.place);
    for (name, _, factor, told) in &low {
        finding = finding.fact(*name, factor.to_string(), told.source());
    }
    out.found(finding);
}
