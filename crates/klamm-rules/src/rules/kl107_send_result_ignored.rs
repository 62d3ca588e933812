//! Code sends a record and nobody looks at what became of it.
//!
//! ## What it does
//! Fires where the result of a send is dropped: a future that nobody waits for and that has no callback, an error that is not read, a delivery callback that
//! does not look at its error. A result that is kept or handed to the caller is left alone. Topics whose records may be lost are, too.
//!
//! ## Why it hurts
//! A send only puts the record into a buffer. That the cluster refused it, or that the delivery timeout passed, is told to the future or the callback and to
//! nobody else: the record is lost without a trace, with `acks=all`, too.
//!
//! ## Example
//!     producer.send(new ProducerRecord<>("orders", id, order));
//!
//! ## Use instead
//!     producer.send(new ProducerRecord<>("orders", id, order), (metadata, error) -> {
//!         if (error != null) failed(order, error);
//!     });
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known about it.
//!
//! ## References
//! - Apache Kafka, `KafkaProducer.send`

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::{Library, ResultUse, Role, SendSite};
use crate::finding::{Finding, Fix, Weight};
use crate::producers::{Stake, by_weight, stake};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(code) = out.see("source code", &cx.evidence.code) else { return };
    for skipped in &code.skipped {
        out.unclear(&skipped.file, format!("it was not read: {}", skipped.why));
    }
    for unit in &code.units {
        for send in &unit.sends {
            let topics: Vec<String> = match &send.topic {
                Some(topic) => vec![topic.clone()],
                None => {
                    let writers = unit.clients.iter().filter(|client| client.role == Role::Producer);
                    writers.flat_map(|client| client.topics.clone()).collect()
                }
            };
            match stake(cx, &topics) {
                Stake::Accepted => out.judged(),
                Stake::Counts(weight) => check_send(out, send, weight),
            }
        }
    }
}

fn check_send(out: &mut Out, send: &SendSite, weight: Weight) {
    let subject = match send.function.as_str() {
        "" => format!("send in {}", send.place.file),
        function => format!("send in {function} of {}", send.place.file),
    };
    let what = match send.result {
        ResultUse::Unknown => {
            out.unclear(&subject, format!("what becomes of the result at {} cannot be told", send.place));
            return;
        }
        ResultUse::Handled | ResultUse::Passed => {
            out.judged();
            return;
        }
        ResultUse::Ignored => "nobody looks at the result of a send",
        ResultUse::CallbackIgnoresError => "the callback of a send does not look at its error",
    };
    out.judged();
    let to = send.topic.as_deref().map_or_else(String::new, |topic| format!(" to {topic}"));
    let finding = Finding::new(by_weight(&weight), subject, what)
        .at(&send.place)
        .fact("result of the send", what, send.place.to_string())
        .consequence(format!("a record{to} that the cluster refuses is lost, and nobody learns of it"))
        .fix(
            Fix::new("look at the result", Risk::RestartsClients)
                .code(&send.place, instead(send.library))
                .undo_by(format!("revert the change at {}", send.place)),
        )
        .next("what shall happen to a record that could not be sent: stop, keep it, or tell its origin?")
        .weighed(weight);
    // One function may send to several topics.
    let finding = match &send.topic {
        Some(topic) => finding.apart(topic),
        None => finding,
    };
    out.found(finding);
}

/// What to write, in the words of the library.
fn instead(library: Library) -> &'static str {
    match library {
        Library::Java => "give `send` a callback that acts on its exception, or call `get()` on the future",
        Library::Librdkafka => {
            "give the send a delivery callback that acts on its error (`on_delivery` in Python, the \
                delivery channel in Go, the future's result in Rust), and flush before the end"
        }
        Library::KafkaPython => "keep the future: `future.get(timeout=…)` or `future.add_errback(…)`",
        Library::Aiokafka => "`await producer.send_and_wait(…)`, or await the future that `send` returns",
        Library::Kafkajs => "`await producer.send({ … })` inside a `try`, or return its promise",
        Library::Sarama => "read the error of `SendMessage`, or drain `producer.Errors()` in a goroutine",
        Library::KafkaGo => "read the error of `WriteMessages`; with `Async: true` set `Completion`",
        Library::FranzGo => "give `Produce` a promise that acts on its error, or `ProduceSync(…).FirstErr()`",
        Library::Unknown => "wait for the result, or give a callback that acts on its error",
    }
}
