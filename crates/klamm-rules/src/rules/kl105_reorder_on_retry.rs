//! A retry can overtake: records of one partition change their order. Or the client refuses its settings.
//!
//! ## What it does
//! Fires where idempotence is off, retries are on, and more than one request may be in flight; and where idempotence is asked for together with more than 5
//! requests in flight, which Java, librdkafka and kafka-python refuse (Java 4 also when nobody asked). KafkaJS has no bound by default and sends one request for
//! each `send`: whether two run at once cannot be told.
//!
//! ## Why it hurts
//! When the first of two requests fails and is sent again, the second has been written before it. Whoever reads the partition sees an older state
//! of a key after the newer one. Idempotence keeps the order with up to 5 requests in flight: no need for `max.in.flight=1`.
//!
//! ## Example
//!     # librdkafka without settings: idempotence off, 1,000,000 requests in flight
//!     enable.idempotence=false
//!
//! ## Use instead
//!     enable.idempotence=true
//!
//! ## Severity
//! Error where the spec promises an order, or the client does not start; else warning. Nothing where the spec promises no order.
//!
//! ## References
//! - Apache Kafka, producer configuration `max.in.flight.requests.per.connection`; KIP-1030 for Java 4

use klamm_contract::Order;

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Library};
use crate::finding::{Finding, Severity, Weight};
use crate::producers::{Idempotence, durable_settings, idempotence, is_java_4, transactional, weighty};

const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (client, weight) in weighty(cx, out) {
        if refused(client) {
            out.judged();
            refuse(out, client, weight);
            continue;
        }
        let orders = orders(cx, client);
        if !orders.is_empty() && orders.iter().all(|order| *order == Order::None) {
            out.judged();
            continue;
        }
        match idempotence(client) {
            Idempotence::Unknown(why) => out.unclear(&client.subject(), why),
            Idempotence::On => out.judged(),
            Idempotence::Off { source, .. } => check_order(out, client, &source, (weight, &orders)),
        }
    }
}

fn check_order(out: &mut Out, client: &Client, source: &str, (weight, orders): (Weight, &[Order])) {
    let in_flight = client.effective(IN_FLIGHT);
    let retries = client.effective("retries");
    let (Some(most), Some(again)) = (in_flight.number(), retries.number()) else {
        let missing =
            if in_flight.number().is_none() { (IN_FLIGHT, &in_flight) } else { ("retries", &retries) };
        out.unclear(&client.subject(), format!("{}: {}", missing.0, missing.1.source()));
        return;
    };
    out.judged();
    if most <= 1 || again == 0 {
        return;
    }
    let promised = orders.iter().any(|order| *order != Order::None);
    let severity = if promised { Severity::Error } else { Severity::Warning };
    let fix = match client.library {
        Library::KafkaGo | Library::Aiokafka => {
            advice::set(client, "one request at a time", &[(IN_FLIGHT, "1")])
        }
        _ => advice::set(client, "make the producer idempotent", &durable_settings(client)),
    };
    let what = format!("idempotence is off, with retries and up to {most} requests in flight");
    let finding = Finding::new(severity, client.subject(), what)
        .at(client.setting(IN_FLIGHT).map_or(&client.place, |setting| &setting.place))
        .fact("idempotence", "off", source)
        .fact(IN_FLIGHT, most.to_string(), in_flight.source())
        .fact("retries", again.to_string(), retries.source())
        .consequence("a retry writes an older record after a newer one of the same key")
        .fix(fix)
        .next("do readers keep the newest by offset, or by a version in the record?")
        .weighed(weight);
    out.found(finding);
}

/// Does the client refuse to start?
fn refused(client: &Client) -> bool {
    let most = client.setting(IN_FLIGHT).and_then(|most| most.value.as_deref()?.parse::<i64>().ok());
    let asked = client.effective("enable.idempotence");
    let checks = matches!(client.library, Library::Java | Library::Librdkafka | Library::KafkaPython);
    let implicit = is_java_4(client) && !asked.is_set() && matches!(idempotence(client), Idempotence::On);
    checks
        && most.is_some_and(|most| most > 5)
        && ((asked.is_set() && asked.flag() == Some(true)) || transactional(client) || implicit)
}

fn refuse(out: &mut Out, client: &Client, weight: Weight) {
    let most = client.effective(IN_FLIGHT);
    let idempotence = client.effective("enable.idempotence");
    let what = format!("{} requests in flight with idempotence", most.value().unwrap_or_default());
    let finding = Finding::new(Severity::Error, client.subject(), what)
        .at(client.setting(IN_FLIGHT).map_or(&client.place, |setting| &setting.place))
        .fact(IN_FLIGHT, most.value().unwrap_or_default(), most.source())
        .fact("enable.idempotence", "true", idempotence.source())
        .consequence(format!("{} refuses the settings: the producer does not start", client.library))
        .fix(advice::set(client, "allow 5 requests in flight", &[(IN_FLIGHT, "5")]))
        .next("which version of the client runs in production?")
        .weighed(weight);
    out.found(finding);
}

fn orders(cx: &Cx<'_>, client: &Client) -> Vec<Order> {
    let promises = cx.evidence.spec.value();
    let of = |topic: &String| Some(promises?.topics.get(topic)?.order);
    let orders: Vec<Order> = client.topics.iter().filter_map(of).collect();
    if orders.len() == client.topics.len() || orders.iter().any(|order| *order != Order::None) {
        orders
    } else {
        Vec::new()
    }
}
