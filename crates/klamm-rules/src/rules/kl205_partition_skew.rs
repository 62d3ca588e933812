//! The largest partition of a topic holds several times what the others do.
//!
//! ## What it does
//! Compares the largest partition with the mean of its topic: by bytes where log directories can be read, else by stored records. It fires above three times the mean
//! (with two or three partitions: above 80% of everything). Topics below 256 MiB or 100,000 records are too small to tell. Compacted topics are only judged by bytes.
//!
//! ## Why it hurts
//! A partition lives on one broker and is read by one consumer of a group: the largest one decides how much the topic carries, how far its group lags, and whose
//! disk fills first.
//!
//! ## Example
//!     12 partitions, and partition 7 has 60% of the bytes
//!
//! ## Use instead
//!     a key with more different values, or a partitioner that spreads
//!
//! ## Severity
//! Warning: it costs throughput, no record.

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::amend::configs;
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{percent, subject};
use crate::text::value;

const LEAST_BYTES: u64 = 256 << 20;
const LEAST_RECORDS: u64 = 100_000;

type Sizes = BTreeMap<String, BTreeMap<i32, u64>>;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(dirs) = out.see("log directories", &cx.evidence.live.log_dirs) {
        let mut sizes = Sizes::new();
        for replica in dirs.iter().flat_map(|dir| &dir.replicas) {
            let bytes = sizes.entry(replica.topic.clone()).or_default().entry(replica.partition).or_default();
            *bytes = (*bytes).max(replica.bytes);
        }
        judge(cx, out, &sizes, ("bytes", LEAST_BYTES, "log directories"));
        return;
    }
    let Some(offsets) = out.see("offsets of partitions", &cx.evidence.live.offsets) else { return };
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let mut sizes = Sizes::new();
    for (name, partitions) in offsets {
        let Some(topic) = topics.get(name) else { continue };
        let Some(configs) = configs(out, name, topic) else { continue };
        // Offsets of records that compaction removed still count in the difference.
        if value(configs, "cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
            continue;
        }
        let records = |start: i64, end: i64| u64::try_from(end - start).unwrap_or(0);
        let all = partitions.iter().map(|one| (one.partition, records(one.start, one.end)));
        sizes.insert(name.clone(), all.collect());
    }
    judge(cx, out, &sizes, ("records", LEAST_RECORDS, "offsets of partitions"));
}

fn judge(cx: &Cx<'_>, out: &mut Out, sizes: &Sizes, (unit, least, source): (&str, u64, &str)) {
    for (topic, partitions) in sizes.iter().filter(|(topic, _)| !topic.starts_with("__")) {
        let total: u64 = partitions.values().sum();
        let count = partitions.len() as u64;
        if count < 2 || total < least {
            continue;
        }
        out.judged();
        let Some((partition, largest)) = partitions.iter().max_by_key(|(_, size)| **size) else { continue };
        let bound = (3.0 / count as f64).min(0.8) * total as f64;
        if *largest as f64 <= bound {
            continue;
        }
        let fix = Fix::new(format!("find what fills partition {partition} of {topic}"), Risk::MovesKeys)
            .command(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
            .ask(
                "one hot key: take a finer key; few keys: the same; records sent to a partition by \
            number: let the partitioner choose",
            )
            .undo_by("write with the former key or partition again");
        let finding = Finding::new(
            Severity::Warning,
            subject(topic),
            format!("partition {partition} holds {} of the {unit}", percent(*largest, total)),
        )
        .fact(format!("{unit} of partition {partition}"), largest.to_string(), source)
        .fact(format!("{unit} of the topic"), total.to_string(), source)
        .fact("partitions", count.to_string(), source)
        .consequence(format!(
            "one broker and one consumer of each group carry {} of {topic}: its lag and its disk decide \
             for the whole topic",
            percent(*largest, total)
        ))
        .fix(fix)
        .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
        .weighed(cx.weight(topic));
        out.found(finding);
    }
}
