//! From what is written to what is meant: defaults, and everything that a single field cannot know.

mod accepted;
mod cluster;
mod readers;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use klamm_contract::{Consistency, Order, Survive};
use klamm_kafka::{check_topic_name, metric_name};

use self::accepted::check_audit;
use self::cluster::{check_user, resolve};
use self::readers::{Names, check_consumer, check_quota, check_recovery, check_streams};
use super::decode::{Context, Named, Spanned, Word};
use super::raw::{RawEnvironment, RawKeys, RawSpec, RawSurvive, RawTopic, RawWrite};
use super::units::{ByteSize, Duration, Factor, PerSecond, Rate, Retain};
use super::{
    ConsumerSpec, EnvironmentSpec, Insisted, KeysSpec, QuotaSpec, Spec, StreamsSpec, TopicSpec, WriteSpec,
};
use crate::Span;
use crate::text::nearest;

/// `klamm: 1` is the language that this code reads.
const LANGUAGE: u32 = 1;
/// More losses than that at once is not a plan for one cluster.
const MAX_SURVIVE: u32 = 7;
/// A create request is refused beyond 10,000 metadata records (POLICY_VIOLATION).
const MAX_PARTITIONS: u32 = 9_000;

pub(super) fn spec(raw: RawSpec, files: &BTreeMap<String, String>, cx: &mut Context) -> Option<Spec> {
    language(&raw.klamm, cx);
    if raw.service.value.trim().is_empty() {
        cx.error("empty-name", raw.service.span, "a service needs a name");
    }
    let cluster = raw.cluster.and_then(|cluster| resolve(cluster, files, cx));
    let topics: Vec<TopicSpec> = raw
        .topics
        .map_or(Vec::new(), |named| named.0)
        .into_iter()
        .map(|(name, topic)| check_topic(name, topic, cx))
        .collect();
    let uses = raw.uses.unwrap_or_default();
    names(&topics, &uses, cx);
    let mut known: Vec<&str> = topics
        .iter()
        .map(|topic| topic.name.value.as_str())
        .chain(uses.iter().map(|name| name.value.as_str()))
        .collect();
    known.sort_unstable();
    let consumers: Vec<ConsumerSpec> = raw
        .consumers
        .map_or(Vec::new(), |named| named.0)
        .into_iter()
        .map(|(group, consumer)| check_consumer(group, consumer, &known, cx))
        .collect();
    let writes = raw.writes.unwrap_or_default();
    for name in &writes {
        if let Err(error) = check_topic_name(&name.value) {
            cx.error("bad-topic-name", name.span, format!("{:?}: {error}", name.value));
        }
    }
    let owned: Vec<&str> = topics.iter().map(|topic| topic.name.value.as_str()).collect();
    let mut writable: Vec<&str> =
        owned.iter().copied().chain(writes.iter().map(|name| name.value.as_str())).collect();
    writable.sort_unstable();
    let names = Names { readable: &known, writable: &writable };
    let streams: Vec<StreamsSpec> = raw
        .streams
        .map_or(Vec::new(), |named| named.0)
        .into_iter()
        .map(|(application, streams)| check_streams(application, streams, &names, cx))
        .collect();
    let quota = raw.quota.map_or_else(QuotaSpec::default, |quota| check_quota(quota.value, cx));
    let recovery = raw.recovery.and_then(|recovery| check_recovery(recovery, files, cx));
    let audit = raw.audit.map_or_else(Default::default, |audit| check_audit(audit, cx));
    let principal = raw.principal.map(|principal| check_principal(principal, cx));
    let user = raw.user.and_then(|user| check_user(user, cx));
    let environments = check_environments(raw.environments, &owned, files, cx);
    let profile = raw.profile.map_or_else(Default::default, |word| word.0);
    let service = raw.service.value.clone();
    Some(Spec {
        file: cx.file.clone(),
        service: raw.service,
        profile,
        cluster,
        topics,
        uses,
        writes,
        consumers,
        streams,
        principal: principal.unwrap_or_else(|| format!("User:{service}")),
        user,
        quota,
        recovery,
        audit,
        environments,
    })
}

