//! A repartition topic of a Kafka Streams application loses records before they are read.
//!
//! ## What it does
//! Looks at topics `<application.id>-…-repartition` of known applications (`live`): Streams makes them with `cleanup.policy=delete` and `retention.ms=-1`, and deletes what it has read by itself. It fires where they are compacted, or keep records only for
//! a time or up to a size.
//!
//! ## Why it hurts
//! Between two parts of the application records are only there. Compaction keeps one record of each key, so that the others are never counted; a retention deletes what a stopped or slow application has not read
//! yet. There is no second copy to read again.
//!
//! ## Severity
//! Error: records are lost.

use klamm_plan::Risk;

use crate::amend::{configs, set_topic_all};
use crate::check::{Cx, Out};
use crate::evidence::Topic;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::subject;
use crate::streams::{apps, internal};
use crate::text::{duration, number, source_of, value};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let apps = apps(cx, out);
    for id in apps.keys() {
        for (name, topic) in internal(topics, &apps, id, "-repartition") {
            check_topic(cx, out, id, name, topic);
        }
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, id: &str, name: &str, topic: &Topic) {
    let Some(configs) = configs(out, name, topic) else { return };
    let (Some(policy), Some(ms), Some(bytes)) = (
        value(configs, "cleanup.policy"),
        number(configs, "retention.ms"),
        number(configs, "retention.bytes"),
    ) else {
        out.unclear(&subject(name), "its cleanup policy and retention were not told");
        return;
    };
    out.judged();
    let wrong = [
        (policy.contains("compact"), "cleanup.policy", "delete", format!("is compacted ({policy})")),
        (ms >= 0, "retention.ms", "-1", format!("keeps records for {}", duration(ms))),
        (bytes >= 0, "retention.bytes", "-1", format!("keeps {bytes} bytes a partition")),
    ];
    let wrong: Vec<_> = wrong.into_iter().filter(|(is, ..)| *is).collect();
    let Some((.., first)) = wrong.first() else { return };
    // Limits go before the policy, so that `delete` finds none.
    let settings: Vec<(&str, &str)> = wrong.iter().rev().map(|(_, name, to, _)| (*name, *to)).collect();
    let fix = Fix::new(format!("give {name} what Streams makes it with"), Risk::Safe);
    let mut finding =
        Finding::new(Severity::Error, subject(name), format!("it carries records of {id} and {first}"))
            .consequence(format!(
                "records between two parts of {id} are deleted before they are read, and are nowhere else"
            ))
            .fix(set_topic_all(cx, fix, name, configs, &settings))
            .next(format!(
                "kafka-consumer-groups.sh --bootstrap-server {} --describe --group {id}",
                cx.bootstrap()
            ))
            .weighed(cx.weight(name));
    for (_, setting, ..) in &wrong {
        finding =
            finding.fact(*setting, value(configs, setting).unwrap_or_default(), source_of(configs, setting));
    }
    out.found(finding);
}
