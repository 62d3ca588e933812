//! The consuming client.

use klamm_contract::{ConsumerContract, Delivery, Layer};

use super::{Setting, Settings};
use crate::spec::{ConsumerSpec, Membership, Protocol, Start};
use crate::text;

const MAX_POLL_RECORDS: u64 = 500;
const POLL_INTERVAL_MS: u64 = 300_000;
const SESSION_TIMEOUT_MS: u64 = 45_000;
/// Work may take twice its p99 for a whole poll before the group takes the member for stuck.
const WORK_MARGIN: u64 = 2;

pub(crate) fn contract(spec: &ConsumerSpec) -> ConsumerContract {
    let p99_us = spec.work.as_ref().map_or(0, |work| work.p99.micros());
    let slowest_ms = p99_us.saturating_mul(WORK_MARGIN).div_ceil(1_000);
    let max_poll_interval_ms = POLL_INTERVAL_MS.max(slowest_ms).min(i32::MAX as u64);
    let fits = (max_poll_interval_ms * 1_000)
        .checked_div(p99_us.saturating_mul(WORK_MARGIN))
        .unwrap_or(MAX_POLL_RECORDS);
    ConsumerContract {
        group: spec.group.value.clone(),
        topics: spec.reads.iter().map(|topic| topic.value.clone()).collect(),
        delivery: spec.delivery,
        max_poll_interval_ms,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        max_poll_records: fits.clamp(1, MAX_POLL_RECORDS) as u32,
        read_committed: true,
    }
}

pub(crate) fn consumer(spec: &ConsumerSpec, contract: &ConsumerContract) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Consumer);
    s.set(
        "group.id",
        &contract.group,
        "the name under which offsets are kept",
        "Kafka documentation: Consumer Configs",
    );
    let commit = match contract.delivery {
        Delivery::AtMostOnce => "offsets are committed before the work, by the program",
        Delivery::AtLeastOnce => {
            "offsets are committed by the program, up to the first record that is not finished"
        }
        Delivery::ExactlyOnce => "offsets are committed with the transaction that holds the work's results",
    };
    s.set("enable.auto.commit", "false", commit, "Kafka documentation: Design, Message Delivery Semantics");
    let (reset, reason) = match spec.start {
        Start::Earliest => {
            ("earliest", "a new group, or a new partition, starts at its first record: none is skipped")
        }
        Start::Latest => ("latest", "start: latest, so the first records of new partitions are skipped"),
    };
    s.set("auto.offset.reset", reset, reason, "Kafka documentation: Consumer Configs, auto.offset.reset");
    s.set(
        "isolation.level",
        "read_committed",
        "records of aborted transactions are not seen (Java's default shows them); costs nothing without transactions",
        "KIP-98",
    );
    let poll = match &spec.work {
        Some(work) => format!(
            "{} x {} p99, twice over, is {} of the {} between polls",
            contract.max_poll_records,
            work.p99,
            text::millis(
                work.p99
                    .micros()
                    .saturating_mul(WORK_MARGIN)
                    .saturating_mul(contract.max_poll_records.into())
                    .div_ceil(1_000)
            ),
            text::millis(contract.max_poll_interval_ms)
        ),
        None => "Kafka's default; say how long the work takes (work: p50, p99) to have it derived".to_owned(),
    };
    s.set("max.poll.records", contract.max_poll_records, poll, "KIP-41");
    s.set(
        "max.poll.interval.ms",
        contract.max_poll_interval_ms,
        "a member that does not poll for so long is taken for stuck and loses its partitions",
        "KIP-62",
    );
    membership(&mut s, spec, contract);
    s.settings
}

/// Who is in the group, who assigns partitions, and when a member counts as gone.
fn membership(s: &mut Settings, spec: &ConsumerSpec, contract: &ConsumerContract) {
    match spec.protocol.value {
        Protocol::Classic => {
            s.set(
                "session.timeout.ms",
                contract.session_timeout_ms,
                "a member that is gone is noticed after this (classic groups; with KIP-848 it is the broker's setting)",
                "KIP-735",
            );
            s.set(
                "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
                "a rebalance stops only the partitions that move",
                "KIP-429",
            );
        }
        Protocol::Consumer => s.set(
            "group.protocol",
            "consumer",
            "the broker assigns, and only what moves is stopped; session and assignor are its settings",
            "KIP-848",
        ),
    }
    if spec.membership != Some(Membership::Dynamic) {
        s.set(
            "group.instance.id",
            "<one fixed id per instance>",
            "a restart within session.timeout.ms then moves no partitions",
            "KIP-345",
        );
    }
}
