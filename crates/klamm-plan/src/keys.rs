//! Keys: whether they keep an order, and whether one of them is too much for a partition.

use klamm_contract::Order;

use crate::sizing::{Load, PartitionRate, mean_work_micros};
use crate::spec::{TopicSpec, WorkSpec};
use crate::text;

/// Parts of a key that are another value for each record.
const SCATTER: [&str; 13] = [
    "timestamp",
    "time",
    "ts",
    "now",
    "date",
    "datetime",
    "uuid",
    "guid",
    "random",
    "rand",
    "nonce",
    "salt",
    "offset",
];
const SCATTER_ENDS: [&str; 5] = ["_at", "_ts", "_timestamp", "_time", "_nonce"];
/// Fewer keys for each partition than that, and some partitions get visibly more of them than others.
const KEYS_A_PARTITION: u64 = 20;

/// Why a key does not do.
pub(crate) struct BadKey {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A key that says nothing of an entity has no order to keep.
pub(crate) fn keeps_order(topic: &TopicSpec) -> Result<(), BadKey> {
    let Some(key) = topic.key.as_deref().filter(|_| topic.order.value == Order::PerKey) else {
        return Ok(());
    };
    let Some(part) = key.split([':', '+', '|', ',']).find(|part| scatters(part)) else { return Ok(()) };
    Err(BadKey {
        code: "key-scatters",
        message: format!(
            "{}: a key with {part:?} is another one for each record, so the records of one entity go to all partitions and \
             lose their order",
            topic.name.value
        ),
        help: "a time or a random part in the key is advice in circulation and wrong where order matters: take the \
               entity's id alone; where no order matters, say order: none"
            .to_owned(),
    })
}

/// The part is another value for each record, by its name.
pub(crate) fn scatters(part: &str) -> bool {
    let part = part.trim().to_lowercase();
    SCATTER.contains(&part.as_str()) || SCATTER_ENDS.iter().any(|end| part.ends_with(end))
}

/// One key lives on one partition: it may not be more than that takes, nor more than one thread works off.
pub(crate) fn hottest(
    topic: &TopicSpec,
    load: Load,
    groups: &[(&str, &WorkSpec)],
    rate: PartitionRate,
) -> Result<(), BadKey> {
    let Some(keys) = &topic.keys else { return Ok(()) };
    let (Some(share), Order::PerKey) = (&keys.hottest, topic.order.value) else { return Ok(()) };
    let name = &topic.name.value;
    let bytes = share.of(load.peak_bytes_per_second);
    let within = keys.within.as_ref();
    let too_much = |message: String, least: u64| {
        BadKey {
        code: "hot-key",
        message,
        help: match within {
            Some((field, values)) if values.as_ref().is_none_or(|values| values.count() >= least) => format!(
                "take the composite key {}:{field}: it spreads the entity over its {field}s, and gives up the order between \
                 them, not within one",
                topic.key.as_deref().unwrap_or("key")
            ),
            Some((field, Some(values))) => format!(
                "{} values of {field} do not spread it over the {least} partitions that it needs: split the entity further, or \
                 aggregate in two steps (salted first, ordered second)",
                values
            ),
            _ => "name a field inside the key (keys.within) that keeps the order that matters, aggregate in two steps (salted \
                  first, ordered second), or say order: none"
                .to_owned(),
        },
    }
    };
    if bytes > rate.bytes_per_second {
        let least = bytes.div_ceil(rate.bytes_per_second);
        let message = format!(
            "{name}: the most used key is {share} of {}/s at the peak = {}/s, more than {}",
            text::bytes(load.peak_bytes_per_second.into()),
            text::bytes(bytes.into()),
            rate.text()
        );
        return Err(too_much(message, least));
    }
    let records = share.of(load.peak_records_per_second);
    for (group, work) in groups {
        let busy = u128::from(records) * u128::from(mean_work_micros(work));
        if busy > 1_000_000 {
            let least = u64::try_from(busy.div_ceil(1_000_000)).unwrap_or(u64::MAX);
            let message = format!(
                "{name}: the most used key is {records} records/s at the peak, at {} mean work in {group} that is {least} \
                 threads busy, and one key has one",
                text::micros(mean_work_micros(work))
            );
            return Err(too_much(message, least));
        }
    }
    Ok(())
}

/// What is to be known of the keys, for the plan's notes.
pub(crate) fn remark(topic: &TopicSpec, partitions: u32) -> Option<String> {
    let keys = topic.keys.as_ref()?;
    let name = &topic.name.value;
    if let Some(share) = &keys.hottest {
        let even = 100_000 / u64::from(partitions.max(1));
        let full = share.thousandths() + (100_000 - share.thousandths()) / u64::from(partitions.max(1));
        if share.thousandths() > even {
            return Some(format!(
                "{name}: the partition of the most used key gets {}.{}% of all records, {}.{}% would be even: more partitions \
                 do not help it",
                full / 1_000,
                full % 1_000 / 100,
                even / 1_000,
                even % 1_000 / 100
            ));
        }
    }
    let distinct = keys.distinct.as_ref()?;
    (distinct.count() < KEYS_A_PARTITION * u64::from(partitions)).then(|| {
        format!(
            "{name}: {distinct} keys over {} are too few to be even: some partitions get several times the share of others",
            text::count(partitions, "partition")
        )
    })
}
