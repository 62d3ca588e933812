//! A copy that hangs holds writes back longer than producers wait.
//!
//! ## What it does
//! Compares `replica.lag.time.max.ms` of brokers, the time until a follower that does not keep up leaves the in-sync set, with the delivery timeout of Java
//! clients (120 s by default).
//!
//! ## Why it hurts
//! A write with acks=all waits for every in-sync copy. One follower that hangs holds all writes of its partitions back until it is put out: if that takes
//! as long as `delivery.timeout.ms`, producers give up and lose records, although enough other copies work.
//!
//! ## Example
//!     replica.lag.time.max.ms=300000
//!
//! ## Use instead
//!     replica.lag.time.max.ms=30000, the default
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-537: replica.lag.time.max.ms is 30 s since 2.5

use klamm_plan::Risk;

use crate::brokers::{Wanted, report, values};
use crate::check::{Cx, Out};
use crate::finding::Severity;

const NAME: &str = "replica.lag.time.max.ms";
/// Default of `delivery.timeout.ms` in the Java client.
const DELIVERY_MS: i64 = 120_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut slow = Vec::new();
    for value in values(cx, out, NAME, "30000") {
        out.judged();
        if value.number().is_some_and(|ms| ms >= DELIVERY_MS) {
            slow.push(value);
        }
    }
    let wanted = Wanted {
        name: NAME,
        to: "30000",
        severity: Severity::Warning,
        what: format!("{NAME} is as long as the delivery timeout of producers"),
        consequence: "one follower that hangs lets producers with acks=all run into delivery.timeout.ms: records fail though enough copies work".to_owned(),
        risk: Risk::Safe,
        next: format!("kafka-topics.sh --bootstrap-server {} --describe --under-replicated-partitions", cx.bootstrap()),
    };
    report(cx, out, &slow, &wanted, |finding| {
        finding.fact("delivery.timeout.ms", DELIVERY_MS.to_string(), "default of the Java client")
    });
}