fn check_environments(
    raw: Option<Named<RawEnvironment>>,
    owned: &[&str],
    files: &BTreeMap<String, String>,
    cx: &mut Context,
) -> Vec<EnvironmentSpec> {
    let mut environments = Vec::new();
    for (name, environment) in raw.map_or(Vec::new(), |named| named.0) {
        let cluster = environment.cluster.and_then(|cluster| resolve(cluster, files, cx));
        let mut rates = Vec::new();
        for (topic, rate) in environment.rates.map_or(Vec::new(), |named| named.0) {
            if !owned.contains(&topic.value.as_str()) {
                unknown_topic(&topic, owned, "no topic of this service", cx);
            }
            positive(rate.rate.as_ref(), cx);
            at_least_one(rate.peak.as_ref(), cx);
            rates.push((topic, rate.rate.map(|rate| rate.value), rate.peak.map(|peak| peak.value)));
        }
        environments.push(EnvironmentSpec {
            name,
            cluster,
            profile: environment.profile.map(|word| word.0),
            rates,
        });
    }
    environments
}

/// `User:name`; Kafka's own authorizer knows no other kind.
fn check_principal(principal: Spanned<String>, cx: &mut Context) -> String {
    if principal.value.strip_prefix("User:").is_none_or(str::is_empty) {
        let message = format!("{:?} is no principal", principal.value);
        cx.error("bad-principal", principal.span, message).help =
            Some("write it like User:orders".to_owned());
    }
    principal.value
}

fn word_or<T: Copy + Default>(word: Option<Spanned<Word<T>>>, otherwise: Span) -> Spanned<T> {
    word.map_or(Spanned { value: T::default(), span: otherwise }, |word| Spanned {
        value: word.value.0,
        span: word.span,
    })
}

fn insisted(settings: Option<Named<Spanned<String>>>) -> Vec<Insisted> {
    let settings = settings.map_or(Vec::new(), |named| named.0);
    settings.into_iter().map(|(name, value)| Insisted { name, value }).collect()
}

fn check_keys(topic: &str, raw: Spanned<RawKeys>, keyed: bool, cx: &mut Context) -> KeysSpec {
    let Spanned { value: raw, span } = raw;
    if !keyed {
        cx.error("keys-without-key", span, format!("{topic}: keys are described, but there is no key"))
            .help = Some("name the field that is the key".to_owned());
    }
    if let Some(distinct) = raw.distinct.as_ref().filter(|distinct| distinct.value.count() == 0) {
        cx.error("bad-count", distinct.span, format!("{topic}: a topic with a key has at least 1"));
    }
    if let (Some(distinct), Some(hottest)) = (&raw.distinct, &raw.hottest) {
        // The most used of n keys has at least 1/n.
        let least = 100_000 / distinct.value.count().max(1);
        if hottest.value.thousandths() < least {
            let message = format!(
                "{topic}: of {} keys the most used one has at least {}.{:03}%, not {}",
                distinct.value,
                least / 1_000,
                least % 1_000,
                hottest.value
            );
            cx.error("bad-keys", hottest.span, message);
        }
    }
    if let (None, Some(alone)) = (&raw.within, &raw.within_distinct) {
        cx.error(
            "bad-keys",
            alone.span,
            format!("{topic}: within_distinct counts the values of within, which is not given"),
        );
    }
    let within_distinct = raw.within_distinct.map(|count| count.value);
    KeysSpec {
        span,
        distinct: raw.distinct.map(|count| count.value),
        hottest: raw.hottest.map(|share| share.value),
        within: raw.within.map(|within| (within.value, within_distinct)),
    }
}

fn language(klamm: &Spanned<u32>, cx: &mut Context) {
    if klamm.value != LANGUAGE {
        let message =
            format!("this is klamm: {}, this version of klamm reads klamm: {LANGUAGE}", klamm.value);
        cx.error("unknown-version", klamm.span, message).help = Some("use a klamm that knows it".to_owned());
    }
}

