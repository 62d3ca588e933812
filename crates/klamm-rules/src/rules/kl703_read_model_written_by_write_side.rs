//! Code that handles commands and sends events also writes the store that readers look at.
//!
//! ## What it does
//! Looks for source files (`code`) in which handlers of commands write a store that others read, and which send records as well.
//!
//! ## Why it hurts
//! The event and the row are two writes with nothing around both. A crash between them leaves a row without an event, or an event without a row; building the store anew from the events gives another result than
//! what readers saw.
//!
//! ## Example
//!     orderRows.save(row); producer.send(new ProducerRecord<>("orders", id, event));
//!
//! ## Use instead
//!     send the event only; a consumer of the topic writes the row
//!
//! ## Severity
//! Error where the spec says that the data of the topic is strong, else warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::SourceUnit;
use crate::finding::{Finding, Fix};
use crate::samples::grade;
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(code) = out.see("source code", &cx.evidence.code) else { return };
    for unit in code.units.iter().filter(|unit| !unit.sends.is_empty()) {
        out.judged();
        if !unit.store_writes.is_empty() {
            found(cx, out, unit);
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, unit: &SourceUnit) {
    let (Some(write), Some(send)) = (unit.store_writes.first(), unit.sends.first()) else { return };
    let topics: Vec<String> = unit.sends.iter().filter_map(|send| send.topic.clone()).collect();
    out.see("spec", &cx.evidence.spec);
    let weight = cx.weight_of_all(&topics);
    let fix = Fix::new("let a consumer of the events write the store", Risk::RestartsClients)
        .code(
            &write.place,
            format!(
                "take {} out of the handler; write it where the events are consumed, \
        or write both through an outbox in one transaction",
                write.what
            ),
        )
        .undo_by(format!("put {} back at {}", write.what, write.place));
    let finding = Finding::new(
        grade(&weight),
        format!("source file {}", unit.file),
        "a handler writes both the store and the events",
    )
    .fact("writes the store", write.what.clone(), write.place.to_string())
    .fact(
        "sends events to",
        if topics.is_empty() { "a topic".to_owned() } else { listed(&topics, 3) },
        send.place.to_string(),
    )
    .consequence("a crash between both leaves the store and the events different, for good")
    .fix(fix)
    .next("can the store be deleted and built anew from the events, with the same result?")
    .at(&write.place)
    .weighed(weight);
    out.found(finding);
}
