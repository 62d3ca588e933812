//! Records are deleted before a group reads them, or soon will be.
//!
//! ## What it does
//! Fires where a group's committed offset lies before the log start: the records in between are gone; and where the oldest unread record is deleted within a tenth of
//! the topic's retention, or, where that is not known, within 6 hours. A topic that keeps its records is left alone.
//!
//! ## Why it hurts
//! Retention does not wait for readers. A group that comes too late gets an offset out of range, and goes on where `auto.offset.reset` says.
//!
//! ## Example
//!     retention.ms=86400000, the group is 23 hours behind
//!
//! ## Use instead
//!     retention.ms=604800000   # until the group has caught up
//!
//! ## Severity
//! Error where the data is strong and the group runs, else warning.
//!
//! ## References
//! - Apache Kafka, topic configuration `retention.ms`

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::reading_groups;
use crate::evidence::{Configs, Group, GroupOffset};
use crate::finding::{Finding, Fix, Severity};
use crate::producers::by_weight;
use crate::text::{duration, number, source_of, value};

const RETENTION: &str = "retention.ms";
const SOON_MS: i64 = 6 * 3_600_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for group in reading_groups(cx, out) {
        let mut topics: Vec<&str> = group.offsets.iter().map(|offset| offset.topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let offsets =
                group.offsets.iter().filter(|offset| offset.topic == topic && offset.committed >= 0);
            check_topic(cx, out, group, topic, &offsets.collect::<Vec<_>>());
        }
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, group: &Group, topic: &str, offsets: &[&GroupOffset]) {
    let subject = format!("group {} on topic {topic}", group.name);
    let seen = cx.evidence.live.topics.value().and_then(|topics| topics.get(topic));
    let configs = seen.and_then(|topic| topic.configs.value());
    let gone = |offset: &&&GroupOffset| offset.start.is_some_and(|start| start > offset.committed);
    if let Some(lost) = offsets.iter().find(gone) {
        out.judged();
        let start = lost.start.unwrap_or(lost.committed);
        let what =
            format!("{} records of partition {} were deleted unread", start - lost.committed, lost.partition);
        let fact = ("log start", start.to_string(), "offsets of the partition");
        return found(cx, out, (&subject, group, topic, configs), &what, (lost, fact));
    }
    if offsets.iter().all(|offset| offset.lag() == Some(0)) || configs.is_some_and(keeps) {
        return out.judged();
    }
    let behind: Vec<&GroupOffset> =
        offsets.iter().copied().filter(|offset| offset.lag() != Some(0)).collect();
    let left: Option<Vec<(i64, &GroupOffset)>> =
        behind.iter().map(|offset| Some((offset.oldest_unread_ms?, *offset))).collect();
    let Some((left_ms, offset)) = left.and_then(|left| left.into_iter().min_by_key(|(left, _)| *left)) else {
        return out.unclear(&subject, "when its oldest unread record is deleted was not told");
    };
    out.judged();
    let retention = configs.and_then(|configs| number(configs, RETENTION)).filter(|ms| *ms > 0);
    if left_ms < retention.map_or(SOON_MS, |ms| ms / 10) {
        let what = format!("its oldest unread record is deleted in {}", duration(left_ms.max(0)));
        let fact = ("time left", duration(left_ms.max(0)), "time stamps of the records");
        found(cx, out, (&subject, group, topic, configs), &what, (offset, fact));
    }
}

/// Nothing is deleted by age or size.
fn keeps(configs: &Configs) -> bool {
    let compacts = value(configs, "cleanup.policy") == Some("compact");
    compacts || (number(configs, RETENTION) == Some(-1) && number(configs, "retention.bytes") == Some(-1))
}

fn found(
    cx: &Cx<'_>,
    out: &mut Out,
    (subject, group, topic, configs): (&str, &Group, &str, Option<&Configs>),
    what: &str,
    (offset, fact): (&GroupOffset, (&str, String, &str)),
) {
    let weight = cx.weight(topic);
    let retention = configs.and_then(|configs| number(configs, RETENTION));
    let longer = retention.filter(|ms| *ms > 0).map_or(604_800_000, |ms| ms.saturating_mul(2));
    let back = match retention {
        Some(ms) => cx.set_topic(topic, RETENTION, &ms.to_string()),
        None => cx.unset_topic(topic, RETENTION),
    };
    let fix = Fix::new("keep records until the group has caught up", Risk::Safe)
        .command(cx.set_topic(topic, RETENTION, &longer.to_string()))
        .ask("disks must hold what is kept longer: klamm explain KL511")
        .undo(back);
    // A group that nobody runs may be one that nobody needs.
    let severity = if group.members.is_empty() { Severity::Warning } else { by_weight(&weight) };
    let mut finding = Finding::new(severity, subject, what)
        .fact("committed offset", offset.committed.to_string(), format!("group {}", group.name))
        .fact(fact.0, fact.1, fact.2);
    if let (Some(ms), Some(configs)) = (retention, configs) {
        finding = finding.fact(RETENTION, duration(ms), source_of(configs, RETENTION));
    }
    let finding = finding
        .consequence(format!("records of {topic} are lost for {}: it never sees them", group.name))
        .fix(fix)
        .next("why is it behind? klamm explain KL409")
        .weighed(weight);
    out.found(finding);
}
