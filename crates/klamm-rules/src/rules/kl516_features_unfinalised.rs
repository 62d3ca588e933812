//! Every broker can do more than the cluster is allowed to.
//!
//! ## What it does
//! Compares the finalized level of each feature with the highest that every broker supports, and says what the difference withholds. `kraft.version` is
//! KL522's.
//!
//! | Feature | Level | Brings |
//! | --- | --- | --- |
//! | `metadata.version` | each | what the brokers' release can write into metadata; other features wait for it |
//! | `transaction.version` | 1 | flexible fields in the log of transactions |
//! | `transaction.version` | 2 | an epoch for each transaction: a late record cannot fall into the next one (KIP-890) |
//! | `group.version` | 1 | groups whose partitions the brokers assign (KIP-848) |
//! | `eligible.leader.replicas.version` | 1 | a clean leader after the last in-sync replica restarted (KIP-966) |
//! | `share.version` | 1 | share groups (KIP-932) |
//! | `streams.version` | 1 | Kafka Streams groups that brokers assign (KIP-1071) |
//!
//! ## Why it hurts
//! After an upgrade the features stay at the old level until somebody raises them, so that the way back is open. Forgotten, the fixes of the new version
//! are installed and switched off.
//!
//! ## Example
//!     transaction.version 0 where every broker supports 2
//!
//! ## Use instead
//!     kafka-features.sh upgrade --feature transaction.version=2
//!
//! ## Severity
//! Warning for `metadata.version` and `transaction.version`, info for the others.
//!
//! ## References
//! - KIP-584, KIP-1022; KAFKA-21426: `--release-version` raises kraft.version with the rest, which cannot be taken back, so each is named here

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::FeatureLevel;
use crate::finding::{Finding, Fix, Severity};

/// What the levels above `from` bring.
fn withheld(name: &str, from: i16) -> &'static str {
    match (name, from) {
        ("metadata.version", _) => "the newest metadata of the brokers' release, and with it other features",
        ("transaction.version", 0) => {
            "an epoch for each transaction (KIP-890), so that a late record cannot fall into the next one"
        }
        ("transaction.version", _) => "transactions that no late record can fall into (KIP-890)",
        ("group.version", _) => {
            "groups whose partitions the brokers assign (KIP-848): rebalances that stop nobody"
        }
        ("eligible.leader.replicas.version", _) => {
            "a leader that has every record, after the last in-sync replica restarted (KIP-966)"
        }
        ("share.version", _) => "share groups (KIP-932)",
        ("streams.version", _) => "Kafka Streams groups that brokers assign (KIP-1071)",
        _ => "what its new level does",
    }
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(features) = out.see("features", &cx.evidence.live.features) else { return };
    for feature in features.iter().filter(|feature| feature.name != "kraft.version") {
        out.judged();
        let FeatureLevel { name, finalized, supported } = feature;
        let from = finalized.unwrap_or(0);
        if from >= *supported {
            continue;
        }
        let metadata = name == "metadata.version";
        let severity = match name.as_str() {
            "metadata.version" | "transaction.version" => Severity::Warning,
            _ => Severity::Info,
        };
        let tool = |rest: String| format!("kafka-features.sh --bootstrap-server {} {rest}", cx.bootstrap());
        let mut fix = Fix::new(format!("raise {name} to {supported}"), Risk::Safe)
            .command(tool(format!("upgrade --feature {name}={supported}")));
        fix = match metadata {
            true => fix
                .undo(tool(format!("downgrade --feature {name}={from}")))
                .undo_by("Kafka refuses that where metadata of the new level is in use: run like this for a week first, if the old version may be needed again"),
            false => fix.undo(tool(format!("downgrade --feature {name}={from}"))),
        };
        let shown = finalized.map_or("not finalized".to_owned(), |level| level.to_string());
        out.found(
            Finding::new(
                severity,
                format!("feature {name}"),
                format!("it is at level {from} where every broker supports {supported}"),
            )
            .fact("finalized", shown, "features of the cluster")
            .fact("supported by every broker", supported.to_string(), "features of the cluster")
            .consequence(format!("the cluster does without {}", withheld(name, from)))
            .fix(fix)
            .next(tool("describe".to_owned())),
        );
    }
}
