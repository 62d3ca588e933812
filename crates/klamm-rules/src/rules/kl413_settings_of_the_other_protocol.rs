//! A consumer is given settings that its group protocol refuses.
//!
//! ## What it does
//! With `group.protocol=consumer` (KIP-848) the broker decides session, heartbeat and assignment: fires on `session.timeout.ms`, `heartbeat.interval.ms` and
//! `partition.assignment.strategy`. With the classic protocol it fires on `group.remote.assignor`, which
//! Java refuses. Java from 4.0 and librdkafka.
//!
//! ## Why it hurts
//! The client refuses its configuration: the consumer does not start. It happens when the protocol is switched and the rest of the file stays.
//!
//! ## Example
//!     group.protocol=consumer
//!     session.timeout.ms=45000
//!
//! ## Use instead
//!     group.protocol=consumer        # and group.consumer.session.timeout.ms on the brokers, or consumer.session.timeout.ms on the group
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-848; Apache Kafka, `ConsumerConfig.checkUnsupportedConfigsPostProcess`; tried with librdkafka 2.16

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::evidence::{Client, Library};
use crate::finding::{Finding, Severity};
use crate::text::listed;

const PROTOCOL: &str = "group.protocol";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in consumers(cx, out) {
        if !matches!(client.library, Library::Java | Library::Librdkafka) {
            continue;
        }
        let protocol = client.effective(PROTOCOL);
        let Some(value) = protocol.value() else {
            out.unclear(&client.subject(), format!("{PROTOCOL}: {}", protocol.source()));
            continue;
        };
        out.judged();
        let refused: &[&str] = match value.to_ascii_lowercase().as_str() {
            // Java's preview of the protocol, before 4.0, took the settings and left them unused.
            "consumer" if client.library == Library::Java && before_4(client) => &[],
            "consumer" => &["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"],
            _ if client.library == Library::Java => &["group.remote.assignor"],
            _ => &[],
        };
        let refused: Vec<&str> =
            refused.iter().copied().filter(|name| client.setting(name).is_some()).collect();
        if !refused.is_empty() {
            found(out, client, (value, protocol.source()), &refused);
        }
    }
}

fn before_4(client: &Client) -> bool {
    let major = client.version.as_deref().and_then(|version| version.split('.').next()?.parse::<u16>().ok());
    major.is_some_and(|major| major < 4)
}

fn found(out: &mut Out, client: &Client, (protocol, source): (&str, &str), refused: &[&str]) {
    let what = format!("{PROTOCOL} is {protocol}, which refuses {}", listed(refused, 3));
    let place =
        refused.first().and_then(|name| client.setting(name)).map_or(&client.place, |setting| &setting.place);
    let mut finding =
        Finding::new(Severity::Error, client.subject(), what).at(place).fact(PROTOCOL, protocol, source);
    for name in refused {
        let effective = client.effective(name);
        finding = finding.fact(*name, effective.value().unwrap_or("computed"), effective.source());
    }
    let finding = finding
        .consequence(format!("{} refuses the settings: the consumer does not start", client.library))
        .fix(advice::remove(client, "leave them to the brokers", refused))
        .next(
            "does the group need another session timeout? it is consumer.session.timeout.ms of the \
                group now",
        );
    out.found(finding);
}
