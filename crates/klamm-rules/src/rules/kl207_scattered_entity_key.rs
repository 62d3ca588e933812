//! The key of data that needs order has a part that is another one for each record.
//!
//! ## What it does
//! Looks for a time, a random number or a new id inside keys: by the key's name in the spec, where code sends records, and in samples in which
//! nearly every record has a key of its own that is a time or a counter. Keys that are UUIDs may be ids of entities: they count only when a sample shows more than twice as many keys
//! as the spec says that there are.
//!
//! ## Why it hurts
//! Each record of an entity gets its own key and so any partition: they are read at the same time, in no order, and a compacted topic never compacts. It is spread
//! as advice against hot keys, and it is right only where no order matters.
//!
//! ## Example
//!     producer.send("orders", key=f"{order_id}-{time.time()}", value=event)
//!
//! ## Use instead
//!     producer.send("orders", key=order_id, value=event)
//!
//! ## Severity
//! With an order that the spec promises: error if the data is strong, warning if eventual. Info in code that sends to a topic of which no order is known.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::{KeyShape, SendSite};
use crate::finding::{Finding, Fix, Severity};
use crate::keys::scattered_part;
use crate::samples::{Sampled, grade, keeps_order, promise, samples, subject};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(spec) = out.see("spec", &cx.evidence.spec) {
        for (topic, promise) in spec.topics.iter().filter(|(_, promise)| keeps_order(Some(promise))) {
            let Some(key) = &promise.key else { continue };
            out.judged();
            if let Some(part) = scattered_part(key) {
                let found = finding(cx, grade(&cx.weight(topic)), topic, &subject(topic), &part);
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
        check_sample(cx, out, &sampled);
    }
}

fn check_send(cx: &Cx<'_>, out: &mut Out, send: &SendSite) {
    if send.key == KeyShape::Unknown {
        out.unclear(&format!("send at {}", send.place), "its key cannot be told");
        return;
    }
    out.judged();
    let KeyShape::Scattered(part) = &send.key else { return };
    let topic = send.topic.as_deref().unwrap_or_default();
    let promise = promise(cx, out, topic);
    let severity = match promise {
        Some(_) if !keeps_order(promise) => return,
        Some(_) => grade(&cx.weight(topic)),
        None => Severity::Info,
    };
    let written = send.key_text.clone().unwrap_or_else(|| part.clone());
    let fix = Fix::new("send with the entity's id alone as the key", Risk::MovesKeys)
        .code(
            &send.place,
            format!("leave {part} out of the key {written}; it can be a header or a field of the value"),
        )
        .undo_by(format!("take {written} as the key at {} again", send.place));
    let subject = format!("send in {} to {}", send.place.file, send.topic.as_deref().unwrap_or("a topic"));
    let found = finding(cx, severity, topic, &subject, part);
    out.found(found.fact("key", written, send.place.to_string()).at(&send.place).fix(fix));
}

fn check_sample(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>) {
    let keys = &sampled.sample.keys;
    let topic = sampled.topic();
    let promise = promise(cx, out, topic);
    if !keeps_order(promise) || keys.keyed < 100 {
        return;
    }
    out.judged();
    let Some(kind) = &keys.per_record_kind else { return };
    let each = keys.per_record * 100 >= keys.keyed * 90 && keys.seen * 100 >= keys.keyed * 95;
    let contradicts =
        promise.and_then(|promise| promise.distinct_keys).is_some_and(|wanted| keys.seen > wanted * 2);
    if !each || (kind == "uuid" && !contradicts) {
        return;
    }
    let found = finding(cx, grade(&cx.weight(topic)), topic, &sampled.subject(), kind)
        .fact("different keys", keys.seen.to_string(), format!("sample of {} records with keys", keys.keyed))
        .fact("what keys look like", kind, "sample");
    out.found(found.fix(fix(topic)));
}

fn finding(cx: &Cx<'_>, severity: Severity, topic: &str, subject: &str, part: &str) -> Finding {
    Finding::new(severity, subject, format!("the key has a part that is another one for each record: {part}"))
        .consequence("records of one entity go to all partitions and are read in no order")
        .next("which id do all records have that must keep their order?")
        .weighed(cx.weight(topic))
}

fn fix(topic: &str) -> Fix {
    Fix::new(format!("key {topic} by the entity's id alone"), Risk::MovesKeys)
        .ask(format!(
            "take the part out of the key in every producer of {topic} at once, and let the \
        groups read to the end first"
        ))
        .undo_by("write with the former key again")
}
