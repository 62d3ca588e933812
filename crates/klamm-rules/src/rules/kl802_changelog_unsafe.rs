//! The changelog of a Kafka Streams application can lose state.
//!
//! ## What it does
//! Looks at topics `<application.id>-…-changelog` of known applications (`live`): they must be compacted (window stores: compacted and deleted by time), and have three copies where there are three brokers. Changelogs of stream-stream
//! joins are only deleted by time, as Streams makes them, and are left out. An application that runs, keeps state by the spec and has no changelog counts, too.
//!
//! ## Why it hurts
//! The changelog is the only other place where the state is. What is deleted from it by time, or lost with its only copy, is missing when an instance restores: counts are too low, tables have holes, and nothing
//! says so.
//!
//! ## Example
//!     shop-totals-changelog: cleanup.policy=delete
//!
//! ## Use instead
//!     shop-totals-changelog: cleanup.policy=compact, 3 copies
//!
//! ## Severity
//! Error where state is deleted or has one copy, warning with two copies. A missing changelog is info: with `topology.optimization` tables are
//! restored from the topics that they read.

use std::collections::BTreeMap;

use klamm_contract::facts::ConfigSource;
use klamm_plan::Risk;

use crate::amend::{configs, copies, set_topic};
use crate::check::{Cx, Out};
use crate::evidence::Topic;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::subject;
use crate::streams::{App, apps, internal};
use crate::text::{source_of, value};

const POLICY: &str = "cleanup.policy";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let apps = apps(cx, out);
    for (id, app) in &apps {
        let changelogs = internal(topics, &apps, id, "-changelog");
        for (name, topic) in &changelogs {
            out.judged();
            check_policy(cx, out, id, name, topic);
            check_copies(cx, out, id, name, topic);
        }
        check_missing(cx, out, (id, app), topics, changelogs.is_empty());
    }
}

fn check_policy(cx: &Cx<'_>, out: &mut Out, id: &str, name: &str, topic: &Topic) {
    let Some(configs) = configs(out, name, topic) else { return };
    let Some(policy) = value(configs, POLICY) else {
        out.unclear(&subject(name), format!("{POLICY} was not told"));
        return;
    };
    if policy.contains("compact") || of_join(name) {
        return;
    }
    // Streams gives changelogs of window stores a retention of their own, and deletes by it besides compacting.
    let windows = configs.get("retention.ms").is_some_and(|fact| fact.source == ConfigSource::Topic);
    let wanted = if windows { "compact,delete" } else { "compact" };
    let fix = Fix::new(format!("compact {name}"), Risk::Safe);
    let finding = Finding::new(
        Severity::Error,
        subject(name),
        format!("it holds state of {id} and is not compacted"),
    )
    .fact(POLICY, policy, source_of(configs, POLICY))
    .fact(
        "retention.ms",
        value(configs, "retention.ms").unwrap_or("not told"),
        source_of(configs, "retention.ms"),
    )
    .consequence(format!(
        "keys of {id} that did not change for that long are missing after a restore, without an error"
    ))
    .fix(set_topic(cx, fix, name, configs, POLICY, wanted))
    .next(format!(
        "which keys of {id} were deleted already? Its state on disk still has them until it is restored"
    ))
    .weighed(cx.weight(name));
    out.found(finding);
}

fn check_copies(cx: &Cx<'_>, out: &mut Out, id: &str, name: &str, topic: &Topic) {
    let copies = copies(topic);
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    if copies == 0 || copies >= 3.min(brokers.len()) {
        return;
    }
    let severity = if copies == 1 { Severity::Error } else { Severity::Warning };
    let fix = Fix::new(format!("give {name} three copies"), Risk::CopiesData)
        .ask(format!(
            "place its partitions on three brokers each with kafka-reassign-partitions.sh \
             --bootstrap-server {} (--generate proposes, --execute moves), and set replication.factor=3 in \
             {id}",
            cx.bootstrap()
        ))
        .undo_by("execute the placement that --execute printed as the current one");
    let finding =
        Finding::new(severity, subject(name), format!("it holds state of {id} in {copies} of 3 copies"))
            .fact("copies", copies.to_string(), "placement of the topic")
            .fact("brokers", brokers.len().to_string(), "brokers that are alive")
            .consequence(if copies == 1 {
                format!("while the one broker is down {id} stands still, and with its disk the state is gone")
            } else {
                format!("with one of the two brokers down, losing the other takes state of {id}")
            })
            .fix(fix)
            .next("klamm explain KL851")
            .weighed(cx.weight(name));
    out.found(finding);
}

fn check_missing(
    cx: &Cx<'_>,
    out: &mut Out,
    (id, app): (&str, &App<'_>),
    topics: &BTreeMap<String, Topic>,
    none: bool,
) {
    let runs = app.group.is_some_and(|group| !group.members.is_empty());
    let Some(promise) = app.promise.filter(|promise| promise.state_bytes.is_some() && none && runs) else {
        return;
    };
    out.judged();
    let finding = Finding::new(
        Severity::Info,
        crate::streams::subject(id),
        "it keeps state and has no \
    changelog",
    )
    .fact(
        "state",
        format!("{} bytes", promise.state_bytes.unwrap_or(0)),
        format!(
            "spec, \
        {}",
            promise.place
        ),
    )
    .fact("changelogs", format!("none among {} topics", topics.len()), "topics of the cluster")
    .consequence(
        "a lost disk loses the state: it can only be computed again from the topics that it \
        reads, as far as they still have their records",
    )
    .fix(
        Fix::new(format!("let the stores of {id} log their changes"), Risk::RestartsClients)
            .ask("take withLoggingDisabled() off its stores, or say in the spec that it keeps no state")
            .undo_by("disable logging again"),
    )
    .next(format!("klamm import --bootstrap {}", cx.bootstrap()));
    out.found(finding);
}

/// Streams keeps duplicates for the windows of a stream-stream join, and makes their changelogs without compaction.
fn of_join(name: &str) -> bool {
    [
        "JOINTHIS",
        "JOINOTHER",
        "OUTERTHIS",
        "OUTEROTHER",
        "OUTERSHARED",
        "-this-join",
        "-other-join",
        "-shared-join",
    ]
    .iter()
    .any(|part| name.contains(part))
}
