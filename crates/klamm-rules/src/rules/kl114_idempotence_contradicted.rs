//! A producer is asked for idempotence or transactions, and told something that rules them out.
//!
//! ## What it does
//! Fires where `enable.idempotence=true` or a `transactional.id` stands beside `acks` other than all or `retries=0`, and where a `transactional.id` stands beside
//! `enable.idempotence=false`. Java, librdkafka, kafka-python and Sarama refuse each of them. Sarama fills nothing in: it refuses its own default of
//! `RequiredAcks` and of `MaxOpenRequests`, too. For the others too many requests in flight are KL105's.
//!
//! ## Why it hurts
//! The producer does not start. It is found when the application is deployed.
//!
//! ## Example
//!     enable.idempotence=true
//!     acks=1
//!
//! ## Use instead
//!     enable.idempotence=true
//!     acks=all
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - Apache Kafka, `ProducerConfig.postProcessAndValidateIdempotenceConfigs`; Sarama, `Config.Validate`; tried with librdkafka 2.16

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Library};
use crate::finding::{Finding, Severity};
use crate::producers::{producers, transactional, waits_for_all};

const IDEMPOTENCE: &str = "enable.idempotence";
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in producers(cx, out) {
        if !refuses(client.library) {
            continue;
        }
        let told = client.setting(IDEMPOTENCE).map(|_| client.effective(IDEMPOTENCE));
        let asked = told.as_ref().is_some_and(|told| told.flag() == Some(true));
        if !asked && !transactional(client) {
            match told.filter(|told| told.flag().is_none()) {
                Some(computed) => out.unclear(&client.subject(), computed.source()),
                None => out.judged(),
            }
            continue;
        }
        match contradiction(client) {
            Err(why) => out.unclear(&client.subject(), why),
            Ok(None) => out.judged(),
            Ok(Some((name, to))) => {
                out.judged();
                found(cx, out, client, (name, to));
            }
        }
    }
}

fn refuses(library: Library) -> bool {
    matches!(library, Library::Java | Library::Librdkafka | Library::KafkaPython | Library::Sarama)
}

const CHECKED: &[(&str, &str)] = &[("acks", "all"), ("retries", "2147483647"), (IDEMPOTENCE, "true")];
/// Sarama fills nothing in: its own defaults contradict, and it wants one request in flight.
const CHECKED_BY_SARAMA: &[(&str, &str)] =
    &[("acks", "all"), ("retries", "10"), (IN_FLIGHT, "1"), (IDEMPOTENCE, "true")];

/// The setting that rules idempotence out, and what it must be.
fn contradiction(client: &Client) -> Result<Option<(&'static str, &'static str)>, String> {
    let sarama = client.library == Library::Sarama;
    for (name, to) in if sarama { CHECKED_BY_SARAMA } else { CHECKED } {
        if client.setting(name).is_none() && !sarama {
            continue;
        }
        let effective = client.effective(name);
        let Some(value) = effective.value() else { return Err(effective.source().to_owned()) };
        let fits = match *name {
            "acks" => waits_for_all(value),
            "retries" => effective.number() != Some(0),
            IN_FLIGHT => effective.number() == Some(1),
            _ => effective.flag() != Some(false),
        };
        if !fits {
            return Ok(Some((name, to)));
        }
    }
    Ok(None)
}

fn found(cx: &Cx<'_>, out: &mut Out, client: &Client, (name, to): (&str, &str)) {
    let effective = client.effective(name);
    let value = effective.value().unwrap_or_default();
    let asks = if transactional(client) { "transactional.id" } else { IDEMPOTENCE };
    let asked = client.setting(asks).map_or_else(String::new, |setting| setting.place.to_string());
    let finding =
        Finding::new(Severity::Error, client.subject(), format!("{asks} does not go with {name}={value}"))
            .at(client.setting(name).map_or(&client.place, |setting| &setting.place))
            .fact(asks, "set", asked)
            .fact(name, value, effective.source())
            .consequence(format!("{} refuses the settings: the producer does not start", client.library))
            .fix(advice::set(client, "let the settings agree", &[(name, to)]))
            .next("may an acknowledged record be lost? if so, drop idempotence instead")
            .weighed(cx.weight_of_all(&client.topics));
    out.found(finding);
}
