//! A share group reads a topic whose order the spec promises.
//!
//! ## What it does
//! Joins share groups (KIP-932, `group`) and what their members read with topics that keep an order by the spec.
//!
//! ## Why it hurts
//! Members of a share group get records of one partition at the same time, and a record that is released comes back after later ones: records of a key are worked on side by side and in any order.
//!
//! ## Severity
//! Error where the data is strong, warning where it is eventual.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::GroupKind;
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::unclear_if_missing;
use crate::samples::keeps_order;
use crate::streams::read_by;
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return };
    for group in groups.iter().filter(|group| group.kind == GroupKind::Share) {
        unclear_if_missing(out, group);
        let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
        let reads = read_by(group);
        if reads.is_empty() {
            continue;
        }
        out.judged();
        let ordered: Vec<String> =
            reads.into_iter().filter(|topic| keeps_order(spec.topics.get(topic))).collect();
        if ordered.is_empty() {
            continue;
        }
        let weight = cx.weight_of_all(&ordered);
        let names = listed(&ordered, 3);
        let fix = Fix::new(format!("read {names} with a consumer group"), Risk::RestartsClients)
            .ask(
                "let the application read with KafkaConsumer (group.protocol=consumer) in a new group \
            instead of KafkaShareConsumer; for more parallel work than partitions keep the order within \
            each key, as klamm's consumer loop does",
            )
            .undo_by(format!("read with the share group {} again: it keeps its place", group.name));
        let finding = Finding::new(
            weight.choose(Severity::Error, Severity::Warning),
            format!("group {}", group.name),
            format!("a share group reads {names}, whose order is promised"),
        )
        .fact("protocol", "share", "group")
        .fact("topics with a promised order", names.clone(), "spec")
        .consequence(format!("records of one key of {names} are worked on at the same time and in any order"))
        .fix(fix)
        .next("does the work on a record depend on the records of its key before it?")
        .weighed(weight);
        out.found(finding);
    }
}
