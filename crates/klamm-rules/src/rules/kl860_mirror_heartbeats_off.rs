//! MirrorMaker sends no heartbeats: a flow that stands still looks like one that has nothing to copy.
//!
//! ## What it does
//! Reads `emit.heartbeats.enabled` of each flow that runs (`file`); its default is true.
//!
//! ## Why it hurts
//! Heartbeats are the only records that always flow. Without them an idle source and a broken flow look the same on the target, and clients that look for upstream clusters (`MirrorClient`) do not find this one.
//!
//! ## Severity
//! Info.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{flows, set_flow, told_text};

const BEATS: &str = "emit.heartbeats.enabled";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for flow in flows(cx, out, "MirrorHeartbeatConnector") {
        let Some((beats, source)) = told_text(&flow, BEATS, out) else { continue };
        out.judged();
        if beats != "false" {
            continue;
        }
        let fix = Fix::new(format!("let {} send heartbeats", flow.name), Risk::RestartsClients);
        let finding = Finding::new(Severity::Info, format!("mirror {}", flow.name), "it sends no heartbeats")
            .fact(BEATS, beats, source)
            .consequence("on the target a broken flow looks like one that has nothing to copy")
            .fix(set_flow(fix, &flow, BEATS, "true"))
            .next("what else tells that the flow is alive?")
            .at(&flow.place);
        out.found(finding);
    }
}
