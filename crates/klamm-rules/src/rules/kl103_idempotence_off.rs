//! A producer is not idempotent: a retry can write a record twice.
//!
//! ## What it does
//! Fires where idempotence is off: told so, by the library's default (librdkafka, aiokafka, KafkaJS, Sarama, kafka-python before 3.0, Java before 3.0
//! and in 3.0.0 and 3.1.0: KAFKA-13598), or silently, because `acks`, `retries` or the requests in flight do not allow an idempotence that nobody asked for.
//!
//! ## Why it hurts
//! When the answer to a write is lost the producer sends it again. An idempotent producer numbers its records, so that the broker knows the second copy;
//! without, the topic has the record twice.
//!
//! ## Example
//!     # Java 3.x: the default is on, and this turns it off without a word
//!     acks=1
//!
//! ## Use instead
//!     enable.idempotence=true
//!     acks=all
//!
//! ## Severity
//! Warning where the data is strong, otherwise info: no record is lost. kafka-go has no idempotent producer: info.
//!
//! ## References
//! - KIP-98, KIP-679, KAFKA-13598

use klamm_plan::Risk;

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::Library;
use crate::finding::{Finding, Fix, Severity};
use crate::producers::{Idempotence, durable_settings, idempotence, weighty};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (client, weight) in weighty(cx, out) {
        let (why, source) = match idempotence(client) {
            Idempotence::Unknown(why) => {
                out.unclear(&client.subject(), why);
                continue;
            }
            Idempotence::On => {
                out.judged();
                continue;
            }
            Idempotence::Off { why, source } => (why, source),
        };
        out.judged();
        let able = client.library != Library::KafkaGo;
        let severity = if able { weight.choose(Severity::Warning, Severity::Info) } else { Severity::Info };
        let fix = match able {
            true => advice::set(client, "make the producer idempotent", &durable_settings(client)),
            false => Fix::new("have readers drop what they have seen", Risk::Safe)
                .ask(
                    "kafka-go has no idempotent producer: give records an id, and let readers drop \
                    ids that they know",
                )
                .undo_by("remove the id"),
        };
        let place = client.setting("enable.idempotence").map_or(&client.place, |setting| &setting.place);
        let finding = Finding::new(severity, client.subject(), why.clone())
            .at(place)
            .fact("idempotence", "off", source)
            .consequence("a retry after a lost answer writes the record a second time")
            .fix(fix)
            .next("do its readers stand a record that comes twice?")
            .weighed(weight);
        out.found(finding);
    }
}
