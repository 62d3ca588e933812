//! The topic in which the registry keeps all schemas can lose them.
//!
//! ## What it does
//! Looks at `_schemas` (`live`): it must be compacted and nothing else, have one partition, and three copies.
//!
//! ## Why it hurts
//! The registry reads all schemas from this topic when it starts. With `delete` in its cleanup policy schemas are gone after the retention, and every record that names one of them can no longer be read. With more than one
//! partition the registry refuses to start or reads them in no order. With one copy a broken disk takes all schemas.
//!
//! ## Example
//!     cleanup.policy=delete
//!
//! ## Use instead
//!     cleanup.policy=compact
//!
//! ## Severity
//! Error; warning where there are two copies, or fewer than three brokers for more.

use klamm_plan::Risk;

use crate::amend::{configs, copies, set_topic};
use crate::check::{Cx, Out};
use crate::evidence::Topic;
use crate::finding::{Finding, Fix, Severity};
use crate::text::{source_of, value};

const NAME: &str = "_schemas";
const POLICY: &str = "cleanup.policy";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let Some(topic) = topics.get(NAME) else { return };
    out.judged();
    check_policy(cx, out, topic);
    let partitions = topic.partitions.len();
    if partitions > 1 {
        let fix = Fix::new("bring the schemas to a topic with one partition", Risk::CopiesData)
            .ask(
                "stop the registry, export its schemas, create a compacted topic with one partition, name \
            it in kafkastore.topic, and import them with their ids",
            )
            .undo_by("name the former topic in kafkastore.topic again: it was only read");
        out.found(
            found(cx, Severity::Error, &format!("it has {partitions} partitions"), fix)
                .fact("partitions", partitions.to_string(), "placement of the topic")
                .consequence("the registry cannot read its schemas in their order"),
        );
    }
    let copies = copies(topic);
    if (1..3).contains(&copies) {
        let severity = if copies == 1 { Severity::Error } else { Severity::Warning };
        let fix = Fix::new("give it three copies", Risk::CopiesData)
            .ask(format!(
                "place its partition on three brokers with kafka-reassign-partitions.sh \
            --bootstrap-server {} (--generate proposes, --execute moves)",
                cx.bootstrap()
            ))
            .undo_by("execute the placement that --execute printed as the current one");
        out.found(
            found(cx, severity, &format!("it has {copies} of 3 copies"), fix)
                .fact("copies", copies.to_string(), "placement of the topic")
                .consequence(format!(
                    "losing {copies} broker{} loses every schema, and with them the meaning of every record",
                    if copies == 1 { "" } else { "s" }
                )),
        );
    }
}

fn check_policy(cx: &Cx<'_>, out: &mut Out, topic: &Topic) {
    let Some(configs) = configs(out, NAME, topic) else { return };
    let Some(policy) = value(configs, POLICY) else {
        out.unclear("topic _schemas", format!("{POLICY} was not told"));
        return;
    };
    if policy.trim() == "compact" {
        return;
    }
    let fix =
        set_topic(cx, Fix::new("compact it, and nothing else", Risk::Safe), NAME, configs, POLICY, "compact");
    out.found(
        found(cx, Severity::Error, &format!("its cleanup.policy is {policy}"), fix)
            .fact(POLICY, policy, source_of(configs, POLICY))
            .consequence(
                "schemas are deleted after the retention, and records that name them can no longer be read",
            ),
    );
}

fn found(cx: &Cx<'_>, severity: Severity, what: &str, fix: Fix) -> Finding {
    Finding::new(severity, "topic _schemas", what)
        .fix(fix)
        .next("is there a backup of all schemas with their ids?")
        .weighed(cx.weight(NAME))
}
