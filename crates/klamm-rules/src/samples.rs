//! Reading samples of records with the care that samples need.

use klamm_contract::Order;

use crate::check::{Cx, Out};
use crate::evidence::{Placement, TopicPromise, TopicSample};
use crate::finding::{Severity, Weight};

/// With fewer records shares of keys say nothing.
const LEAST_RECORDS: u64 = 1_000;

/// A sample, and the topic's partitions today.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled<'a> {
    pub sample: &'a TopicSample,
    pub partitions: u64,
}

impl<'a> Sampled<'a> {
    pub fn topic(&self) -> &'a str {
        &self.sample.topic
    }

    pub fn subject(&self) -> String {
        subject(&self.sample.topic)
    }
}

/// Samples of topics that are not Kafka's own.
pub(crate) fn samples<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<Sampled<'a>> {
    let Some(samples) = out.see("samples of records", &cx.evidence.data) else { return Vec::new() };
    let live = cx.evidence.live.topics.value();
    let partitions = |sample: &TopicSample| {
        let seen = sample.partitions.iter().map(|partition| partition.partition + 1).max().unwrap_or(0);
        let live = live.and_then(|topics| topics.get(&sample.topic)).map(|topic| topic.partitions.len());
        live.map_or(u64::try_from(seen).unwrap_or(0), |count| count as u64)
    };
    let of_users = samples.iter().filter(|sample| !sample.topic.starts_with("__"));
    of_users.map(|sample| Sampled { sample, partitions: partitions(sample) }).collect()
}

/// The sample has enough of `records` for a statement about shares. A sample that only touched a larger topic is written down as
/// unclear; a topic that is small as a whole has nothing to be uneven with.
pub(crate) fn enough(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>, records: u64) -> bool {
    let sample = sampled.sample;
    let offsets = cx.evidence.live.offsets.value().and_then(|topics| topics.get(&sample.topic));
    let read = |index: i32| sample.partitions.iter().any(|partition| partition.partition == index);
    let unread = offsets.into_iter().flatten().find(|one| one.end > one.start && !read(one.partition));
    // The keys of a partition that a bound left out may be all that matters.
    if let (Some(cut), Some(unread)) = (&sample.cut, unread) {
        out.unclear(&sampled.subject(), format!("partition {} was not looked at: {cut}", unread.partition));
        return false;
    }
    if records >= LEAST_RECORDS {
        return true;
    }
    let stored = offsets.map(|all| all.iter().map(|one| (one.end - one.start).max(0)).sum::<i64>());
    let seen = sample.records;
    let why = match (&sample.cut, stored) {
        (Some(cut), _) => format!("{seen} records were looked at: {cut}"),
        (None, None) => format!("{seen} records were looked at; how many there are is not known"),
        (None, Some(stored)) if u64::try_from(stored).unwrap_or(0) > seen * 2 => {
            format!(
                "{seen} of {stored} records were looked at, {LEAST_RECORDS} are needed: a larger --sample tells"
            )
        }
        // The whole topic was seen, and is small.
        (None, Some(_)) => return false,
    };
    out.unclear(&sampled.subject(), why);
    false
}

/// What the spec promises about a topic.
pub(crate) fn promise<'a>(cx: &Cx<'a>, out: &mut Out, topic: &str) -> Option<&'a TopicPromise> {
    out.see("spec", &cx.evidence.spec)?.topics.get(topic)
}

/// The spec says that records of this topic keep an order.
pub(crate) fn keeps_order(promise: Option<&TopicPromise>) -> bool {
    promise.is_some_and(|promise| promise.order != Order::None)
}

/// Error only where a spec says that the data is strong: what is only inferred is a warning.
pub(crate) fn grade(weight: &Weight) -> Severity {
    if weight.strong && weight.inferred.is_none() { Severity::Error } else { Severity::Warning }
}

pub(crate) fn subject(topic: &str) -> String {
    format!("topic {topic}")
}

/// `12.3%`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// Who placed the keys of a sample, with what fits by chance taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Earlier numbers of partitions that explain more records than chance does, with those records.
    pub earlier: Vec<(i32, u64)>,
    /// Records that no number of partitions explains under murmur2.
    pub elsewhere: u64,
    /// The partitioner that explains them.
    pub partitioner: Option<&'static str>,
    /// Java's partitioner, too, places more than chance does.
    pub mixed: bool,
}

/// Any partitioner agrees with any other for one key in `partitions`: only what lies clearly above that counts.
pub(crate) fn placed(placement: &Placement, partitions: u64) -> Placed {
    let chance = 1.0 / partitions.max(2) as f64;
    let checked = placement.checked as f64;
    let strays = placement.checked.saturating_sub(placement.murmur2);
    let noise = 3.0 * (strays as f64 * chance).sqrt();
    let bar =
        (2.0 * chance).min(chance + (1.0 - chance) / 2.0) * strays as f64 + noise.min(strays as f64 / 8.0);
    let credible = |count: u64| count >= 20 && count as f64 > bar;
    let earlier: Vec<(i32, u64)> = placement
        .earlier
        .iter()
        .map(|(n, count)| (*n, *count))
        .filter(|(_, count)| credible(*count))
        .collect();
    let all_earlier: u64 = placement.earlier.values().sum();
    let rest = strays.saturating_sub(all_earlier);
    // Without a credible former number what fits one of them fits it by chance, and belongs to the rest.
    let elsewhere = if earlier.is_empty() { strays } else { rest };
    // Halfway between what chance explains and everything.
    let fits = |count: u64| rest >= 20 && count as f64 > (chance + (1.0 - chance) / 2.0) * rest as f64;
    let partitioner = match () {
        () if fits(placement.crc32) => Some("crc32"),
        () if fits(placement.fnv1a) => Some("fnv1a"),
        () => None,
    };
    let by_chance = checked * chance;
    let mixed = placement.murmur2 as f64 > by_chance + 3.0 * by_chance.sqrt() + checked * 0.05;
    Placed { earlier, elsewhere, partitioner, mixed }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn placement(checked: u64, murmur2: u64, earlier: &[(i32, u64)], crc32: u64) -> Placement {
        Placement {
            checked,
            murmur2,
            earlier: earlier.iter().copied().collect::<BTreeMap<_, _>>(),
            crc32,
            ..Placement::default()
        }
    }

    #[test]
    fn what_fits_a_former_number_by_chance_is_no_growth() {
        // librdkafka alone on 12 partitions: a twelfth fits murmur2, and a twelfth of the rest fits each lower number.
        let placed =
            placed(&placement(12_000, 1_000, &[(11, 900), (10, 840), (6, 800), (3, 790)], 7_670), 12);
        assert_eq!(placed.earlier, []);
        assert_eq!((placed.elsewhere, placed.partitioner, placed.mixed), (11_000, Some("crc32"), false));
    }

    #[test]
    fn a_former_number_that_explains_the_rest_is_growth_and_no_other_partitioner() {
        let placed = placed(&placement(10_000, 7_000, &[(6, 2_900), (5, 90)], 2), 12);
        assert_eq!(placed.earlier, [(6, 2_900)]);
        assert_eq!((placed.elsewhere, placed.partitioner, placed.mixed), (10, None, true));
    }

    #[test]
    fn growth_from_one_partition_is_told_from_another_partitioner_on_two() {
        assert_eq!(placed(&placement(1_000, 500, &[(1, 250)], 250), 2).earlier, []);
        assert_eq!(placed(&placement(1_000, 500, &[(1, 500)], 0), 2).earlier, [(1, 500)]);
    }
}
