//! Those who read: consumer groups and Kafka Streams applications; and what is left when the cluster is lost.

use std::collections::BTreeMap;

use klamm_contract::Delivery;

use super::cluster::{bytes_only, resolve};
use super::{insisted, unknown_topic, word_or};
use crate::spec::decode::{Context, Spanned};
use crate::spec::raw::{RawConsumer, RawQuota, RawRecovery, RawStreams};
use crate::spec::units::Duration;
use crate::spec::{ConsumerSpec, Effect, QuotaSpec, RecoverySpec, Start, StreamsSpec, WorkSpec};

pub(super) fn check_consumer(
    group: Spanned<String>,
    raw: RawConsumer,
    known: &[&str],
    cx: &mut Context,
) -> ConsumerSpec {
    if group.value.trim().is_empty() {
        cx.error("empty-name", group.span, "a consumer group needs a name");
    }
    if raw.reads.value.is_empty() {
        cx.error("reads-nothing", raw.reads.span, format!("group {:?} reads no topic", group.value));
    }
    for (at, topic) in raw.reads.value.iter().enumerate() {
        if known.binary_search(&topic.value.as_str()).is_err() {
            unknown_topic(topic, known, "neither owned nor used by this service", cx);
        }
        if raw.reads.value[..at].iter().any(|other| other.value == topic.value) {
            cx.error(
                "duplicate-read",
                topic.span,
                format!("group {:?} reads {:?} twice", group.value, topic.value),
            );
        }
    }
    let work = raw.work.map(|Spanned { value: work, span }| {
        if work.p50.value.micros() > work.p99.value.micros() {
            let message = format!("p50 ({}) is longer than p99 ({})", work.p50.value, work.p99.value);
            cx.error("bad-work", span, message);
        }
        WorkSpec { span, p50: work.p50.value, p99: work.p99.value }
    });
    for number in [&raw.instances, &raw.threads].into_iter().flatten().filter(|number| number.value == 0) {
        cx.error("bad-count", number.span, format!("group {:?} has none to work", group.value));
    }
    let protocol = word_or(raw.protocol, group.span);
    let effect = word_or(raw.effect, group.span);
    let delivery = raw.delivery.map_or(Delivery::AtLeastOnce, |word| word.0);
    if (delivery, effect.value) == (Delivery::ExactlyOnce, Effect::Http) {
        let message = format!("group {:?}: exactly once to a call that cannot be taken back", group.value);
        cx.error("exactly-once-http", effect.span, message).help = Some(
            "a crash between the call and the commit repeats it: ask for at_least_once and send an idempotency key that the \
             other side remembers, or write the results to Kafka or to a database with the offset beside them"
                .to_owned(),
        );
    }
    ConsumerSpec {
        delivery,
        work,
        start: raw.start.map_or(Start::Earliest, |word| word.0),
        effect,
        instances: raw.instances,
        threads: raw.threads.map_or(1, |threads| threads.value),
        membership: raw.membership.map(|word| word.0),
        protocol,
        outage: raw.outage,
        lag: raw.lag.map_or_else(|| Duration::literal("5 min", 300_000_000), |lag| lag.value),
        settings: insisted(raw.settings),
        group,
        reads: raw.reads.value,
    }
}

/// What the service may read and write, by name.
pub(super) struct Names<'a> {
    pub(super) readable: &'a [&'a str],
    pub(super) writable: &'a [&'a str],
}

pub(super) fn check_streams(
    application: Spanned<String>,
    raw: RawStreams,
    names: &Names<'_>,
    cx: &mut Context,
) -> StreamsSpec {
    if raw.reads.value.is_empty() {
        cx.error(
            "reads-nothing",
            raw.reads.span,
            format!("application {:?} reads no topic", application.value),
        );
    }
    let writes = raw.writes.map_or(Vec::new(), |writes| writes.value);
    for topic in
        raw.reads.value.iter().filter(|topic| names.readable.binary_search(&topic.value.as_str()).is_err())
    {
        unknown_topic(topic, names.readable, "neither owned nor used by this service", cx);
    }
    for topic in writes.iter().filter(|topic| names.writable.binary_search(&topic.value.as_str()).is_err()) {
        unknown_topic(topic, names.writable, "neither owned nor written to by this service", cx);
    }
    let standbys = raw.standbys.unwrap_or(Spanned { value: 1, span: application.span });
    let instances = raw.instances.as_ref().map_or(2, |instances| instances.value);
    if instances == 0 || raw.threads.as_ref().is_some_and(|threads| threads.value == 0) {
        cx.error(
            "bad-count",
            application.span,
            format!("application {:?} has none to work", application.value),
        );
    }
    if standbys.value >= instances.max(1) && standbys.value > 0 {
        let message = format!(
            "application {:?}: {} standbys beside the active copy need {} instances, it has {instances}",
            application.value,
            standbys.value,
            u64::from(standbys.value) + 1
        );
        cx.error("too-many-standbys", standbys.span, message).help =
            Some("run more instances, or ask for fewer standbys".to_owned());
    }
    StreamsSpec {
        reads: raw.reads.value,
        writes,
        delivery: raw.delivery.map_or(Delivery::ExactlyOnce, |word| word.0),
        state: raw.state.map(|state| state.value),
        standbys,
        instances,
        threads: raw.threads.map_or(1, |threads| threads.value),
        state_dir: raw.state_dir.map_or_else(|| "/var/lib/kafka-streams".to_owned(), |dir| dir.value),
        application,
    }
}

pub(super) fn check_quota(raw: RawQuota, cx: &mut Context) -> QuotaSpec {
    let rate = |rate: Option<Spanned<crate::spec::Rate>>, cx: &mut Context| {
        rate.and_then(|rate| bytes_only(&rate, cx))
    };
    QuotaSpec { write: rate(raw.write, cx), read: rate(raw.read, cx) }
}

pub(super) fn check_recovery(
    raw: Spanned<RawRecovery>,
    files: &BTreeMap<String, String>,
    cx: &mut Context,
) -> Option<RecoverySpec> {
    let Spanned { value: raw, span } = raw;
    if let Some(link) = &raw.link {
        bytes_only(link, cx);
    }
    let alias = raw.alias.unwrap_or_else(|| Spanned { value: "primary".to_owned(), span });
    if alias.value.is_empty() || !alias.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let message = format!("{:?} is no alias: letters, digits and '-'", alias.value);
        cx.error("bad-alias", alias.span, message).help =
            Some("it stands before a dot in the names of mirrored topics".to_owned());
    }
    Some(RecoverySpec {
        span,
        rpo: raw.rpo,
        rto: raw.rto.value,
        to: resolve(raw.to.value, files, cx)?,
        alias: alias.value,
        link: raw.link,
    })
}
