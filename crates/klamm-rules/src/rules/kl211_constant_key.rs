//! Code sends all records of a topic with one and the same key.
//!
//! ## What it does
//! Looks at places where code sends records with a constant as the key (`code`), unless the spec promises an order over all records of the topic.
//!
//! ## Why it hurts
//! All these records go to one partition: one broker and one consumer of a group take them all. On a compacted topic all but the newest are deleted.
//!
//! ## Example
//!     producer.send(new ProducerRecord<>("clicks", "key", event));
//!
//! ## Use instead
//!     producer.send(new ProducerRecord<>("clicks", event.sessionId(), event));
//!
//! ## Severity
//! Warning: on topics with one partition it does not matter, and it is left out.

use klamm_contract::Order;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::KeyShape;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::promise;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(code) = out.see("source code", &cx.evidence.code) else { return };
    for send in code.units.iter().flat_map(|unit| &unit.sends) {
        if send.key == KeyShape::Unknown {
            out.unclear(&format!("send at {}", send.place), "its key cannot be told");
            continue;
        }
        out.judged();
        let (KeyShape::Constant(key), Some(topic)) = (&send.key, &send.topic) else { continue };
        let live = cx.evidence.live.topics.value().and_then(|topics| topics.get(topic));
        let one = live.is_some_and(|topic| topic.partitions.len() == 1);
        if one || promise(cx, out, topic).is_some_and(|promise| promise.order == Order::Global) {
            continue;
        }
        let fix = Fix::new(
            "send with the id of the thing whose order matters, or without a \
        key",
            Risk::MovesKeys,
        )
        .code(
            &send.place,
            format!(
                "take an id from the record as the key instead of {key:?}; without \
            an order to keep leave the key out"
            ),
        )
        .undo_by(format!("take {key:?} as the key at {} again", send.place));
        let finding = Finding::new(
            Severity::Warning,
            format!("send in {} to {topic}", send.place.file),
            format!("every record has the key {key:?}"),
        )
        .fact("key", key, send.place.to_string())
        .consequence(format!(
            "all records that this code sends to {topic} go to one partition, whatever their number"
        ))
        .fix(fix)
        .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
        .at(&send.place)
        .weighed(cx.weight(topic));
        out.found(finding);
    }
}
