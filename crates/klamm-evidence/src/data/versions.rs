//! Versions of events by aggregate: where one is missing, or there twice with different content.
//!
//! A number named `version` may be anything: of a schema, of a lock. It is believed only where an aggregate's versions
//! mostly go up by one from record to record.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::distinct::fingerprint;
use super::shape::shown;

/// Most versions that are held of one topic.
const HELD: usize = 16_384;
/// Most findings that are kept.
const MOST: usize = 20;
/// Fewest steps from one version of an aggregate to its next that prove anything.
const STEPS: u64 = 10;
/// So many percent of the steps are by one, or the numbers mean something else.
const BY_ONE_PERCENT: u64 = 80;
/// Names of a version, as they are after lower-casing without underscores.
const VERSIONS: [&str; 6] =
    ["version", "sequence", "aggregateversion", "sequencenumber", "eventversion", "streamversion"];
/// Names of an aggregate's id.
const IDS: [&str; 8] =
    ["id", "aggregateid", "entityid", "streamid", "orderid", "accountid", "customerid", "key"];

/// Whether gaps mean something in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// It is known to keep every record.
    Matter,
    /// It is compacted, or that is not known: what is missing may have been replaced.
    AreNormal,
}

/// The versions of one topic.
#[derive(Debug)]
pub(crate) struct Versions {
    gaps: Gaps,
    aggregates: HashMap<u64, BTreeMap<i64, Seen>>,
    held: usize,
    steps: u64,
    by_one: u64,
    found: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    content: u64,
    offset: i64,
    partition: i32,
}

impl Versions {
    pub(crate) fn new(gaps: Gaps) -> Self {
        Versions { gaps, aggregates: HashMap::new(), held: 0, steps: 0, by_one: 0, found: Vec::new() }
    }

    /// Looks at one record. Within a partition they come in the order of their offsets, without one left out.
    pub(crate) fn take(&mut self, (partition, offset): (i32, i64), key: &[u8], value: &[u8]) {
        if self.held >= HELD {
            return;
        }
        let Some(version) = version_of(key, value) else { return };
        let aggregate = self.aggregates.entry(fingerprint(key)).or_default();
        let seen = Seen { content: fingerprint(value), offset, partition };
        let last = aggregate.last_key_value().map(|(last, _)| *last);
        let found = match aggregate.get(&version) {
            Some(first) if first.content == seen.content => return,
            Some(first) => Some(format!(
                "key {}: version {version} twice with different content (partition {} offset {}, partition \
                 {partition} offset {offset})",
                shown(key),
                first.partition,
                first.offset
            )),
            None => {
                let gap = last.filter(|last| version.saturating_sub(*last) > 1);
                gap.filter(|_| self.gaps == Gaps::Matter).map(|last| {
                    let key = shown(key);
                    format!(
                        "key {key}: version {version} follows {last} (partition {partition} offset {offset})"
                    )
                })
            }
        };
        if let Some(last) = last {
            self.steps += 1;
            self.by_one += u64::from(version.saturating_sub(last) == 1);
        }
        if aggregate.insert(version, seen).is_none() {
            self.held += 1;
        }
        self.found.extend(found.filter(|_| self.found.len() < MOST));
    }

    /// What was found, if the numbers are versions of events at all.
    pub(crate) fn found(self) -> Vec<String> {
        let believed = self.steps >= STEPS && self.by_one * 100 >= self.steps * BY_ONE_PERCENT;
        if believed { self.found } else { Vec::new() }
    }
}

/// The version in a JSON object that names the record's key as its aggregate.
fn version_of(key: &[u8], value: &[u8]) -> Option<i64> {
    // Most values have none: they are not parsed.
    let mentions = |word: &[u8]| value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    if value.first() != Some(&b'{') || !(mentions(b"version") || mentions(b"sequence")) {
        return None;
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(value) else { return None };
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let is_key = |value: &Value| match value {
        Value::String(text) => text.as_bytes() == key,
        Value::Number(number) => number.to_string().as_bytes() == key,
        _ => false,
    };
    let names_key = |(name, value): (&String, &Value)| IDS.contains(&plain(name).as_str()) && is_key(value);
    if !fields.iter().any(names_key) {
        return None;
    }
    let named = |wanted: &&str| fields.iter().find(|(name, _)| plain(name) == **wanted);
    VERSIONS.iter().filter_map(named).find_map(|(_, value)| value.as_i64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(key: &str, version: i64, what: &str) -> Vec<u8> {
        format!("{{\"aggregate_id\":\"{key}\",\"version\":{version},\"what\":\"{what}\"}}").into_bytes()
    }

    fn found(events: &[(i64, &str)], gaps: Gaps) -> Vec<String> {
        let mut versions = Versions::new(gaps);
        for (offset, (version, what)) in events.iter().enumerate() {
            versions.take((3, offset as i64), b"order-7", &event("order-7", *version, what));
        }
        versions.found()
    }

    #[test]
    fn a_gap_and_a_fork_are_found() {
        let mut events: Vec<_> = (1..=20).map(|version| (version, "paid")).collect();
        events.push((23, "sent"));
        events.push((23, "lost"));
        assert_eq!(
            found(&events, Gaps::Matter),
            [
                "key order-7: version 23 follows 20 (partition 3 offset 20)",
                "key order-7: version 23 twice with different content (partition 3 offset 20, partition 3 offset 21)",
            ]
        );
        assert_eq!(found(&events, Gaps::AreNormal).len(), 1, "compaction makes gaps, not forks");
    }

    #[test]
    fn a_repeated_record_is_no_fork() {
        let events: Vec<_> = (1..=20).flat_map(|version| [(version, "paid"), (version, "paid")]).collect();
        assert!(found(&events, Gaps::Matter).is_empty());
    }

    #[test]
    fn the_version_of_a_schema_is_not_that_of_an_event() {
        let events: Vec<_> = ["a", "b", "c", "d"].iter().cycle().take(40).map(|what| (1, *what)).collect();
        assert!(found(&events, Gaps::Matter).is_empty());
    }

    #[test]
    fn a_number_beside_another_id_is_left_alone() {
        assert_eq!(version_of(b"order-7", &event("order-7", 3, "x")), Some(3));
        assert_eq!(version_of(b"order-8", &event("order-7", 3, "x")), None);
        assert_eq!(version_of(b"7", b"{\"id\":7,\"aggregateVersion\":12}"), Some(12));
        assert_eq!(version_of(b"7", b"{\"id\":7,\"version\":\"v2\"}"), None);
        assert_eq!(version_of(b"7", b"{\"id\":7,\"version\":"), None);
    }

    proptest! {
        #[test]
        fn sound_histories_have_no_gaps(keys in proptest::collection::vec(0..10_u8, 0..300)) {
            let (mut versions, mut next) = (Versions::new(Gaps::Matter), [1_i64; 10]);
            for (offset, key) in keys.iter().enumerate() {
                let name = format!("k{key}");
                versions.take((0, offset as i64), name.as_bytes(), &event(&name, next[usize::from(*key)], "x"));
                next[usize::from(*key)] += 1;
            }
            prop_assert!(versions.found().is_empty());
        }
    }
}
