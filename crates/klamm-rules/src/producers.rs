//! What rules about producers share.

use klamm_contract::Consistency;

use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::evidence::{Client, Library, Role, Topic};
use crate::finding::{Severity, Weight};
use crate::text::number;

/// What is at stake when records of some topics go wrong.
pub enum Stake {
    /// Somebody said, or their names say, that these records may be lost.
    Accepted,
    /// It counts, as much as this.
    Counts(Weight),
}

/// What is at stake with these topics: `None` where the spec, or the names, say that records may be lost.
pub fn stake(cx: &Cx<'_>, topics: &[String]) -> Stake {
    let weight = cx.weight_of_all(topics);
    let promised = |topic: &String| {
        let promise = cx.evidence.spec.value().and_then(|spec| spec.topics.get(topic));
        promise.is_some_and(|promise| promise.consistency == Consistency::Eventual)
    };
    let named = |topic: &String| {
        let inferred = cx.weight(topic).inferred;
        inferred.is_some_and(|why| why.starts_with("its name has"))
    };
    let accepted = !topics.is_empty() && topics.iter().all(|topic| promised(topic) || named(topic));
    match accepted && !weight.strong {
        true => Stake::Accepted,
        false => Stake::Counts(weight),
    }
}

/// Producers of files and code.
pub fn producers<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<&'a Client> {
    cx.clients(&[Role::Producer], out)
}

/// Producers for whose records something is at stake. The others are judged: nothing can be wrong with them.
pub fn weighty<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<(&'a Client, Weight)> {
    let mut weighty = Vec::new();
    for client in producers(cx, out) {
        match stake(cx, &client.topics) {
            Stake::Accepted => out.judged(),
            Stake::Counts(weight) => weighty.push((client, weight)),
        }
    }
    weighty
}

/// Does the producer wait for all in-sync replicas?
pub fn waits_for_all(acks: &str) -> bool {
    matches!(acks.trim().to_ascii_lowercase().as_str(), "all" | "-1")
}

/// What `acks` comes to: idempotence and transactions imply `all` where nobody set it.
pub fn acks(client: &Client) -> Effective {
    let told = client.setting("acks").is_some() || client.open;
    if told || !asked_for_idempotence(client) {
        return client.effective("acks");
    }
    Effective::Default { value: "all".to_owned(), source: "idempotence implies it".to_owned() }
}

fn asked_for_idempotence(client: &Client) -> bool {
    transactional(client) || client.effective("enable.idempotence").flag() == Some(true)
}

/// Does the producer write in transactions? A computed `transactional.id` is one.
pub fn transactional(client: &Client) -> bool {
    client.setting("transactional.id").is_some_and(|id| id.value.as_deref() != Some(""))
}

/// Whether a producer is idempotent.
pub enum Idempotence {
    /// It is.
    On,
    /// It is not, for this reason, which comes from there.
    Off {
        /// `enable.idempotence is false`.
        why: String,
        /// Where from.
        source: String,
    },
    /// It cannot be told.
    Unknown(String),
}

/// Whether a producer is idempotent, also where nothing says so: Java and kafka-python turn an idempotence that nobody asked for off without a
/// word when `acks`, `retries` or the requests in flight do not allow it (`ProducerConfig.postProcessAndValidateIdempotenceConfigs`).
pub fn idempotence(client: &Client) -> Idempotence {
    if transactional(client) {
        return Idempotence::On;
    }
    let told = client.effective("enable.idempotence");
    match (told.flag(), told.is_set()) {
        (Some(true), true) => Idempotence::On,
        (Some(true), false) => silently(client),
        (Some(false), _) => Idempotence::Off {
            why: "enable.idempotence is false".to_owned(),
            source: told.source().to_owned(),
        },
        (None, _) => undecided(client, told.source()),
    }
}

/// Where the version decides the default, a setting that rules idempotence out decides for all of them.
fn undecided(client: &Client, why: &str) -> Idempotence {
    if client.setting("enable.idempotence").is_some() || client.open {
        return Idempotence::Unknown(why.to_owned());
    }
    match silently(client) {
        Idempotence::On => Idempotence::Unknown(why.to_owned()),
        decided => decided,
    }
}

fn silently(client: &Client) -> Idempotence {
    if !matches!(client.library, Library::Java | Library::KafkaPython) {
        return Idempotence::On;
    }
    for name in ["acks", "retries", "max.in.flight.requests.per.connection"] {
        if client.setting(name).is_none() {
            continue;
        }
        let effective = client.effective(name);
        let Some(value) = effective.value() else {
            return Idempotence::Unknown(effective.source().to_owned());
        };
        let allows = match name {
            "acks" => waits_for_all(value),
            "retries" => effective.number() != Some(0),
            // Java 4 refuses to start instead, which KL105 says.
            _ => effective.number().is_none_or(|most| most <= 5) || is_java_4(client),
        };
        if !allows {
            let why = format!("{name}={value} turns the idempotence off that nobody asked for");
            return Idempotence::Off { why, source: effective.source().to_owned() };
        }
    }
    Idempotence::On
}

/// Is it a Java client of 4.0 or newer, for certain?
pub fn is_java_4(client: &Client) -> bool {
    let major = client.version.as_deref().and_then(|version| version.split('.').next()?.parse::<u16>().ok());
    client.library == Library::Java && major.is_some_and(|major| major >= 4)
}

/// Retries that outlast a failover: as many as there are where a timeout bounds them, else a few.
pub fn enough_retries(client: &Client) -> &'static str {
    match client.library {
        Library::Java | Library::Librdkafka => "2147483647",
        _ => "10",
    }
}

/// The settings that make a producer of this library idempotent.
pub fn durable_settings(client: &Client) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![("enable.idempotence", "true"), ("acks", "all")];
    match client.library {
        Library::Sarama => settings.push(("max.in.flight.requests.per.connection", "1")),
        _ => {
            let most = client.setting("max.in.flight.requests.per.connection");
            if most.and_then(|most| most.value.as_deref()?.parse::<i64>().ok()).is_some_and(|most| most > 5) {
                settings.push(("max.in.flight.requests.per.connection", "5"));
            }
        }
    }
    if client.effective("retries").number() == Some(0) {
        settings.push(("retries", enough_retries(client)));
    }
    if client.library == Library::KafkaGo {
        settings.retain(|(name, _)| *name == "acks");
    }
    settings
}

/// How many brokers may be lost before an acknowledged record may be, and before writes with `acks=all` stop; by the weakest partition.
/// `None` when the floor was not told.
pub fn survives(topic: &Topic) -> Option<(i64, i64)> {
    let floor = number(topic.configs.value()?, "min.insync.replicas")?;
    let copies = topic.partitions.iter().map(|partition| partition.replicas.len()).min()? as i64;
    // The effective floor is no higher than the number of copies (KAFKA-15583).
    let floor = floor.clamp(1, copies.max(1));
    Some((floor - 1, copies - floor))
}

/// The severity for strong data, and for data of which nothing is known.
pub fn by_weight(weight: &Weight) -> Severity {
    weight.choose(Severity::Error, Severity::Warning)
}
