//! `delivery.timeout.ms` is shorter than one attempt: `linger.ms` and `request.timeout.ms` together.
//!
//! ## What it does
//! Compares the three of each Java producer whose `delivery.timeout.ms` somebody set (a default is raised silently), and of each kafka-python producer since
//! 2.2 that was told one of the three.
//!
//! ## Why it hurts
//! The producer refuses to start: `delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms`. It is found when the
//! application is deployed.
//!
//! ## Example
//!     delivery.timeout.ms=20000
//!     request.timeout.ms=30000
//!
//! ## Use instead
//!     delivery.timeout.ms=120000
//!
//! ## Severity
//! Error: it does not start.
//!
//! ## References
//! - KIP-91; `KafkaProducer.configureDeliveryTimeout`; kafka-python, `RecordAccumulator`

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Library};
use crate::finding::{Finding, Severity};
use crate::producers::producers;

const DELIVERY: &str = "delivery.timeout.ms";
const REQUEST: &str = "request.timeout.ms";
const LINGER: &str = "linger.ms";
/// The longest default of any version.
const LONGEST_LINGER_MS: i64 = 5;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in producers(cx, out) {
        // Java raises a default that is too short; kafka-python does not.
        let names: &[&str] = match client.library {
            Library::Java => &[DELIVERY],
            Library::KafkaPython => &[DELIVERY, REQUEST, LINGER],
            _ => continue,
        };
        let told = names.iter().any(|name| client.setting(name).is_some());
        // kafka-python before 2.2 has no such timeout.
        let none = client.effective(DELIVERY).value() == Some("");
        match (told || client.open) && !none {
            true => check_client(cx, out, client),
            false => out.judged(),
        }
    }
}

fn check_client(cx: &Cx<'_>, out: &mut Out, client: &Client) {
    let delivery = client.effective(DELIVERY);
    let (linger, request) = (client.effective(LINGER), client.effective(REQUEST));
    let (Some(limit), Some(request_ms)) = (delivery.number(), request.number()) else {
        let why = if delivery.number().is_none() { delivery.source() } else { request.source() };
        out.unclear(&client.subject(), why);
        return;
    };
    // Where the linger is not known its lowest and its highest default must agree.
    let told = client.settings.contains_key(LINGER) || client.open;
    let least = linger.number().unwrap_or(0);
    let most = linger.number().unwrap_or(LONGEST_LINGER_MS);
    let short = limit < least + request_ms;
    if linger.number().is_none() && (told || short != (limit < most + request_ms)) {
        out.unclear(&client.subject(), linger.source());
        return;
    }
    out.judged();
    if !short {
        return;
    }
    let what = format!("{DELIVERY} is {limit}, below {LINGER} + {REQUEST} = {}", least + request_ms);
    let fix =
        advice::set(client, "leave time for retries", &[(DELIVERY, &(4 * request_ms + most).to_string())]);
    let weight = cx.weight_of_all(&client.topics);
    let finding = Finding::new(Severity::Error, client.subject(), what)
        .at(client.setting(DELIVERY).map_or(&client.place, |setting| &setting.place))
        .fact(DELIVERY, limit.to_string(), delivery.source())
        .fact(REQUEST, request_ms.to_string(), request.source())
        .fact(LINGER, least.to_string(), linger.source())
        .consequence("the producer refuses its configuration and does not start")
        .fix(fix)
        .next("how long may a record take before its sender must know? that is delivery.timeout.ms")
        .weighed(weight);
    out.found(finding);
}
