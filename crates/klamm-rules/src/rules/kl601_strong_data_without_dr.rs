//! The spec promises a recovery point, and nothing copies the data.
//!
//! ## What it does
//! Where a spec promises what is left when the cluster is lost (`recovery`), looks for a copy of each strong topic in the second cluster, and in files for a flow of
//! MirrorMaker 2 that is switched off.
//!
//! ## Why it hurts
//! When the whole cluster is lost (a region, a mistake, a ransom), everything that was not copied is lost with it.
//!
//! ## Example
//!     recovery: { rpo: 1 min } and no `east.orders` in the second cluster
//!
//! ## Use instead
//!     klamm export --format mm2
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-382: MirrorMaker 2

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::evidence::RecoveryPromise;
use crate::finding::{Finding, Fix, Severity};
use crate::recovery::{alias, copy_of, flow_subject, is_on, second_server};
use crate::text::duration;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let Some(recovery) = &spec.recovery else { return };
    if let Some(files) = cx.evidence.files.value() {
        for flow in files.mirrors.iter().filter(|flow| flow.source == recovery.alias) {
            out.judged();
            if !is_on(flow) {
                let finding = Finding::new(Severity::Error, flow_subject(flow), "the flow is switched off")
                    .fact("enabled", "false", flow.place.to_string())
                    .at(&flow.place);
                found(cx, out, finding, recovery);
            }
        }
    }
    let Some(second) = out.see("topics of the second cluster", &cx.evidence.second.topics) else { return };
    let alias = alias(cx);
    let strong = spec.topics.keys().filter(|topic| cx.weight(topic).strong);
    let mut missing = Vec::new();
    for topic in strong {
        out.judged();
        if copy_of(second, alias, topic).is_none() {
            missing.push(topic.as_str());
        }
    }
    if missing.is_empty() {
        return;
    }
    let what = format!("the second cluster has no copy of {}", topics_text(&missing));
    let finding = Finding::new(Severity::Error, "second cluster", what).fact(
        "topics without a copy",
        topics_text(&missing),
        format!("metadata of {}", second_server(cx)),
    );
    found(cx, out, finding, recovery);
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, recovery: &RecoveryPromise) {
    let rpo = duration(i64::try_from(recovery.rpo_ms).unwrap_or(i64::MAX));
    out.found(
        finding
            .fact("recovery point that is promised", rpo.clone(), recovery.place.to_string())
            .consequence(format!("when the cluster is lost, all records are lost, where no more than {rpo} may be"))
            .fix(
                Fix::new("copy the topics to the second cluster", Risk::Safe)
                    .command("klamm export --format mm2 --out mm2")
                    .ask("start MirrorMaker 2 beside the second cluster with the file that is written: connect-mirror-maker.sh")
                    .undo_by("stop MirrorMaker 2; topics that it made stay until they are deleted"),
            )
            .next(format!("kafka-topics.sh --bootstrap-server {} --list", second_server(cx))),
    );
}
