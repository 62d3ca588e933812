//! A client retries without a pause.
//!
//! ## What it does
//! Fires where `retry.backoff.ms` of a producer or consumer is told to be 0.
//!
//! ## Why it hurts
//! While a partition has no leader the client asks as fast as it can, from every thread, and each answer is a refusal. The brokers that
//! are left, and that elect the new leader, carry the load of the retries.
//!
//! ## Example
//!     retry.backoff.ms=0
//!
//! ## Use instead
//!     retry.backoff.ms=100
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-580: exponential backoff for Kafka clients

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::Role;
use crate::finding::{Finding, Severity};

const BACKOFF: &str = "retry.backoff.ms";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in cx.clients(&[Role::Producer, Role::Consumer, Role::Admin], out) {
        let Some(setting) = client.setting(BACKOFF) else {
            match client.open {
                true => out.unclear(&client.subject(), client.effective(BACKOFF).source()),
                false => out.judged(),
            }
            continue;
        };
        let effective = client.effective(BACKOFF);
        let Some(ms) = effective.number() else {
            out.unclear(&client.subject(), effective.source());
            continue;
        };
        out.judged();
        if ms > 0 {
            continue;
        }
        let finding = Finding::new(Severity::Warning, client.subject(), format!("{BACKOFF} is {ms}"))
            .at(&setting.place)
            .fact(BACKOFF, ms.to_string(), effective.source())
            .consequence(
                "while a leader is elected the client floods the brokers with requests that they refuse",
            )
            .fix(advice::set(client, "pause between retries", &[(BACKOFF, "100")]))
            .next("how many instances of it run?");
        out.found(finding);
    }
}
