//! Groups would not find their place in the second cluster.
//!
//! ## What it does
//! For groups whose topics have copies in the second cluster, looks for the topic of checkpoints there (`<alias>.checkpoints.internal`). In files of MirrorMaker 2
//! it looks at `emit.checkpoints.enabled`, and at `sync.group.offsets.enabled`, which is off by itself.
//!
//! ## Why it hurts
//! Offsets of a copy are not those of the original. Without checkpoints nobody can tell where a group has to go on: it starts at the end and skips, or at the
//! beginning and repeats all. With checkpoints and without synchronisation they have to be translated by hand on the day of the failover.
//!
//! ## Example
//!     emit.checkpoints.enabled=false
//!
//! ## Use instead
//!     emit.checkpoints.enabled=true
//!     sync.group.offsets.enabled=true
//!
//! ## Severity
//! Warning without checkpoints, info without synchronisation.
//!
//! ## References
//! - KIP-382, KIP-545: automated consumer offset sync

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::MirrorFlow;
use crate::finding::{Finding, Fix, Severity};
use crate::recovery::{alias, copy_of, flow_subject, is_on, of_flow, second_server, set_in_flow};
use crate::text::listed;

const EMIT: &str = "emit.checkpoints.enabled";
const SYNC: &str = "sync.group.offsets.enabled";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(files) = out.see("configuration files", &cx.evidence.files) {
        for flow in files.mirrors.iter().filter(|flow| is_on(flow)) {
            check_flow(cx, out, flow);
        }
    }
    let Some(second) = out.see("topics of the second cluster", &cx.evidence.second.topics) else { return };
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return };
    let Some(alias) = alias(cx) else {
        return out.unclear(
            "the second cluster",
            "neither a spec nor a file of MirrorMaker 2 says what the first one is called there",
        );
    };
    let checkpoints = format!("{alias}.checkpoints.internal");
    let known = second.contains_key(&checkpoints);
    let mut lost = Vec::new();
    for group in groups {
        if group.offsets.iter().any(|offset| copy_of(second, Some(alias), &offset.topic).is_some()) {
            out.judged();
            lost.extend((!known).then_some(group.name.as_str()));
        }
    }
    if lost.is_empty() {
        return;
    }
    let finding = Finding::new(
        Severity::Warning,
        "second cluster",
        format!("it has no checkpoints of {}", listed(&lost, 3)),
    )
    .fact(checkpoints, "missing", format!("metadata of {}", second_server(cx)))
    .fact(
        "groups whose topics are copied",
        lost.len().to_string(),
        "consumer groups of the first cluster",
    );
    let fix = Fix::new("let MirrorMaker 2 write checkpoints and synchronise groups", Risk::Safe)
        .ask(format!("write {EMIT}=true and {SYNC}=true for the flow {alias}->…, or run MirrorCheckpointConnector beside MirrorSourceConnector"))
        .undo_by("the former values again");
    found(cx, out, finding, fix);
}

fn check_flow(cx: &Cx<'_>, out: &mut Out, flow: &MirrorFlow) {
    let Some(emit) = of_flow(out, flow, EMIT, "true") else { return };
    let Some(sync) = of_flow(out, flow, SYNC, "false") else { return };
    out.judged();
    let (name, severity, what) = match (emit, sync) {
        ("true", "true") => return,
        ("true", _) => (SYNC, Severity::Info, "it does not write groups' offsets into the target"),
        _ => (EMIT, Severity::Warning, "it writes no checkpoints"),
    };
    let setting = flow.settings.get(name);
    let place = setting.map_or(&flow.place, |setting| &setting.place);
    let source = if setting.is_some() { place.to_string() } else { "default of MirrorMaker 2".to_owned() };
    let finding = Finding::new(severity, flow_subject(flow), what).fact(name, "false", source).at(place);
    let fix = set_in_flow(Fix::new(format!("set {name} to true"), Risk::RestartsClients), flow, name, "true");
    found(cx, out, finding, fix);
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence("after a failover groups do not know where they were: they skip records, read all of them again, or wait for somebody to translate")
            .fix(fix)
            .next(format!("kafka-consumer-groups.sh --bootstrap-server {} --describe --all-groups", second_server(cx))),
    );
}
