//! A whole topic that carries load, or has no order over all records to keep, is one partition.
//!
//! ## What it does
//! Looks at topics with one partition (`live`). It fires when the spec promises no order over all records and a peak of 1 MB/s or more, or, without a
//! promise, when ten million records or more were written to it. Kafka's, Connect's and MirrorMaker's own topics, which must have one, are left out, and so are topics whose
//! spec says `order: global`.
//!
//! ## Why it hurts
//! One partition has one leader and, in a consumer group, one reader: neither brokers nor consumers that are added make it faster.
//!
//! ## Example
//!     orders: 1 partition, order per key, 20 MB/s at the peak
//!
//! ## Use instead
//!     klamm repartition orders --partitions 12
//!
//! ## Severity
//! Warning where the spec says how much it carries, else info.

use klamm_contract::Order;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::TopicPromise;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{promise, subject};

const PEAK_BYTES: u64 = 1_000_000;
const WRITTEN: i64 = 10_000_000;
/// Partitions that are proposed: what six consumers can share.
const PROPOSED: u32 = 6;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    for (name, topic) in topics {
        if topic.internal || topic.partitions.len() != 1 || must_have_one(name) {
            continue;
        }
        let promise = promise(cx, out, name);
        if promise.is_some_and(|promise| promise.order == Order::Global) {
            out.judged();
            continue;
        }
        let written = match promise.and_then(|promise| promise.peak_bytes) {
            Some(_) => None,
            None => {
                let Some(offsets) = out.see("offsets of partitions", &cx.evidence.live.offsets) else {
                    continue;
                };
                offsets.get(name).and_then(|all| all.first()).map(|one| one.end)
            }
        };
        out.judged();
        judge(cx, out, name, promise, written);
    }
}

fn judge(cx: &Cx<'_>, out: &mut Out, name: &str, promise: Option<&TopicPromise>, written: Option<i64>) {
    let peak = promise.and_then(|promise| Some((promise.peak_bytes?, promise.place.to_string())));
    let (severity, load) = match (&peak, written) {
        (Some((bytes, place)), _) if *bytes >= PEAK_BYTES => {
            (Severity::Warning, ("bytes a second at the peak", bytes.to_string(), place.clone()))
        }
        (None, Some(end)) if end >= WRITTEN => {
            (Severity::Info, ("records written so far", end.to_string(), "end of the partition".to_owned()))
        }
        _ => return,
    };
    let run = format!("klamm repartition {name} --partitions {PROPOSED} --bootstrap {}", cx.bootstrap());
    let fix = Fix::new(
        format!("copy {name} to a topic with {PROPOSED} partitions, key by key in order"),
        Risk::CopiesData,
    )
    .command(run.clone())
    .ask(format!("stop the producers, let the groups read to the end and stop them, then: {run} --cut-over"))
    .undo(format!("{run} --roll-back"));
    let finding = Finding::new(severity, subject(name), "all records go through one partition")
        .fact("partitions", "1", "placement of the topic")
        .fact(load.0, load.1, load.2)
        .consequence(format!(
            "one broker takes all writes of {name} and one consumer of each group reads all of it"
        ))
        .fix(fix)
        .next(format!("does the order of all records of {name} matter, or only that of each key?"))
        .weighed(cx.weight(name));
    out.found(finding);
}

fn must_have_one(name: &str) -> bool {
    let own = ["_schemas", "heartbeats", "mm2-offset-syncs", "connect-configs", "mm2-configs"];
    name.starts_with("__")
        || own.iter().any(|own| name.starts_with(own))
        || name.ends_with(".checkpoints.internal")
        || name.ends_with("-configs")
        || name.ends_with(".heartbeats")
}
