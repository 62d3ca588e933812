//! A consumer reads records of transactions that may be aborted.
//!
//! ## What it does
//! Finds topics that are written in transactions: by a sample, by open transactions, by a producer with a `transactional.id`. Fires on consumers of them whose
//! `isolation.level` is `read_uncommitted`, Java's default; librdkafka and KafkaJS read committed records by default.
//!
//! ## Why it hurts
//! The consumer works on records that their producer took back, and then on the ones that it wrote instead.
//!
//! ## Example
//!     isolation.level=read_uncommitted
//!
//! ## Use instead
//!     isolation.level=read_committed
//!
//! ## Severity
//! Error where the data is strong, else warning.
//!
//! ## References
//! - KIP-98

use std::collections::BTreeMap;

use crate::Seen;
use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::finding::Finding;
use crate::producers::{by_weight, producers};

const LEVEL: &str = "isolation.level";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let topics = transactional(cx, out);
    for client in consumers(cx, out) {
        let level = client.effective(LEVEL);
        if level.value() == Some("read_committed") {
            out.judged();
            continue;
        }
        if client.topics.is_empty() {
            out.unclear(&client.subject(), "which topics it reads is not known");
            continue;
        }
        let hit = client.topics.iter().find_map(|topic| Some((topic, topics.get(topic.as_str())?)));
        let (Some((topic, why)), Some(value)) = (hit, level.value()) else {
            match hit {
                Some(_) => out.unclear(&client.subject(), format!("{LEVEL}: {}", level.source())),
                None => unhit(cx, out, &client.topics),
            }
            continue;
        };
        out.judged();
        let weight = cx.weight(topic);
        let what = format!("{LEVEL} is {value}, and {topic} is written in transactions");
        let finding = Finding::new(by_weight(&weight), client.subject(), what)
            .at(client.setting(LEVEL).map_or(&client.place, |setting| &setting.place))
            .fact(LEVEL, value, level.source())
            .fact(format!("{topic} is written in transactions"), "yes", why.clone())
            .consequence("it works on records of transactions that are aborted afterwards")
            .fix(advice::set(client, "read only what is committed", &[(LEVEL, "read_committed")]))
            .next("does a transaction hang? then read_committed stands still: klamm txn find-hanging")
            .weighed(weight);
        out.found(finding);
    }
}

/// Nothing says that these topics are written in transactions; that they are not, only samples can say.
fn unhit(cx: &Cx<'_>, out: &mut Out, topics: &[String]) {
    let samples = cx.evidence.data.value().map(Vec::as_slice).unwrap_or_default();
    for topic in topics {
        match samples.iter().any(|sample| sample.topic == *topic && sample.records > 0) {
            true => out.judged(),
            false if matches!(cx.evidence.data, Seen::NotAsked) => {}
            false => {
                out.unclear(&format!("topic {topic}"), "whether it is written in transactions is not known")
            }
        }
    }
}

/// Topics that are written in transactions, and who says so.
fn transactional(cx: &Cx<'_>, out: &mut Out) -> BTreeMap<String, String> {
    let mut topics = BTreeMap::new();
    for client in producers(cx, out) {
        if client.setting("transactional.id").is_some() {
            let said = format!("{} has a transactional.id", client.subject());
            topics.extend(client.topics.iter().map(|topic| (topic.clone(), said.clone())));
        }
    }
    if let Some(transactions) = out.see("transactions of coordinators", &cx.evidence.live.transactions) {
        for transaction in transactions {
            let said = format!("transaction {} is open", transaction.id);
            topics.extend(transaction.partitions.iter().map(|(topic, _)| (topic.clone(), said.clone())));
        }
    }
    if let Some(samples) = out.see("samples of records", &cx.evidence.data) {
        for sample in samples.iter().filter(|sample| sample.transactional > 0) {
            let said = format!("{} of {} sampled records", sample.transactional, sample.records);
            topics.insert(sample.topic.clone(), said);
        }
    }
    topics
}
