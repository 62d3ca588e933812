//! MirrorMaker copies records, and no group can go on where it was.
//!
//! ## What it does
//! Reads `sync.group.offsets.enabled` of each flow that runs (`file`): its default is false. It needs checkpoints and offset syncs, which KL861 looks at.
//!
//! ## Why it hurts
//! After a failover a group has no offset on the second cluster: it starts at the end and skips, or at the beginning and repeats. The checkpoints are there, but somebody has to translate them, group by group,
//! while everything is down.
//!
//! ## Example
//!     (sync.group.offsets.enabled is not set: false)
//!
//! ## Use instead
//!     primary->backup.sync.group.offsets.enabled=true
//!
//! ## Severity
//! Warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{flows, set_flow, told_text};

const SYNC: &str = "sync.group.offsets.enabled";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for flow in flows(cx, out, "MirrorCheckpointConnector") {
        let Some((sync, source)) = told_text(&flow, SYNC, out) else { continue };
        out.judged();
        if sync == "true" {
            continue;
        }
        let fix =
            Fix::new(format!("let {} write groups' offsets to the target", flow.name), Risk::RestartsClients);
        let finding = Finding::new(
            Severity::Warning,
            format!("mirror {}", flow.name),
            "groups have no \
        offsets on the target",
        )
        .fact(SYNC, sync, source)
        .consequence(
            "after a failover each group skips or repeats records, unless somebody translates \
            its offsets by hand",
        )
        .fix(set_flow(fix, &flow, SYNC, "true"))
        .next(
            "how are groups moved in the failover exercise: by hand, or by \
            RemoteClusterUtils.translateOffsets?",
        )
        .at(&flow.place);
        out.found(finding);
    }
}
