//! Somebody is turned away, again and again.
//!
//! ## What it does
//! Reads failed authentications (their rate between two looks, and since the broker started) and requests that the authorizer denied from the brokers' metrics.
//!
//! ## Why it hurts
//! A client with an old password hammers the brokers and does no work; or somebody tries passwords.
//!
//! ## Example
//!     b1: 12 failed authentications a second
//!
//! ## Use instead
//!     find the address in the broker's log, give the client its new password, or close the listener to that network
//!
//! ## Severity
//! Warning while they go on, info for what has been.
//!
//! ## References
//! - Apache Kafka, monitoring: `failed-authentication-rate`

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(host) = out.see("metrics of brokers", &cx.evidence.host) else { return };
    for metrics in &host.hosts {
        let (rate, failed, denied) = (
            metrics.failed_authentications_thousandths,
            metrics.failed_authentications,
            metrics.denied_requests,
        );
        if rate.is_none() && failed.is_none() && denied.is_none() {
            continue;
        }
        out.judged();
        let (rate, failed, denied) = (rate.unwrap_or(0), failed.unwrap_or(0), denied.unwrap_or(0));
        let (severity, what) = match (rate, denied, failed) {
            (1.., ..) => (Severity::Warning, "authentications fail now"),
            (_, 1.., _) => (Severity::Info, "the authorizer has denied requests"),
            (.., 1..) => (Severity::Info, "authentications have failed"),
            _ => continue,
        };
        let source = format!("metrics of {}", metrics.at);
        let mut finding = Finding::new(severity, format!("broker at {}", metrics.host), what);
        if rate > 0 {
            finding = finding.fact(
                "failed authentications a second",
                format!("{:.3}", rate as f64 / 1000.0),
                source.clone(),
            );
        }
        out.found(
            finding
                .fact("failed authentications since it started", failed.to_string(), source.clone())
                .fact("requests denied since it started", denied.to_string(), source)
                .consequence("a client with a wrong password or without a right does no work, or somebody tries what works")
                .fix(
                    Fix::new("find who it is", Risk::Safe)
                        .ask(format!("on {}: server.log names address and user of each failed authentication, kafka-authorizer.log of each denial", metrics.host))
                        .ask("give the client its password or right, or close the listener to that network")
                        .undo_by("nothing to take back"),
                )
                .next(format!("kafka-acls.sh --bootstrap-server {} --list", cx.bootstrap())),
        );
    }
}