fn names(topics: &[TopicSpec], uses: &[Spanned<String>], cx: &mut Context) {
    let all = topics.iter().map(|topic| &topic.name).chain(uses);
    let mut seen: HashMap<String, &Spanned<String>> = HashMap::new();
    for name in all {
        if let Err(error) = check_topic_name(&name.value) {
            cx.error("bad-topic-name", name.span, format!("{:?}: {error}", name.value));
        }
        let first = match seen.entry(metric_name(&name.value)) {
            Entry::Vacant(free) => {
                free.insert(name);
                continue;
            }
            Entry::Occupied(taken) => *taken.get(),
        };
        let message = match first.value == name.value {
            true => format!("topic {:?} is named twice", name.value),
            false => format!(
                "Kafka refuses topic {:?} beside {:?}: '.' and '_' are the same in its metrics",
                name.value, first.value
            ),
        };
        let file = cx.file.clone();
        let diagnostic = cx.error("topic-name-collision", name.span, message);
        *diagnostic = diagnostic.clone().also(&file, first.span, "first named here");
    }
}

fn check_topic(name: Spanned<String>, raw: RawTopic, cx: &mut Context) -> TopicSpec {
    let key = raw.key.map(|key| key.value);
    let default_order = if key.is_some() { Order::PerKey } else { Order::None };
    let order = raw.order.map_or(Spanned { value: default_order, span: name.span }, |order| Spanned {
        value: order.value.0,
        span: order.span,
    });
    if order.value == Order::PerKey && key.is_none() {
        cx.error("order-without-key", order.span, format!("{}: order per_key needs a key", name.value))
            .help = Some("name the field that is the key, or say order: none".to_owned());
    }
    let retain = raw.retain.unwrap_or_else(|| Spanned {
        value: Retain::Time(Duration::literal("7d", 604_800_000_000)),
        span: name.span,
    });
    check_retain(&name.value, &retain, key.is_some(), cx);
    if let Some(partitions) = &raw.partitions {
        if partitions.value == 0 || partitions.value > MAX_PARTITIONS {
            let message = format!(
                "{}: partitions is {}, it can be 1 to {MAX_PARTITIONS}",
                name.value, partitions.value
            );
            cx.error("bad-partitions", partitions.span, message);
        } else if order.value == Order::Global && partitions.value > 1 {
            let message = format!("{}: order global needs 1 partition, not {}", name.value, partitions.value);
            let file = cx.file.clone();
            let diagnostic = cx.error("order-over-partitions", partitions.span, message);
            *diagnostic = diagnostic.clone().also(&file, order.span, "global order asked for here");
        }
    }
    let keys = raw.keys.map(|keys| check_keys(&name.value, keys, key.is_some(), cx));
    at_least_one(raw.growth.as_ref(), cx);
    TopicSpec {
        produce: raw.produce.map_or_else(Default::default, |word| word.0),
        keys,
        growth: raw.growth.map_or_else(|| Factor::literal("1x", 1_000), |growth| growth.value),
        timestamps: raw.timestamps.map_or_else(Default::default, |word| word.0),
        settings: insisted(raw.settings),
        producer: insisted(raw.producer),
        consistency: raw.consistency.map_or(Consistency::Strong, |word| word.0),
        survive: check_survive(raw.survive, name.span, cx),
        write: check_write(&name, raw.write, cx),
        key,
        order,
        retain,
        partitions: raw.partitions,
        copies: raw.copies,
        name,
    }
}

fn check_retain(topic: &str, retain: &Spanned<Retain>, keyed: bool, cx: &mut Context) {
    match &retain.value {
        Retain::Compact if !keyed => {
            cx.error(
                "compact-without-key",
                retain.span,
                format!("{topic}: compact keeps the newest record of each key"),
            )
            .help = Some("name the field that is the key".to_owned());
        }
        Retain::Time(time) if time.millis() < 60_000 => {
            cx.error(
                "retention-too-short",
                retain.span,
                format!("{topic}: retain {time} is under a minute"),
            )
            .help = Some(
                "brokers look for expired segments every 5 min (log.retention.check.interval.ms)".to_owned(),
            );
        }
        Retain::Size(size) if size.bytes() < 1 << 20 => {
            cx.error(
                "retention-too-short",
                retain.span,
                format!("{topic}: retain {size} is less than one segment (1 MiB)"),
            );
        }
        _ => {}
    }
}

