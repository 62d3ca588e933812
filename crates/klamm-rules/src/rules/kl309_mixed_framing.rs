//! Some values of a topic name a schema, others do not.
//!
//! ## What it does
//! Looks at samples (`data`) with at least 100 values: it fires when between 2% and 98% of them begin with a schema id (Confluent's framing), and ids repeat as those of schemas do.
//!
//! ## Why it hurts
//! Two producers write in two forms. A consumer with a schema-aware deserializer fails at the first value without an id (`Unknown magic byte!`), and stops there unless it skips; one without reads five bytes of
//! garbage before the values of the others.
//!
//! ## Severity
//! Error where the spec says that the data is strong, else warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix};
use crate::samples::{grade, percent, samples};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for sampled in samples(cx, out) {
        let sample = sampled.sample;
        let values = sample.records.saturating_sub(sample.tombstones);
        if values < 100 {
            continue;
        }
        out.judged();
        let framed: u64 = sample.schema_ids.values().sum();
        // Binary values that happen to begin with a zero byte have ids that hardly repeat.
        let repeat = sample.schema_ids.len() as u64 * 10 <= framed;
        if !repeat || framed * 50 < values || framed * 50 > values * 49 {
            continue;
        }
        let topic = sampled.topic();
        let weight = cx.weight(topic);
        let ids: Vec<u32> = sample.schema_ids.keys().copied().collect();
        let fix = Fix::new(
            format!("let every producer of {topic} write with its schema"),
            Risk::RestartsClients,
        )
        .ask(format!(
            "find the producer of {topic} that writes without the schema-aware serializer, and give it one"
        ))
        .undo_by("give that producer its former serializer again");
        let finding = Finding::new(
            grade(&weight),
            sampled.subject(),
            format!("{} of the values name a schema, the others do not", percent(framed, values)),
        )
        .fact("values with a schema id", framed.to_string(), format!("sample of {values} values"))
        .fact("schema ids", listed(&ids, 10), "sample")
        .consequence(format!(
            "no deserializer reads all records of {topic}: a consumer stops, or skips, at \
        each of the other form"
        ))
        .fix(fix)
        .next(format!("which producers write {topic}, and since when in two forms?"))
        .weighed(weight);
        out.found(finding);
    }
}
