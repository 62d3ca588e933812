//! Whether a group keeps up with what is written, and comes back in time after it was away.

use super::{Load, mean_work_micros};
use crate::Span;
use crate::spec::{ConsumerSpec, Retain, TopicSpec};
use crate::text;

/// Why a group does not keep up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooSlow {
    pub(crate) code: &'static str,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What is to be known of a group and one of its topics; an error when it falls behind for good, or misses records.
pub(crate) fn keeping_up(
    consumer: &ConsumerSpec,
    topic: &TopicSpec,
    partitions: u32,
) -> Result<Option<String>, TooSlow> {
    let (group, name) = (&consumer.group.value, &topic.name.value);
    let load = Load::of(&topic.write);
    let mean_rate = load.bytes_per_second / topic.write.record.bytes().max(1);
    let workers =
        consumer.instances.as_ref().map(|instances| u64::from(instances.value) * u64::from(consumer.threads));
    let busy = workers.map(|workers| workers.min(partitions.into()));
    let work = consumer.work.as_ref().map(|work| mean_work_micros(work).max(1));
    let capacity = busy.zip(work).map(|(busy, work)| busy.saturating_mul(1_000_000) / work);
    if let (Some(capacity), Some(instances)) = (capacity, &consumer.instances)
        && capacity <= mean_rate
    {
        return Err(TooSlow {
            code: "group-too-slow",
            span: instances.span,
            message: format!(
                "group {group}: {} that can work at once do {capacity} records/s, {name} has {mean_rate} on the mean: it falls behind for good",
                text::count(busy.unwrap_or(0), "thread")
            ),
            help: format!(
                "{} threads in all do it on the mean, at the peak it takes more",
                mean_rate.saturating_mul(work.unwrap_or(1)) / 1_000_000 + 1
            ),
        });
    }
    if let (Some(outage), Retain::Time(retain)) = (&consumer.outage, &topic.retain.value) {
        let away = outage.value.millis();
        // What came meanwhile is worked off with what is left beyond what keeps coming.
        let catch_up = capacity.map_or(0, |capacity| {
            let backlog = u128::from(mean_rate) * u128::from(away);
            u64::try_from(backlog / u128::from(capacity - mean_rate)).unwrap_or(u64::MAX)
        });
        let needed = away.saturating_add(catch_up);
        if retain.millis() < needed {
            let speed = capacity.map_or(String::new(), |capacity| {
                format!(
                    " and {} to catch up ({mean_rate} records/s x {} / ({capacity} - {mean_rate}))",
                    text::millis(catch_up / 1_000 * 1_000),
                    outage.value
                )
            });
            return Err(TooSlow {
                code: "retention-too-short-for-group",
                span: outage.span,
                message: format!(
                    "group {group}: {} away{speed} is longer than {name} retains ({retain}): records are gone before they are read",
                    outage.value
                ),
                help: format!(
                    "retain {} or more, or run more instances",
                    text::millis(needed.div_ceil(3_600_000) * 3_600_000)
                ),
            });
        }
    }
    Ok(workers.filter(|workers| *workers > u64::from(partitions)).map(|workers| {
        format!(
            "group {group}: {workers} threads over {} of {name}: {} have nothing to do",
            text::count(partitions, "partition"),
            workers - u64::from(partitions)
        )
    }))
}

#[cfg(test)]
mod tests {
    use crate::spec::parse;

    use super::*;

    fn answer(consumer: &str, retain: &str) -> Result<Option<String>, TooSlow> {
        let text = format!(
            "klamm: 1\nservice: s\ntopics:\n  t:\n    retain: {retain}\n    write: {{ rate: 1000 records/s }}\n\
             consumers:\n  g:\n    reads: [t]\n    work: {{ p50: 1 ms, p99: 1 ms }}\n{consumer}"
        );
        let spec = parse("klamm.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        keeping_up(&spec.consumers[0], &spec.topics[0], 12)
    }

    #[test]
    fn a_group_that_falls_behind_is_refused_and_one_with_idle_threads_noted() {
        assert_eq!(answer("    instances: 1\n", "7d").expect_err("too slow").code, "group-too-slow");
        assert_eq!(answer("    instances: 2\n", "7d"), Ok(None));
        assert!(
            answer("    instances: 5\n    threads: 4\n", "7d")
                .expect("fine")
                .expect("a note")
                .contains("8 have nothing")
        );
    }

    #[test]
    fn retention_has_to_last_for_the_outage_and_for_catching_up() {
        // 1000 records/s come, 2000 are worked off: an outage of a day takes another day.
        assert_eq!(answer("    instances: 2\n    outage: 1d\n", "2d"), Ok(None));
        let refused = answer("    instances: 2\n    outage: 1d\n", "47h").expect_err("too short");
        assert_eq!(refused.code, "retention-too-short-for-group");
        assert!(refused.help.contains("2d"), "{refused:?}");
        assert_eq!(
            answer("    outage: 3d\n", "2d").expect_err("too short").code,
            "retention-too-short-for-group"
        );
    }
}
