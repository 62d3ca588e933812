//! The second cluster cannot carry the load.
//!
//! ## What it does
//! Compares both clusters: brokers (three are needed to lose one), disk (one copy of each partition, times the copies that the second cluster keeps, against
//! its volumes), and the link of the spec against the peaks of its topics.
//!
//! ## Why it hurts
//! It is found out on the day on which everything depends on it.
//!
//! ## Example
//!     1.2 TB of records, 0.9 TB of disk in the second cluster
//!
//! ## Use instead
//!     as much as the first cluster, or a list of what will not run there
//!
//! ## Severity
//! Error when it cannot hold the data or the link cannot carry it, else warning.
//!
//! ## References
//! - KIP-382: MirrorMaker 2

use std::collections::BTreeMap;

use klamm_plan::{Risk, bytes};

use crate::check::{Cx, Out};
use crate::evidence::LogDir;
use crate::finding::{Finding, Fix, Severity};
use crate::recovery::{alias, copy_of, second_server};

/// Copies that MirrorMaker 2 asks for by itself.
const MIRROR_COPIES: u64 = 2;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    link(cx, out);
    let (first, second) = (&cx.evidence.live, &cx.evidence.second);
    let brokers = out.see("brokers of the second cluster", &second.brokers);
    let here = out.see("brokers of the cluster", &first.brokers);
    if let (Some(there), Some(here)) = (brokers, here) {
        out.judged();
        if there.len() < 3 && there.len() < here.len() {
            let what = format!("it has {} brokers, the first cluster {}", there.len(), here.len());
            let finding = Finding::new(Severity::Warning, "brokers of the second cluster", what)
                .fact("brokers", there.len().to_string(), "metadata of the second cluster")
                .fact("brokers", here.len().to_string(), "metadata of the first cluster")
                .consequence("after a failover it cannot lose a broker without losing writes or records");
            found(cx, out, finding, "add brokers to the second cluster");
        }
    }
    disk(cx, out);
}

fn link(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let Some(link) = spec.recovery.as_ref().and_then(|recovery| recovery.link_bytes) else { return };
    let peak: u64 = spec.topics.values().filter_map(|topic| topic.peak_bytes).sum();
    out.judged();
    if peak <= link {
        return;
    }
    let rate = |rate: u64| format!("{}/s", bytes(rate.into()));
    let finding = Finding::new(
        Severity::Error,
        "link to the second cluster",
        "topics write more at the peak than it carries",
    )
    .fact("peaks of all topics", rate(peak), "spec")
    .fact("link", rate(link), "spec")
    .consequence("at the peak the copy falls behind, and what is not copied is lost with the cluster");
    found(
        cx,
        out,
        finding,
        "widen the link, compress (producers, or compression.type of MirrorMaker 2's producer), or copy fewer topics",
    );
}

fn disk(cx: &Cx<'_>, out: &mut Out) {
    let (first, second) = (&cx.evidence.live, &cx.evidence.second);
    let Some(there) = out.see("log directories of the second cluster", &second.log_dirs) else { return };
    let Some(here) = out.see("log directories of the cluster", &first.log_dirs) else { return };
    let total: Option<u64> = there.iter().map(|dir| dir.total_bytes).sum();
    let Some(total) = total.filter(|total| *total > 0) else {
        return out.unclear("disks of the second cluster", "brokers before 3.3 do not tell their size");
    };
    let topics = second.topics.value();
    let copies = |topic: &str| {
        let copy = topics.and_then(|topics| copy_of(topics, alias(cx), topic)).map(|(_, copy)| copy);
        copy.map_or(MIRROR_COPIES, |copy| crate::cluster::copies(copy).max(1) as u64)
    };
    let need: u64 =
        one_copy(here).into_iter().map(|(topic, bytes)| bytes.saturating_mul(copies(topic))).sum();
    out.judged();
    if need.saturating_mul(5) <= total.saturating_mul(4) {
        return;
    }
    let severity = if need > total { Severity::Error } else { Severity::Warning };
    let finding = Finding::new(
        severity,
        "disks of the second cluster",
        "they are too small for the data of the first one",
    )
    .fact("needed", bytes(need.into()), "log directories of the first cluster, times copies there")
    .fact("size", bytes(total.into()), "log directories of the second cluster")
    .consequence(
        "its disks are full before everything is copied: copying stops, and brokers take directories offline",
    );
    found(cx, out, finding, "add disk or brokers to the second cluster");
}

/// Bytes of the largest copy of each partition, by topic. Kafka's own topics are not copied.
fn one_copy(dirs: &[LogDir]) -> BTreeMap<&str, u64> {
    let mut partitions: BTreeMap<(&str, i32), u64> = BTreeMap::new();
    for replica in
        dirs.iter().flat_map(|dir| &dir.replicas).filter(|replica| !replica.topic.starts_with("__"))
    {
        let largest = partitions.entry((&replica.topic, replica.partition)).or_default();
        *largest = (*largest).max(replica.bytes);
    }
    let mut topics = BTreeMap::new();
    for ((topic, _), bytes) in partitions {
        *topics.entry(topic).or_default() += bytes;
    }
    topics
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, what: &str) {
    let fix = Fix::new(what, Risk::CopiesData)
        .ask(format!("{what}; then audit again"))
        .undo_by("what was added can be taken away again: klamm broker drain empties a broker");
    out.found(
        finding
            .fix(fix)
            .next(format!("kafka-log-dirs.sh --bootstrap-server {} --describe", second_server(cx))),
    );
}
