//! A member sends fewer than two heartbeats within its session timeout.
//!
//! ## What it does
//! Compares `heartbeat.interval.ms` with `session.timeout.ms` of each consumer of the classic protocol, where somebody set one of them.
//!
//! ## Why it hurts
//! With one heartbeat in a session a single late request ends the membership, and the group rebalances. With none at all the client refuses to start (Java, KafkaJS), or
//! the member is thrown out over and over.
//!
//! ## Example
//!     session.timeout.ms=6000
//!     heartbeat.interval.ms=5000
//!
//! ## Use instead
//!     session.timeout.ms=45000
//!     heartbeat.interval.ms=3000
//!
//! ## Severity
//! Error where the heartbeat is not below the session timeout, else warning.
//!
//! ## References
//! - Apache Kafka, consumer configuration `heartbeat.interval.ms`: no higher than a third of the session timeout

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::finding::{Finding, Severity};
use crate::text::duration;

const HEARTBEAT: &str = "heartbeat.interval.ms";
const SESSION: &str = "session.timeout.ms";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in consumers(cx, out) {
        let protocol = client.setting("group.protocol").and_then(|protocol| protocol.value.as_deref());
        let (heartbeat, session) = (client.effective(HEARTBEAT), client.effective(SESSION));
        let told = client.setting(HEARTBEAT).is_some() || client.setting(SESSION).is_some();
        if protocol == Some("consumer") || (!told && !client.open) {
            out.judged();
            continue;
        }
        let (Some(beat_ms), Some(session_ms)) = (heartbeat.number(), session.number()) else {
            let why = if heartbeat.number().is_none() { heartbeat.source() } else { session.source() };
            out.unclear(&client.subject(), why);
            continue;
        };
        out.judged();
        if beat_ms * 2 <= session_ms {
            continue;
        }
        let severity = if beat_ms >= session_ms { Severity::Error } else { Severity::Warning };
        let what =
            format!("a heartbeat every {}, and a session of {}", duration(beat_ms), duration(session_ms));
        let third = (session_ms / 3).max(1).to_string();
        let finding = Finding::new(severity, client.subject(), what)
            .at(client
                .setting(HEARTBEAT)
                .or(client.setting(SESSION))
                .map_or(&client.place, |setting| &setting.place))
            .fact(HEARTBEAT, beat_ms.to_string(), heartbeat.source())
            .fact(SESSION, session_ms.to_string(), session.source())
            .consequence("one late heartbeat ends the membership, and the whole group rebalances")
            .fix(advice::set(client, "three heartbeats in a session", &[(HEARTBEAT, &third)]))
            .next("does the group rebalance? klamm explain KL407")
            .weighed(cx.weight_of_all(&client.topics));
        out.found(finding);
    }
}
