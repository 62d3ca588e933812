//! A transaction hangs: it holds the last stable offset back, and nobody will end it.
//!
//! ## What it does
//! For each producer with an open transaction in a partition asks whether a coordinator knows that transaction. Fires when none does, when the coordinator says
//! that it is complete, or when it is open for longer than its own timeout and a minute. A transaction that is being prepared or is young is left alone.
//!
//! ## Why it hurts
//! Readers with `isolation.level=read_committed` stop at the first offset of the oldest open transaction. When the coordinator does not know it, no timeout ends
//! it: they stand still for ever, the cleaner does not clean behind it, and their lag by the last stable offset stays 0.
//!
//! ## Example
//!     orders-3: producer 4711 has been open since offset 90210, and no coordinator knows it
//!
//! ## Use instead
//!     klamm txn abort --bootstrap b1:9092 --topic orders --partition 3 --start-offset 90210
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-664: tooling to detect and abort hanging transactions

use klamm_plan::Risk;

use crate::Seen;
use crate::check::{Cx, Out};
use crate::evidence::{ActiveProducer, Transaction};
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

/// A coordinator aborts what is over its timeout every 10 s (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const MARGIN_MS: i64 = 60_000;
/// `transaction.max.timeout.ms`: no coordinator lets a transaction be open for longer, unless the brokers were told.
const LONGEST_MS: i64 = 900_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    let Some(producers) = out.see("producers of partitions", &live.producers) else { return };
    let Some(transactions) = out.see("transactions of coordinators", &live.transactions) else { return };
    let all = matches!(live.transactions, Seen::Full(_));
    // Leader and followers tell the same transaction.
    let mut told: Vec<(&str, i32, i64)> = Vec::new();
    for open in producers.iter().filter(|producer| producer.transaction_start >= 0) {
        let same = (open.topic.as_str(), open.partition, open.producer_id);
        if told.contains(&same) {
            continue;
        }
        told.push(same);
        let known = transactions.iter().find(|transaction| transaction.producer_id == open.producer_id);
        check_open(cx, out, open, known, all);
    }
    if told.is_empty() {
        out.judged();
    }
}

fn check_open(cx: &Cx<'_>, out: &mut Out, open: &ActiveProducer, known: Option<&Transaction>, all: bool) {
    let now_ms = cx.evidence.at_ms;
    let subject = format!("partition {}-{}", open.topic, open.partition);
    let why = match known {
        // The look at the partition may be older than the commit that the coordinator tells of; and a young one may be newer.
        None if now_ms - open.last_timestamp_ms < MARGIN_MS => None,
        None if !all => {
            return out.unclear(&subject, "a coordinator that may know its transaction was not asked");
        }
        None => Some("no coordinator knows it".to_owned()),
        Some(transaction) => over(transaction, open, now_ms),
    };
    out.judged();
    let Some(why) = why else { return };
    let bootstrap = cx.bootstrap();
    let ActiveProducer { topic, partition, transaction_start, .. } = open;
    let fix = Fix::new(format!("abort the transaction in {topic}-{partition}"), Risk::LosesData)
        .ask("make sure that the producer is gone: its uncommitted records are given up")
        .command(format!(
            "klamm txn abort --bootstrap {bootstrap} --topic {topic} --partition {partition} \
                --start-offset {transaction_start}"
        ))
        .step(crate::Step::Ask(format!(
            "or, with Kafka's own tool: kafka-transactions.sh --bootstrap-server {bootstrap} abort \
                --topic {topic} --partition {partition} --start-offset {transaction_start}"
        )))
        .undo_by("an abort cannot be taken back: the producer has to send the records again");
    let finding = Finding::new(Severity::Error, subject, format!("a transaction hangs: {why}"))
        .fact("producer id", open.producer_id.to_string(), format!("broker {}", open.broker))
        .fact("open since offset", transaction_start.to_string(), format!("broker {}", open.broker))
        .fact("last record before", duration(now_ms - open.last_timestamp_ms), "its time stamp")
        .fact("coordinator", known.map_or("unknown", |known| &known.state), "the transaction coordinators")
        .consequence(format!(
            "readers with read_committed stand still at offset {transaction_start} of {topic}-{partition}"
        ))
        .fix(fix)
        .next(format!("klamm txn find-hanging --bootstrap {bootstrap}"))
        .weighed(cx.weight(topic));
    out.found(finding);
}

/// Why a transaction that a coordinator knows hangs in the partition all the same.
fn over(transaction: &Transaction, open: &ActiveProducer, now_ms: i64) -> Option<String> {
    let quiet_ms = now_ms - open.last_timestamp_ms;
    let id = &transaction.id;
    match transaction.state.as_str() {
        "Ongoing" => {
            let held = transaction.partitions.iter().any(|at| *at == (open.topic.clone(), open.partition));
            let age_ms = now_ms - transaction.started_ms.unwrap_or(open.last_timestamp_ms);
            if !held && quiet_ms > LONGEST_MS + MARGIN_MS {
                return Some(format!("{id} is in a later transaction, without this partition"));
            }
            let late = age_ms > i64::from(transaction.timeout_ms) + MARGIN_MS;
            late.then(|| {
                format!(
                    "{id} has been open for {}, its timeout is {}",
                    duration(age_ms),
                    duration(transaction.timeout_ms.into())
                )
            })
        }
        // Markers are being written: wait, unless that takes longer than anything may.
        "PrepareCommit" | "PrepareAbort" | "PrepareEpochFence" => {
            (quiet_ms > LONGEST_MS + MARGIN_MS).then(|| format!("the markers of {id} do not arrive"))
        }
        state => (quiet_ms > MARGIN_MS).then(|| format!("for the coordinator {id} is in state {state}")),
    }
}
