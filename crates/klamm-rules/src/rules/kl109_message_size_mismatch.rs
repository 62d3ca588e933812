//! A producer may send more than its topic accepts.
//!
//! ## What it does
//! Compares `max.request.size` (librdkafka: `message.max.bytes`, Sarama: `Producer.MaxMessageBytes`) with `max.message.bytes` of each topic that the producer is
//! seen to write; where its topics are not known, with the lowest of all. Sizes that a consumer fetches are soft limits and no finding.
//!
//! ## Why it hurts
//! The producer lets the record pass, sends it, and the broker refuses the batch: `MESSAGE_TOO_LARGE`. It happens with the first large record, long after
//! the test.
//!
//! ## Example
//!     max.request.size=5242880      # topic: max.message.bytes=1048588
//!
//! ## Use instead
//!     max.request.size=1048576
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - Apache Kafka, topic configuration `max.message.bytes`

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::Client;
use crate::finding::{Finding, Severity};
use crate::producers::producers;
use crate::text::{number, source_of};

const SENDS: &str = "max.request.size";
const TAKES: &str = "max.message.bytes";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let clients = producers(cx, out);
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    for client in clients {
        let sends = client.effective(SENDS);
        let Some(size) = sends.number() else {
            out.unclear(&client.subject(), format!("{SENDS}: {}", sends.source()));
            continue;
        };
        if client.topics.is_empty() {
            let limits = topics.values().filter_map(|topic| number(topic.configs.value()?, TAKES));
            match limits.min() {
                Some(lowest) if size <= lowest => out.judged(),
                _ => out.unclear(&client.subject(), "which topics it writes is not known"),
            }
            continue;
        }
        for name in &client.topics {
            let Some(topic) = topics.get(name) else { continue };
            let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
                continue;
            };
            let Some(limit) = number(configs, TAKES) else {
                out.unclear(&format!("topic {name}"), format!("{TAKES} was not told"));
                continue;
            };
            out.judged();
            if size > limit {
                found(cx, out, client, (name, limit, source_of(configs, TAKES)));
            }
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, client: &Client, (topic, limit, source): (&str, i64, &str)) {
    let sends = client.effective(SENDS);
    let size = sends.value().unwrap_or_default();
    let what = format!("it may send {size} bytes, and topic {topic} accepts {limit}");
    let finding = Finding::new(Severity::Warning, client.subject(), what)
        .at(client.setting(SENDS).map_or(&client.place, |setting| &setting.place))
        .fact(SENDS, size, sends.source())
        .fact(format!("{TAKES} of {topic}"), limit.to_string(), source)
        .consequence("the broker refuses a record between the two sizes, after the producer let it pass")
        .fix(advice::set(client, "refuse too large records in the producer", &[(SENDS, &limit.to_string())]))
        .next(format!("how large are its records? klamm audit --bootstrap {} --sample 10000", cx.bootstrap()))
        .weighed(cx.weight(topic));
    out.found(finding);
}