fn check_survive(raw: Option<Spanned<RawSurvive>>, default_span: Span, cx: &mut Context) -> Spanned<Survive> {
    let Some(Spanned { value: raw, span }) = raw else {
        return Spanned { value: Survive { brokers: 1, racks: 0 }, span: default_span };
    };
    for (what, number) in [("brokers", &raw.brokers), ("racks", &raw.racks)] {
        if let Some(number) = number.as_ref().filter(|number| number.value > MAX_SURVIVE) {
            let message = format!("survive {} {what} is more than {MAX_SURVIVE}", number.value);
            cx.error("survive-too-many", number.span, message);
        }
    }
    let brokers = raw.brokers.map_or(1, |number| number.value);
    let racks = raw.racks.map_or(0, |number| number.value);
    Spanned { value: Survive { brokers, racks }, span }
}

fn check_write(name: &Spanned<String>, raw: Option<Spanned<RawWrite>>, cx: &mut Context) -> WriteSpec {
    let (raw, span) = match raw {
        Some(Spanned { value, span }) => (value, span),
        None => (RawWrite { rate: None, record: None, peak: None, largest: None }, name.span),
    };
    positive(raw.rate.as_ref(), cx);
    at_least_one(raw.peak.as_ref(), cx);
    let assumed = raw.rate.is_none();
    let record = raw.record.map_or_else(|| ByteSize::literal("1 KB", 1_000), |size| size.value);
    let largest = raw.largest.map_or_else(|| default_largest(&record), |size| size.value);
    if record.bytes() == 0 {
        cx.error("bad-record-size", span, format!("{}: a record of 0 bytes has no rate", name.value));
    }
    if largest.bytes() < record.bytes() {
        let message =
            format!("{}: the largest record ({largest}) is smaller than the mean one ({record})", name.value);
        cx.error("bad-record-size", span, message);
    }
    if largest.bytes() > 1 << 30 {
        let message = format!("{}: a record of {largest} does not fit into a segment of 1 GiB", name.value);
        cx.error("bad-record-size", span, message).help =
            Some("store large things elsewhere and send where they are".to_owned());
    }
    WriteSpec {
        span,
        rate: raw.rate.map_or_else(|| Rate::literal("1 MB/s", 1_000_000), |rate| rate.value),
        record,
        peak: raw.peak.map_or_else(|| Factor::literal("2x", 2_000), |peak| peak.value),
        largest,
        assumed,
    }
}

/// 1 MB, or the mean record where that is larger.
fn default_largest(record: &ByteSize) -> ByteSize {
    if record.bytes() > 1_000_000 { record.clone() } else { ByteSize::literal("1 MB", 1_000_000) }
}

fn positive(rate: Option<&Spanned<Rate>>, cx: &mut Context) {
    let nothing = |rate: &Rate| matches!(rate.per_second(), PerSecond::Bytes(0) | PerSecond::Records(0));
    if let Some(rate) = rate.filter(|rate| nothing(&rate.value)) {
        cx.error("bad-rate", rate.span, format!("a rate of {} writes nothing", rate.value));
    }
}

fn at_least_one(peak: Option<&Spanned<Factor>>, cx: &mut Context) {
    if let Some(peak) = peak.filter(|peak| peak.value.thousandths() < 1_000) {
        cx.error(
            "bad-peak",
            peak.span,
            format!("the peak is {} of the mean rate, it is at least 1x", peak.value),
        );
    }
}

fn unknown_topic(topic: &Spanned<String>, known: &[&str], what: &str, cx: &mut Context) {
    let meant = nearest(&topic.value, known.iter().copied())
        .map_or(String::new(), |name| format!(", did you mean {name:?}?"));
    let help = if known.is_empty() {
        "declare it under topics, or under uses when others own it".to_owned()
    } else {
        format!("known: {}; topics of others are named under uses", known.join(", "))
    };
    cx.error("unknown-topic", topic.span, format!("topic {:?} is {what}{meant}", topic.value)).help =
        Some(help);
}
