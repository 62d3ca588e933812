//! What the specs promise.

use klamm_contract::Profile;
use klamm_plan::Span;
use klamm_plan::spec::{
    AcceptSpec, ConsumerSpec, PerSecond, Protocol, Retain, Spec, SpecSet, StreamsSpec, TopicSpec,
};
use klamm_rules::evidence::{
    GroupPromise, Place, Promises, RecoveryPromise, StreamsPromise, Suppression, TopicPromise,
};

/// The part of the specs that rules ask for, with places. Under the profile dev nothing is asked to survive.
pub fn promises(specs: &SpecSet, profile: Profile) -> Promises {
    let mut promises = Promises { relaxed: profile == Profile::Dev, ..Promises::default() };
    for spec in specs.specs() {
        promises.files.push(spec.file.clone());
        for topic in &spec.topics {
            promises.topics.insert(topic.name.value.clone(), topic_promise(spec, topic));
        }
        for consumer in &spec.consumers {
            promises.groups.insert(consumer.group.value.clone(), group_promise(spec, consumer));
        }
        for streams in &spec.streams {
            promises.streams.insert(streams.application.value.clone(), streams_promise(spec, streams));
        }
        if let (None, Some(recovery)) = (&promises.recovery, &spec.recovery) {
            promises.recovery = Some(RecoveryPromise {
                place: place(spec, recovery.span),
                rpo_ms: recovery.rpo.value.millis(),
                rto_ms: recovery.rto.millis(),
                alias: recovery.alias.clone(),
                link_bytes: recovery.link.as_ref().and_then(|link| bytes(link.value.per_second(), 0)),
            });
        }
        promises.suppressions.extend(spec.audit.accept.iter().map(|accept| suppression(spec, accept)));
    }
    if promises.relaxed {
        for topic in promises.topics.values_mut() {
            (topic.survive_brokers, topic.survive_racks) = (0, 0);
        }
    }
    promises
}

fn place(spec: &Spec, span: Span) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { file: spec.file.clone(), line: number(span.line), column: number(span.column) }
}

/// Bytes a second; records need the size of one.
fn bytes(rate: PerSecond, record: u64) -> Option<u64> {
    match rate {
        PerSecond::Bytes(bytes) => Some(bytes),
        PerSecond::Records(_) if record == 0 => None,
        PerSecond::Records(records) => Some(records.saturating_mul(record)),
    }
}

fn topic_promise(spec: &Spec, topic: &TopicSpec) -> TopicPromise {
    let write = &topic.write;
    let mean = bytes(write.rate.per_second(), write.record.bytes()).filter(|_| !write.assumed);
    let retain = &topic.retain.value;
    TopicPromise {
        place: place(spec, topic.name.span),
        consistency: topic.consistency,
        survive_brokers: topic.survive.value.brokers,
        survive_racks: topic.survive.value.racks,
        key: topic.key.clone(),
        order: topic.order.value,
        retention_ms: match retain {
            Retain::Time(time) => Some(time.millis()),
            _ => None,
        },
        retention_bytes: match retain {
            Retain::Size(size) => Some(size.bytes()),
            _ => None,
        },
        compact: matches!(retain, Retain::Compact),
        forever: matches!(retain, Retain::Forever),
        peak_bytes: mean.map(|mean| mean.saturating_mul(write.peak.thousandths()) / 1_000),
        largest_bytes: Some(write.largest.bytes()),
        distinct_keys: topic.keys.as_ref().and_then(|keys| keys.distinct.as_ref()).map(|count| count.count()),
        compatibility: None,
    }
}

fn group_promise(spec: &Spec, consumer: &ConsumerSpec) -> GroupPromise {
    GroupPromise {
        place: place(spec, consumer.group.span),
        reads: consumer.reads.iter().map(|topic| topic.value.clone()).collect(),
        delivery: consumer.delivery,
        instances: consumer.instances.as_ref().map(|instances| instances.value),
        threads: consumer.threads,
        work_p99_us: consumer.work.as_ref().map(|work| work.p99.micros()),
        outage_ms: consumer.outage.as_ref().map(|outage| outage.value.millis()),
        lag_ms: consumer.lag.millis(),
        protocol: match consumer.protocol.value {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        }
        .to_owned(),
    }
}

