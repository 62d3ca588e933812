//! A topic takes more than 1 MiB a second, and its records are not compressed.
//!
//! ## What it does
//! Takes the rate of a topic from the spec's peak, or from the movement of its end over the window together with the size of sampled records. At 1 MiB a second
//! and more it fires when all sampled batches are uncompressed, or, without a sample, when a producer of the topic is configured without compression.
//!
//! ## Why it hurts
//! Network, disk and replication carry each byte as often as there are copies and readers. JSON and Avro shrink to a third or less with lz4 or zstd.
//!
//! ## Example
//!     compression.type=none
//!
//! ## Use instead
//!     compression.type=lz4
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - Apache Kafka, producer configuration `compression.type`

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::{Client, TopicSample};
use crate::finding::{Finding, Fix, Severity};
use crate::producers::producers;

/// Bytes a second from which on it counts.
const RATE_BYTES: u64 = 1024 * 1024;
/// So many batches say something about a topic.
const BATCHES: u64 = 10;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let samples = out.see("samples of records", &cx.evidence.data).map(Vec::as_slice).unwrap_or_default();
    let writers = producers(cx, out);
    let spec = out.see("spec", &cx.evidence.spec);
    let mut topics: BTreeSet<&String> = samples.iter().map(|sample| &sample.topic).collect();
    topics.extend(writers.iter().flat_map(|client| &client.topics));
    topics.extend(spec.into_iter().flat_map(|spec| spec.topics.keys()));
    for topic in topics {
        let sample = samples.iter().find(|sample| sample.topic == *topic);
        let Some((rate, source)) = rate(cx, topic, sample) else {
            out.see("groups", &cx.evidence.groups);
            out.unclear(&format!("topic {topic}"), "how many bytes a second it takes is not known");
            continue;
        };
        if rate < RATE_BYTES {
            out.judged();
            continue;
        }
        let writers: Vec<&Client> =
            writers.iter().copied().filter(|client| client.topics.contains(topic)).collect();
        check_topic(cx, out, (topic, sample, &writers), (rate, &source));
    }
}

fn check_topic(
    cx: &Cx<'_>,
    out: &mut Out,
    (topic, sample, writers): (&str, Option<&TopicSample>, &[&Client]),
    (rate, source): (u64, &str),
) {
    let subject = format!("topic {topic}");
    let batches = sample.map_or(0, |sample| sample.codecs.values().sum());
    let bare = sample.and_then(|sample| sample.codecs.get("none").copied()).unwrap_or(0);
    let codec = |client: &&&Client| client.effective("compression.type").value() == Some("none");
    let writer = writers.iter().find(codec).copied();
    let known = writers.iter().all(|client| client.effective("compression.type").value().is_some());
    let (seen, from) = match (sample, writer) {
        (Some(_), _) if batches >= BATCHES && bare == batches => {
            (format!("{batches} sampled batches"), "the sample".to_owned())
        }
        (Some(_), _) if batches >= BATCHES => return out.judged(),
        (_, Some(client)) => (client.subject(), client.effective("compression.type").source().to_owned()),
        (_, None) if known && !writers.is_empty() => return out.judged(),
        _ => return out.unclear(&subject, "neither a sample nor a producer tells whether it is compressed"),
    };
    out.judged();
    let fix = match writer {
        Some(client) => advice::set(client, "compress in the producer", &[("compression.type", "lz4")]),
        None => Fix::new("compress in its producers", Risk::RestartsClients)
            .ask(format!("set compression.type=lz4 in each producer of {topic}"))
            .undo_by("set compression.type=none again"),
    };
    let finding = Finding::new(Severity::Warning, subject, format!("{seen} are not compressed"))
        .fact("bytes a second", rate.to_string(), source)
        .fact("compression.type", "none", from)
        .consequence("network, disk and every copy carry several times the bytes that they need to")
        .fix(fix)
        .next(format!(
            "are its records compressed or encrypted already? klamm keys {topic} --bootstrap {}",
            cx.bootstrap()
        ));
    out.found(finding);
}

/// Bytes a second that a topic takes, and who says so.
fn rate(cx: &Cx<'_>, topic: &str, sample: Option<&TopicSample>) -> Option<(u64, String)> {
    let promise = cx.evidence.spec.value().and_then(|spec| spec.topics.get(topic));
    if let Some(bytes) = promise.and_then(|promise| promise.peak_bytes) {
        return Some((bytes, "the spec's peak".to_owned()));
    }
    let sample = sample.filter(|sample| sample.records > 0)?;
    let groups = cx.evidence.groups.value()?;
    let moved = |group: &crate::evidence::Group| {
        let offsets = group.offsets.iter().filter(|offset| offset.topic == topic && offset.window_ms > 0);
        let ends = offsets.map(|offset| Some(((offset.end? - offset.end_first?).max(0), offset.window_ms)));
        ends.collect::<Option<Vec<_>>>().filter(|ends| !ends.is_empty())
    };
    let ends = groups.iter().find_map(moved)?;
    let window = ends.iter().map(|(_, window)| *window).max()?;
    let records: i64 = ends.iter().map(|(moved, _)| moved).sum();
    let per_second = records as f64 * 1_000.0 / window as f64;
    let bytes = per_second * sample.bytes as f64 / sample.records as f64;
    Some((bytes as u64, format!("{per_second:.0} records a second, in the window, of sampled size")))
}
