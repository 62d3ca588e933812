//! A compacted topic holds records without a key.
//!
//! ## What it does
//! Joins the cleanup policy of topics (`live`) with records without a key in a sample (`data`).
//!
//! ## Why it hurts
//! A compacted topic refuses records without a key (`INVALID_RECORD`): a producer that still writes them loses every one. Those that were written before it was turned compacted are deleted by the
//! cleaner, since it keeps the newest record of each key and they have none.
//!
//! ## Example
//!     kafka-configs.sh --alter --topic events --add-config cleanup.policy=compact      # its records have no keys
//!
//! ## Use instead
//!     cleanup.policy=delete, until every producer writes a key
//!
//! ## Severity
//! Error where the data is strong, else warning.

use klamm_plan::Risk;

use crate::amend::{configs, set_topic_all};
use crate::check::{Cx, Out};
use crate::evidence::Configs;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{Sampled, samples};
use crate::text::{source_of, value};

const POLICY: &str = "cleanup.policy";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    for sampled in samples(cx, out) {
        let Some(topic) = topics.get(sampled.topic()) else { continue };
        let Some(configs) = configs(out, sampled.topic(), topic) else { continue };
        let Some(policy) = value(configs, POLICY) else {
            out.unclear(&sampled.subject(), format!("{POLICY} was not told"));
            continue;
        };
        if !policy.contains("compact") {
            continue;
        }
        out.judged();
        if sampled.sample.keys.unkeyed > 0 {
            found(cx, out, &sampled, configs, policy);
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>, configs: &Configs, policy: &str) {
    let topic = sampled.topic();
    let keys = &sampled.sample.keys;
    let weight = cx.weight(topic);
    // Without compaction records are deleted by time: nothing may be lost before somebody says how long they are needed.
    let fix = Fix::new(format!("stop compacting {topic} until its records have keys"), Risk::Safe);
    let fix = set_topic_all(cx, fix, topic, configs, &[("retention.ms", "-1"), (POLICY, "delete")]).ask(
        "give every record a key in its producers, or leave the topic uncompacted and set the \
        retention that it needs",
    );
    let finding = Finding::new(
        weight.choose(Severity::Error, Severity::Warning),
        sampled.subject(),
        format!(
            "{} of {} records have no key, and the topic is compacted",
            keys.unkeyed,
            keys.keyed + keys.unkeyed
        ),
    )
    .fact(POLICY, policy, source_of(configs, POLICY))
    .fact(
        "records without a key",
        keys.unkeyed.to_string(),
        format!("sample of {} records", sampled.sample.records),
    )
    .consequence(format!(
        "the cleaner deletes those records, and {topic} refuses new ones without a key (INVALID_RECORD)"
    ))
    .fix(fix)
    .next(format!("who writes {topic} without a key, and do its producers see the refusals?"))
    .weighed(weight);
    out.found(finding);
}
