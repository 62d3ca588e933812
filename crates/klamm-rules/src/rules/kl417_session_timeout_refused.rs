//! A consumer asks for a session timeout that the brokers do not allow.
//!
//! ## What it does
//! Compares `session.timeout.ms` of each consumer of the classic protocol with the brokers' `group.min.session.timeout.ms` (6 s by default) and
//! `group.max.session.timeout.ms` (30 min).
//!
//! ## Why it hurts
//! The coordinator refuses the member with `INVALID_SESSION_TIMEOUT`: it never joins.
//!
//! ## Example
//!     session.timeout.ms=3000
//!
//! ## Use instead
//!     session.timeout.ms=45000
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - Apache Kafka, broker configuration `group.min.session.timeout.ms`

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::evidence::Client;
use crate::finding::{Finding, Severity};
use crate::text::{duration, number};

const SESSION: &str = "session.timeout.ms";
const LEAST: &str = "group.min.session.timeout.ms";
const MOST: &str = "group.max.session.timeout.ms";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let clients = consumers(cx, out);
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    let mut limits: Option<(i64, i64)> = None;
    for broker in brokers {
        let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
        else {
            continue;
        };
        let (Some(least), Some(most)) = (number(configs, LEAST), number(configs, MOST)) else {
            out.unclear(&format!("broker {}", broker.id), format!("{LEAST} and {MOST} were not told"));
            continue;
        };
        let (low, high) = limits.unwrap_or((least, most));
        limits = Some((low.max(least), high.min(most)));
    }
    let Some(limits) = limits else { return };
    for client in clients {
        let protocol = client.setting("group.protocol").and_then(|protocol| protocol.value.as_deref());
        let session = client.effective(SESSION);
        let asks = client.setting(SESSION).is_some() || client.open;
        match session.number() {
            _ if protocol == Some("consumer") => out.judged(),
            // The defaults of all versions and libraries lie between Kafka's own limits.
            None if !asks && limits.0 <= 10_000 && limits.1 >= 45_000 => out.judged(),
            None => out.unclear(&client.subject(), format!("{SESSION}: {}", session.source())),
            Some(ms) => {
                out.judged();
                if ms < limits.0 || ms > limits.1 {
                    found(cx, out, client, ms, limits);
                }
            }
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, client: &Client, ms: i64, (least, most): (i64, i64)) {
    let session = client.effective(SESSION);
    let fitting = 45_000.clamp(least, most.max(least)).to_string();
    let what = format!(
        "it asks for {}, and the brokers allow {} to {}",
        duration(ms),
        duration(least),
        duration(most)
    );
    let finding = Finding::new(Severity::Error, client.subject(), what)
        .at(client.setting(SESSION).map_or(&client.place, |setting| &setting.place))
        .fact(SESSION, ms.to_string(), session.source())
        .fact(LEAST, least.to_string(), "configuration of the brokers")
        .fact(MOST, most.to_string(), "configuration of the brokers")
        .consequence("the coordinator refuses the member with INVALID_SESSION_TIMEOUT: it reads nothing")
        .fix(advice::set(client, "ask for what the brokers allow", &[(SESSION, &fitting)]))
        .next("how fast must another member take over when one dies?")
        .weighed(cx.weight_of_all(&client.topics));
    out.found(finding);
}
