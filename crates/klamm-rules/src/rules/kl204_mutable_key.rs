//! The key is an attribute that changes: an e-mail address, a name, a status.
//!
//! ## What it does
//! Looks at the key's name in the spec and where code sends records (`spec`, `code`) against a short list of attributes that change while their entity lives, and at keys in
//! a sample of which at least half hold such an attribute (`data`).
//!
//! ## Why it hurts
//! The key chooses the partition. After a customer's new e-mail address the customer's records go to another one: older and newer records of one customer are
//! read at the same time, in no order. In a compacted topic the state under the former key stays for ever.
//!
//! ## Example
//!     producer.send(new ProducerRecord<>("customers", customer.getEmail(), event));
//!
//! ## Use instead
//!     producer.send(new ProducerRecord<>("customers", customer.getId(), event));
//!
//! ## Severity
//! Error where the spec says that the data is strong and its order matters, else warning; info for a `name` or an `address` of which nobody
//! says whose it is.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::{KeyShape, SendSite};
use crate::finding::{Finding, Fix, Severity};
use crate::keys::mutable_attribute;
use crate::samples::{grade, keeps_order, percent, promise, samples, subject};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(spec) = out.see("spec", &cx.evidence.spec) {
        for (topic, promise) in &spec.topics {
            let Some(key) = &promise.key else { continue };
            out.judged();
            if let Some(attribute) = mutable_attribute(key) {
                let found = finding(cx, out, topic, &subject(topic), &attribute);
                out.found(
                    found
                        .fact("key", key, format!("spec, {}", promise.place))
                        .at(&promise.place)
                        .fix(fix(topic)),
                );
            }
        }
    }
    if let Some(code) = out.see("source code", &cx.evidence.code) {
        for send in code.units.iter().flat_map(|unit| &unit.sends) {
            check_send(cx, out, send);
        }
    }
    for sampled in samples(cx, out) {
        let keys = &sampled.sample.keys;
        if keys.keyed == 0 {
            continue;
        }
        out.judged();
        if keys.mutable * 2 >= keys.keyed {
            let topic = sampled.topic();
            let share = percent(keys.mutable, keys.keyed);
            let found = finding(cx, out, topic, &sampled.subject(), "e-mail address").fact(
                "keys that hold one",
                share,
                format!("sample of {} records with keys", keys.keyed),
            );
            out.found(found.fix(fix(topic)));
        }
    }
}

fn check_send(cx: &Cx<'_>, out: &mut Out, send: &SendSite) {
    if send.key == KeyShape::Unknown {
        out.unclear(&format!("send at {}", send.place), "its key cannot be told");
        return;
    }
    out.judged();
    let KeyShape::Attribute(name) = &send.key else { return };
    let Some(attribute) = mutable_attribute(name) else { return };
    let topic = send.topic.as_deref().unwrap_or_default();
    let subject = format!("send in {} to {}", send.place.file, send.topic.as_deref().unwrap_or("a topic"));
    let written = send.key_text.clone().unwrap_or_else(|| name.clone());
    let fix = Fix::new("send with the entity's id as the key", Risk::MovesKeys)
        .code(&send.place, format!("take the id that the entity keeps for life instead of {written}"))
        .undo_by(format!("take {written} as the key at {} again", send.place));
    let found = finding(cx, out, topic, &subject, &attribute);
    out.found(found.fact("key", written, send.place.to_string()).at(&send.place).fix(fix));
}

fn finding(cx: &Cx<'_>, out: &mut Out, topic: &str, subject: &str, attribute: &str) -> Finding {
    let weight = cx.weight(topic);
    let ordered = keeps_order(promise(cx, out, topic));
    // A sensor's name or a machine's address may well be for life.
    let doubtful = ["name", "address"].contains(&attribute);
    let severity = match () {
        () if ordered => grade(&weight),
        () if doubtful => Severity::Info,
        () => Severity::Warning,
    };
    Finding::new(severity, subject, format!("the key is an attribute that changes: {attribute}"))
        .consequence(format!(
            "when the {attribute} of an entity changes, its records go to another partition: older and \
             newer ones are read in no order"
        ))
        .next("which id does the entity keep for its whole life?")
        .weighed(weight)
}

fn fix(topic: &str) -> Fix {
    Fix::new(format!("key {topic} by the entity's id"), Risk::MovesKeys)
        .ask(format!(
            "write to a new topic with the entity's id as the key, copy {topic} into it, then move its \
             readers and producers"
        ))
        .undo_by(format!("let readers and producers go on with {topic}, which was only read"))
}
