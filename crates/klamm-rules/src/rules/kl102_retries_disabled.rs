//! A producer gives up before a failed broker is replaced.
//!
//! ## What it does
//! Fires on `retries=0`, told or by default (kafka-python before 2.2), and on a `delivery.timeout.ms` that somebody set below 9 s, the
//! `broker.session.timeout.ms` after which a controller takes a dead broker's leadership away.
//!
//! ## Why it hurts
//! Every change of a leader answers some requests with `NOT_LEADER_OR_FOLLOWER`. A producer that does not retry hands each of them to the application,
//! and one that gives up within a failover does the same for every record that was under way. In Java `retries=0` also turns idempotence off.
//!
//! ## Example
//!     retries=0
//!
//! ## Use instead
//!     # endless retries, bounded by time
//!     delivery.timeout.ms=120000
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known about it.
//!
//! ## References
//! - KIP-91: intuitive user timeouts in the producer
//! - Apache Kafka, broker configuration `broker.session.timeout.ms`

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Library};
use crate::finding::{Finding, Fix, Weight};
use crate::producers::{by_weight, enough_retries, weighty};
use crate::text::duration;

/// `broker.session.timeout.ms`: a dead broker is not noticed earlier.
const NOTICED_MS: i64 = 9_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (client, weight) in weighty(cx, out) {
        let retries = client.effective("retries");
        let Some(number) = retries.number() else {
            out.unclear(&client.subject(), format!("retries: {}", retries.source()));
            continue;
        };
        out.judged();
        // kafka-go takes 0 for its default of 10 attempts.
        if number == 0 && client.library != Library::KafkaGo {
            let fix = advice::set(client, "retry", &[("retries", enough_retries(client))]);
            found(out, client, &weight, ("retries", number.to_string(), retries.source()), fix);
        }
        let timeout = client.effective("delivery.timeout.ms");
        match timeout.number() {
            Some(ms) if timeout.is_set() && ms < NOTICED_MS => {
                let what = "outlast a failover";
                let fix = advice::set(client, what, &[("delivery.timeout.ms", "120000")]);
                found(out, client, &weight, ("delivery.timeout.ms", duration(ms), timeout.source()), fix);
            }
            None if client.setting("delivery.timeout.ms").is_some() => {
                out.unclear(&client.subject(), timeout.source());
            }
            _ => {}
        }
    }
}

fn found(out: &mut Out, client: &Client, weight: &Weight, fact: (&str, String, &str), fix: Fix) {
    let (name, value, source) = fact;
    let place = client.setting(name).map_or(&client.place, |setting| &setting.place);
    let finding = Finding::new(by_weight(weight), client.subject(), format!("{name} is {value}"))
        .at(place)
        .fact(name, value, source)
        .fact(
            "a dead broker is noticed after",
            duration(NOTICED_MS),
            "Kafka's default of broker.session.timeout.ms",
        )
        .consequence(
            "records that are under way when a leader changes fail in the application, and \
            are lost unless it keeps them",
        )
        .fix(fix)
        .next("what does the application do with a send that failed? klamm explain KL107")
        .weighed(weight.clone());
    out.found(finding);
}
