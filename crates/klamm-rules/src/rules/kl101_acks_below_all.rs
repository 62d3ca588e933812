//! A producer does not wait for all in-sync replicas.
//!
//! ## What it does
//! Takes `acks` of each producer from files and code, or its library's default in its version: 1 in Java before 3.0, in kafka-python before 3.0, in
//! aiokafka and in Sarama. Producers whose topics may lose records, by the spec or by their names, are left alone.
//!
//! ## Why it hurts
//! With `acks=1` the leader answers before any follower has the record. If the leader dies in that moment the record is gone, and the producer was
//! told that it is safe. With `acks=0` nobody answers at all. `min.insync.replicas` guards only writes with `acks=all`.
//!
//! ## Example
//!     acks=1
//!
//! ## Use instead
//!     acks=all
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known about it.
//!
//! ## References
//! - Apache Kafka, producer configuration `acks`; KIP-679

use crate::advice;
use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::finding::Finding;
use crate::producers::{acks, by_weight, waits_for_all, weighty};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (client, weight) in weighty(cx, out) {
        let acks = acks(client);
        let Some(value) = acks.value() else {
            out.unclear(&client.subject(), acks.source());
            continue;
        };
        out.judged();
        if waits_for_all(value) {
            continue;
        }
        let place = match &acks {
            Effective::Set { .. } => client.setting("acks").map_or(&client.place, |setting| &setting.place),
            _ => &client.place,
        };
        let consequence = match value.trim() {
            "0" => "a record that never reaches a broker is lost, and nobody learns of it",
            _ => "a record that was acknowledged is lost when the leader dies before a follower has it",
        };
        let finding = Finding::new(by_weight(&weight), client.subject(), format!("acks is {value}"))
            .at(place)
            .fact("acks", value, acks.source())
            .consequence(consequence)
            .fix(advice::set(client, "wait for all in-sync replicas", &[("acks", "all")]))
            .next("is min.insync.replicas of its topics above 1? klamm explain KL104")
            .weighed(weight);
        out.found(finding);
    }
}
