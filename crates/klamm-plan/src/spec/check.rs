//! From what is written to what is meant: defaults, and everything that a single field cannot know.

use std::collections::BTreeMap;

use klamm_contract::{Consistency, Delivery, Order, Survive};
use klamm_kafka::{check_topic_name, topic_names_collide};

use super::decode::{Context, Decode, Spanned};
use super::raw::{
    ClusterOrFile, RawCluster, RawClusterFile, RawConsumer, RawSasl, RawSpec, RawSurvive, RawTls, RawTopic,
    RawWrite,
};
use super::units::{ByteSize, Duration, Factor, PerSecond, Rate, Retain};
use super::{
    ClusterSpec, ConsumerSpec, EnvironmentSpec, SaslSpec, SecretRef, SecuritySpec, Spec, Start, TlsSpec,
    TopicSpec, WorkSpec, WriteSpec, yaml,
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
    let known: Vec<&str> = topics
        .iter()
        .map(|topic| topic.name.value.as_str())
        .chain(uses.iter().map(|name| name.value.as_str()))
        .collect();
    let consumers: Vec<ConsumerSpec> = raw
        .consumers
        .map_or(Vec::new(), |named| named.0)
        .into_iter()
        .map(|(group, consumer)| check_consumer(group, consumer, &known, cx))
        .collect();
    let owned: Vec<&str> = topics.iter().map(|topic| topic.name.value.as_str()).collect();
    let mut environments = Vec::new();
    for (name, environment) in raw.environments.map_or(Vec::new(), |named| named.0) {
        let cluster = environment.cluster.and_then(|cluster| resolve(cluster, files, cx));
        let mut rates = Vec::new();
        for (topic, rate) in environment.rates.map_or(Vec::new(), |named| named.0) {
            if !owned.contains(&topic.value.as_str()) {
                unknown_topic(&topic, &owned, "no topic of this service", cx);
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
    let profile = raw.profile.map_or_else(Default::default, |word| word.0);
    Some(Spec {
        file: cx.file.clone(),
        service: raw.service,
        profile,
        cluster,
        topics,
        uses,
        consumers,
        environments,
    })
}

fn language(klamm: &Spanned<u32>, cx: &mut Context) {
    if klamm.value != LANGUAGE {
        let message =
            format!("this is klamm: {}, this version of klamm reads klamm: {LANGUAGE}", klamm.value);
        cx.error("unknown-version", klamm.span, message).help = Some("use a klamm that knows it".to_owned());
    }
}

fn resolve(
    cluster: ClusterOrFile,
    files: &BTreeMap<String, String>,
    cx: &mut Context,
) -> Option<ClusterSpec> {
    let file = match cluster {
        ClusterOrFile::Here(raw) => return Some(check_cluster(*raw, cx)),
        ClusterOrFile::File(file) => file,
    };
    let Some(text) = files.get(&file.value) else {
        cx.error("missing-file", file.span, format!("the cluster file {:?} could not be read", file.value))
            .help = Some("it is looked for beside the spec".to_owned());
        return None;
    };
    let mut inner = Context { file: file.value.clone(), diagnostics: Vec::new() };
    let node = yaml::parse(&file.value, text, &mut inner.diagnostics);
    let cluster = node.and_then(|node| RawClusterFile::decode(&node, &mut inner)).map(|raw| {
        language(&raw.klamm, &mut inner);
        check_cluster(raw.cluster, &mut inner)
    });
    for diagnostic in inner.diagnostics {
        cx.diagnostics.push(diagnostic.also(&cx.file, file.span, "named here"));
    }
    cluster
}

fn check_cluster(raw: Spanned<RawCluster>, cx: &mut Context) -> ClusterSpec {
    let Spanned { value: raw, span } = raw;
    let bootstrap = raw.bootstrap.unwrap_or_default();
    for address in &bootstrap {
        if !is_address(&address.value) {
            cx.error("bad-address", address.span, format!("{:?} is no address", address.value)).help =
                Some("write host:port, like localhost:9092".to_owned());
        }
    }
    if let Some(brokers) = raw.brokers.as_ref().filter(|brokers| brokers.value == 0) {
        cx.error("no-brokers", brokers.span, "a cluster has at least 1 broker");
    }
    let racks = raw.racks.map(|racks| {
        for (at, rack) in racks.value.iter().enumerate() {
            if let Some(first) = racks.value[..at].iter().find(|other| other.value == rack.value) {
                let file = cx.file.clone();
                let diagnostic =
                    cx.error("duplicate-rack", rack.span, format!("rack {:?} is named twice", rack.value));
                *diagnostic = diagnostic.clone().also(&file, first.span, "first named here");
            }
        }
        Spanned {
            value: racks.value.into_iter().map(|rack| rack.value).collect::<Vec<_>>(),
            span: racks.span,
        }
    });
    if let (Some(brokers), Some(racks)) = (&raw.brokers, &racks)
        && racks.value.len() > brokers.value as usize
    {
        let message =
            format!("{} racks cannot each have one of {} brokers", racks.value.len(), brokers.value);
        cx.error("more-racks-than-brokers", racks.span, message);
    }
    let security = raw.security.map_or_else(SecuritySpec::default, |security| SecuritySpec {
        tls: security.tls.map(|tls| check_tls(tls, cx)),
        sasl: security.sasl.and_then(|sasl| check_sasl(sasl, cx)),
    });
    ClusterSpec {
        file: cx.file.clone(),
        span,
        bootstrap: bootstrap.into_iter().map(|address| address.value).collect(),
        brokers: raw.brokers,
        racks,
        security,
    }
}

/// `host:port` or `[v6]:port`.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = !host.contains([':', '/', ' ', '@']);
        let v6 = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (plain || v6) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn check_tls(raw: RawTls, cx: &mut Context) -> TlsSpec {
    let alone = match (&raw.cert, &raw.key) {
        (Some(cert), None) => Some((cert.span, "cert without key")),
        (None, Some(key)) => Some((key.span, "key without cert")),
        _ => None,
    };
    if let Some((span, what)) = alone {
        cx.error("incomplete-tls", span, what).help =
            Some("a client certificate needs both cert and key".to_owned());
    }
    let client = raw.cert.zip(raw.key).map(|(cert, key)| (cert.value, key.value));
    TlsSpec { ca: raw.ca.map(|ca| ca.value), client }
}

fn check_sasl(raw: Spanned<RawSasl>, cx: &mut Context) -> Option<SaslSpec> {
    let Spanned { value: raw, span } = raw;
    let password = match (raw.password_file, raw.password_env) {
        (Some(file), None) => SecretRef::File(file.value),
        (None, Some(env)) => SecretRef::Env(env.value),
        (Some(_), Some(env)) => {
            cx.error("two-passwords", env.span, "password_file and password_env are both given").help =
                Some("remove one of them".to_owned());
            return None;
        }
        (None, None) => {
            cx.error("missing-field", span, "sasl has no password").help =
                Some("add password_file or password_env".to_owned());
            return None;
        }
    };
    Some(SaslSpec { mechanism: raw.mechanism.value.0, username: raw.username.value, password })
}

fn names(topics: &[TopicSpec], uses: &[Spanned<String>], cx: &mut Context) {
    let all: Vec<&Spanned<String>> = topics.iter().map(|topic| &topic.name).chain(uses).collect();
    for (at, name) in all.iter().enumerate() {
        if let Err(error) = check_topic_name(&name.value) {
            cx.error("bad-topic-name", name.span, format!("{:?}: {error}", name.value));
        }
        for first in &all[..at] {
            let message = if first.value == name.value {
                format!("topic {:?} is named twice", name.value)
            } else if topic_names_collide(&first.value, &name.value) {
                format!(
                    "Kafka refuses topic {:?} beside {:?}: '.' and '_' are the same in its metrics",
                    name.value, first.value
                )
            } else {
                continue;
            };
            let file = cx.file.clone();
            let diagnostic = cx.error("topic-name-collision", name.span, message);
            *diagnostic = diagnostic.clone().also(&file, first.span, "first named here");
        }
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
    TopicSpec {
        consistency: raw.consistency.map_or(Consistency::Strong, |word| word.0),
        survive: check_survive(raw.survive, name.span, cx),
        write: check_write(&name, raw.write, cx),
        key,
        order,
        retain,
        partitions: raw.partitions,
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

fn check_consumer(
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
        if !known.contains(&topic.value.as_str()) {
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
    ConsumerSpec {
        group,
        reads: raw.reads.value,
        delivery: raw.delivery.map_or(Delivery::AtLeastOnce, |word| word.0),
        work,
        start: raw.start.map_or(Start::Earliest, |word| word.0),
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