fn streams_promise(spec: &Spec, streams: &StreamsSpec) -> StreamsPromise {
    let names = |topics: &[klamm_plan::spec::Spanned<String>]| {
        topics.iter().map(|topic| topic.value.clone()).collect::<Vec<_>>()
    };
    StreamsPromise {
        place: place(spec, streams.application.span),
        reads: names(&streams.reads),
        writes: names(&streams.writes),
        delivery: streams.delivery,
        state_bytes: streams.state.as_ref().map(|state| state.bytes()),
        standbys: streams.standbys.value,
        state_dir: streams.state_dir.clone(),
    }
}

fn suppression(spec: &Spec, accept: &AcceptSpec) -> Suppression {
    Suppression {
        place: place(spec, accept.span),
        rule: accept.rule.clone(),
        subject: accept.on.clone(),
        reason: accept.reason.clone(),
        until_ms: accept.until.end_ms(),
        until: accept.until.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use klamm_contract::{Consistency, Delivery};
    use klamm_plan::spec::parse;

    use super::*;

    fn of(text: &str) -> Promises {
        let text = format!("klamm: 1\nservice: s\n{text}");
        promises(&SpecSet::from(parse("klamm.yaml", &text).expect("a spec")), Profile::Prod)
    }

    #[test]
    fn promises_carry_what_is_written_and_where() {
        let promises = of(
            "topics:\n  orders:\n    key: id\n    write: { rate: 1000 records/s, record: 2 KB, peak: 3x }\n    retain: 7d\n  logs: { consistency: eventual, retain: compact, key: k }\nconsumers:\n  view: { reads: [orders], work: { p50: 1 ms, p99: 20 ms } }\n",
        );
        let orders = &promises.topics["orders"];
        assert_eq!((orders.place.to_string().as_str(), orders.peak_bytes), ("klamm.yaml:4", Some(6_000_000)));
        assert_eq!((orders.retention_ms, orders.consistency), (Some(604_800_000), Consistency::Strong));
        let logs = &promises.topics["logs"];
        assert_eq!((logs.compact, logs.peak_bytes, logs.retention_ms), (true, None, None));
        let view = &promises.groups["view"];
        assert_eq!((view.work_p99_us, view.delivery), (Some(20_000), Delivery::AtLeastOnce));
        assert_eq!(view.protocol, "classic");
    }

    #[test]
    fn the_profile_dev_asks_nothing_to_survive() {
        let text = "klamm: 1\nservice: s\ntopics:\n  orders: { consistency: strong, key: id }\n";
        let set = SpecSet::from(parse("live/klamm.yaml", text).expect("a spec"));
        let (prod, dev) = (promises(&set, Profile::Prod), promises(&set, Profile::Dev));
        assert!(prod.topics["orders"].survive_brokers > 0 && !prod.relaxed);
        assert_eq!((dev.topics["orders"].survive_brokers, dev.relaxed), (0, true));
        assert_eq!(dev.topics["orders"].consistency, Consistency::Strong);
        assert_eq!(dev.files, ["live/klamm.yaml"]);
    }

    #[test]
    fn accepted_findings_hold_until_the_end_of_their_day() {
        let promises =
            of("audit:\n  accept:\n    - { rule: KL504, on: topic logs, reason: why, until: 1970-01-02 }\n");
        let [suppression] = promises.suppressions.as_slice() else { panic!("one") };
        assert_eq!((suppression.until_ms, suppression.place.line), (2 * 86_400_000 - 1, 5));
        assert_eq!(suppression.subject.as_deref(), Some("topic logs"));
    }
}
