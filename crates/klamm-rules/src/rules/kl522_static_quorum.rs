//! Controllers cannot be replaced while the cluster runs.
//!
//! ## What it does
//! Looks at `kraft.version`: 0 where every node supports 1 is a static quorum, whose voters stand in `controller.quorum.voters` of every node. A cluster of one
//! broker is not judged.
//!
//! ## Why it hurts
//! A controller whose disk died comes back with an empty one and the same id, and nothing tells that it has forgotten how it voted; another host, or one
//! more controller, needs new configuration and a restart of every node.
//!
//! ## Example
//!     kraft.version 0 finalized, 1 supported
//!
//! ## Use instead
//!     controller.quorum.bootstrap.servers, and kraft.version 1
//!
//! ## Severity
//! Info.
//!
//! ## References
//! - KIP-853: KRaft controller membership changes; the upgrade of a running cluster needs 4.1 or newer (KAFKA-16538)

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    if live.brokers.value().is_some_and(|brokers| brokers.len() < 2) {
        return;
    }
    let Some(features) = out.see("features", &live.features) else { return };
    out.judged();
    let level = features.iter().find(|feature| feature.name == "kraft.version");
    let Some(level) = level.filter(|level| level.finalized.unwrap_or(0) < 1 && level.supported >= 1) else {
        return;
    };
    let server = cx.bootstrap();
    out.found(
        Finding::new(Severity::Info, "cluster", "its controllers are a static quorum")
            .fact("kraft.version", level.finalized.unwrap_or(0).to_string(), "finalized")
            .fact("kraft.version", level.supported.to_string(), "supported by every node")
            .consequence("a controller that is lost for good can only be replaced by writing new configuration and restarting every node")
            .fix(
                Fix::new("make the quorum a dynamic one", Risk::NeedsBrokerRestart)
                    .ask("every node on 4.1 or newer: earlier versions cannot raise kraft.version of a running cluster")
                    .command(format!("kafka-features.sh --bootstrap-server {server} upgrade --feature kraft.version=1"))
                    .ask("write controller.quorum.bootstrap.servers in place of controller.quorum.voters into every node, and restart them one at a time")
                    .undo_by("kraft.version cannot be lowered again: try it on a test cluster first"),
            )
            .next(format!("kafka-features.sh --bootstrap-server {server} describe")),
    );
}
