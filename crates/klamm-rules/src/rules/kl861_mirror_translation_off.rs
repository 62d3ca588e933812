//! MirrorMaker is told to sync groups' offsets, and what that needs is off.
//!
//! ## What it does
//! Looks at flows that run (`file`) with `sync.group.offsets.enabled=true` and `emit.checkpoints.enabled=false` or `emit.offset-syncs.enabled=false` (both are true by default).
//!
//! ## Why it hurts
//! Offsets are translated with the offset syncs and written as checkpoints first; without either nothing is synced, although the configuration says so. It shows after the failover.
//!
//! ## Severity
//! Error: a promise of the configuration is not kept.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{flows, set_flow, told_text};

const SYNC: &str = "sync.group.offsets.enabled";
const NEEDED: &[&str] = &["emit.checkpoints.enabled", "emit.offset-syncs.enabled"];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for flow in flows(cx, out, "MirrorCheckpointConnector") {
        let Some((sync, source)) = told_text(&flow, SYNC, out) else { continue };
        if sync != "true" {
            continue;
        }
        out.judged();
        let off: Vec<(&str, String)> = NEEDED
            .iter()
            .filter_map(|name| Some((*name, told_text(&flow, name, out)?)))
            .filter(|(_, (value, _))| value == "false")
            .map(|(name, (_, source))| (name, source))
            .collect();
        let Some((first, _)) = off.first() else { continue };
        let mut fix = Fix::new(format!("let {} translate offsets", flow.name), Risk::RestartsClients);
        let mut finding = Finding::new(
            Severity::Error,
            format!("mirror {}", flow.name),
            format!("it is to sync groups' offsets, and {first} is false"),
        )
        .fact(SYNC, "true", source);
        for (name, source) in &off {
            fix = set_flow(fix, &flow, name, "true");
            finding = finding.fact(*name, "false", source.clone());
        }
        let finding = finding
            .consequence("no group has an offset on the target, although the configuration says so")
            .fix(fix)
            .next("kafka-consumer-groups.sh --bootstrap-server TARGET --describe --all-groups")
            .at(&flow.place);
        out.found(finding);
    }
}
