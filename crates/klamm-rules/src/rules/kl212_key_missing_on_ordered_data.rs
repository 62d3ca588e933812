//! Records of a topic that keeps an order per key have no key.
//!
//! ## What it does
//! Takes the topics that the spec promises an order per key for, and looks for records without a key: in a sample (`data`), and where code sends them (`code`).
//!
//! ## Why it hurts
//! A record without a key goes to any partition: it has no order to any other record, and no read model, table or join can tell what it is about.
//!
//! ## Example
//!     producer.send("orders", value=event)      # orders: order per key
//!
//! ## Use instead
//!     producer.send("orders", key=order_id, value=event)
//!
//! ## Severity
//! Error where the data is strong, warning where it is eventual.

use klamm_contract::Order;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::KeyShape;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{percent, samples, subject};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let promised = |topic: &str| spec.topics.get(topic).filter(|promise| promise.order == Order::PerKey);
    if let Some(code) = out.see("source code", &cx.evidence.code) {
        for send in code.units.iter().flat_map(|unit| &unit.sends) {
            let Some(topic) = send.topic.as_deref().filter(|topic| promised(topic).is_some()) else {
                continue;
            };
            if send.key == KeyShape::Unknown {
                out.unclear(&format!("send at {}", send.place), "its key cannot be told");
                continue;
            }
            out.judged();
            if send.key != KeyShape::Missing {
                continue;
            }
            let key = promised(topic)
                .and_then(|promise| promise.key.clone())
                .unwrap_or_else(|| "the key".to_owned());
            let fix = Fix::new(format!("send to {topic} with {key} as the key"), Risk::MovesKeys)
                .code(&send.place, format!("give the record its key: {key}"))
                .undo_by(format!("leave the key out at {} again", send.place));
            let found =
                finding(cx, topic, &format!("send in {} to {topic}", send.place.file), "sends without a key")
                    .fact("key", "none", send.place.to_string());
            out.found(found.at(&send.place).fix(fix));
        }
    }
    for sampled in samples(cx, out) {
        let topic = sampled.topic();
        let keys = &sampled.sample.keys;
        if promised(topic).is_none() || keys.keyed + keys.unkeyed == 0 {
            continue;
        }
        out.judged();
        if keys.unkeyed == 0 {
            continue;
        }
        let share = percent(keys.unkeyed, keys.keyed + keys.unkeyed);
        let fix = Fix::new(format!("give every record of {topic} its key"), Risk::MovesKeys)
            .ask(format!(
                "find the producer of {topic} that writes without a key, and let it take the entity's id"
            ))
            .undo_by("write without a key again");
        let found = finding(cx, topic, &subject(topic), &format!("{share} of the records have no key")).fact(
            "records without a key",
            keys.unkeyed.to_string(),
            format!("sample of {} records", sampled.sample.records),
        );
        out.found(found.fix(fix));
    }
}

fn finding(cx: &Cx<'_>, topic: &str, subject: &str, what: &str) -> Finding {
    let weight = cx.weight(topic);
    Finding::new(
        weight.choose(Severity::Error, Severity::Warning),
        subject,
        format!("{what}, and the spec promises an order per key"),
    )
    .fact("order", "per key", "spec")
    .consequence(format!(
        "records without a key go to any partition of {topic}: they have no order to any other"
    ))
    .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
    .weighed(weight)
}
