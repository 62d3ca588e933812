//! Records are not where Java's partitioner puts their keys.
//!
//! ## What it does
//! Computes for each keyed record of a sample (`data`) where murmur2 puts its key, for today's and for every lower number of partitions. What fits
//! a lower number by chance alone does not count, and neither does what fits another partitioner by chance: one in as many records as there are partitions. It fires when more than 1% of
//! the records (20 at least) fit nothing, and names the partitioner that fits: CRC32 is librdkafka's default (`consistent_random`), FNV-1a is Sarama's. Windowed keys of Kafka Streams and
//! topics of foreign-key joins have a partitioner of their own and are left out.
//!
//! ## Why it hurts
//! Two producers that place a key differently put its records into two partitions: their order is gone. A join in Kafka Streams or ksqlDB looks for
//! the other side in the same partition, does not find it, and says nothing.
//!
//! ## Example
//!     # orders is written by a Java service and by this one
//!     Producer({"bootstrap.servers": "b1:9092"})
//!
//! ## Use instead
//!     Producer({"bootstrap.servers": "b1:9092", "partitioner": "murmur2_random"})
//!
//! ## Severity
//! Where two partitioners write: error if the spec says that the data is strong and keeps an order, else warning. Info where all records are placed by another partitioner alone.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Library, Role};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{Placed, Sampled, grade, keeps_order, percent, placed, promise, samples};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for sampled in samples(cx, out) {
        let keys = &sampled.sample.keys;
        let name = sampled.topic();
        let own = name.contains("-KTABLE-FK-JOIN-")
            || name.ends_with("-subscription-registration-topic")
            || name.ends_with("-subscription-response-topic")
            || keys.windowed * 10 > keys.keyed;
        if sampled.partitions < 2 || sampled.sample.placement.checked == 0 || own {
            continue;
        }
        out.judged();
        let placed = placed(&sampled.sample.placement, sampled.partitions);
        if placed.elsewhere >= 20 && placed.elsewhere * 100 > sampled.sample.placement.checked {
            found(cx, out, &sampled, &placed);
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>, placed: &Placed) {
    let topic = sampled.topic();
    let placement = &sampled.sample.placement;
    let weight = cx.weight(topic);
    let ordered = keeps_order(promise(cx, out, topic));
    let severity = match () {
        () if !placed.mixed && placement.keys_in_several == 0 => Severity::Info,
        () if ordered => grade(&weight),
        () => Severity::Warning,
    };
    let by = match placed.partitioner {
        Some("crc32") => "CRC32 puts them there: librdkafka's default, consistent_random",
        Some(_) => "FNV-1a puts them there: Sarama's hash partitioner",
        None => {
            "neither CRC32 nor FNV-1a explains them: a partitioner of its own, or partitions chosen by number"
        }
    };
    let chance = percent(1, sampled.partitions);
    let share = percent(placed.elsewhere, placement.checked);
    let finding = Finding::new(
        severity,
        sampled.subject(),
        format!(
            "{share} of the keyed records are not \
    where murmur2 puts their key"
        ),
    )
    .fact("records checked", placement.checked.to_string(), "sample")
    .fact(
        "where murmur2 puts them",
        placement.murmur2.to_string(),
        format!(
            "sample; by chance alone \
        {chance}"
        ),
    )
    .fact("elsewhere", placed.elsewhere.to_string(), by)
    .fact("keys in more than one partition", placement.keys_in_several.to_string(), "sample")
    .consequence(if placed.mixed || placement.keys_in_several > 0 {
        format!(
            "records of one key are in more than one partition of {topic}: they are read in no \
            order, and joins miss them without a word"
        )
    } else {
        format!(
            "{topic} is placed by another partitioner throughout: it cannot be joined with a topic \
            that Java producers write"
        )
    })
    .fix(fix(cx, out, topic, sampled.partitions))
    .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
    .weighed(weight);
    out.found(finding);
}

fn fix(cx: &Cx<'_>, out: &mut Out, topic: &str, partitions: u64) -> Fix {
    let copy = format!(
        "klamm repartition {topic} --partitions {partitions} --misplaced copy --bootstrap {}",
        cx.bootstrap()
    );
    let clients = cx.clients(&[Role::Producer], out);
    let foreign = |client: &&&Client| {
        client.library == Library::Librdkafka && client.topics.iter().any(|name| name == topic)
    };
    let fix = Fix::new(format!("let every producer of {topic} place keys by murmur2"), Risk::MovesKeys);
    let fix = match clients.iter().find(foreign) {
        Some(client) => set_client(fix, client, "partitioner", "murmur2_random"),
        None => fix
            .ask(format!(
                "librdkafka: set partitioner=murmur2_random in the producers of {topic}; Sarama: \
            a partitioner with murmur2 and Java's sign rule"
            ))
            .undo_by("set the former partitioner again"),
    };
    fix.ask(format!("bring the older records to their places, key by key: {copy}"))
        .undo_by(format!("{copy} --roll-back"))
}
