//! What a sample of records says of a topic's keys: how many there are, how much the most used one takes, and what inside
//! it would spread it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klamm_kafka::partition_for_key;
use serde::Serialize;
use serde_json::Value;

use crate::keys::scatters;
use crate::spec::{Count, KeysSpec, Percent, TopicSpec};

/// Most values of one field that are told apart.
const VALUES: usize = 10_000;
/// A field that has another value in more than so many percent of the records is no entity: a time, a counter, a random id.
const SCATTERS_FROM_PERCENT: u64 = 50;

/// Keys of records, counted.
#[derive(Debug, Default)]
pub struct KeySample {
    partitions: i32,
    records: u64,
    unkeyed: u64,
    misplaced: u64,
    counts: HashMap<Vec<u8>, u64>,
    /// Of the values of the most used key, by field: the values seen.
    fields: BTreeMap<String, BTreeSet<String>>,
    looked_inside: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampledKeys {
    /// Records in the sample.
    pub records: u64,
    /// Records without a key.
    pub unkeyed: u64,
    /// Records that are not where Java's partitioner (murmur2) puts their key.
    pub misplaced: u64,
    /// Different keys in the sample.
    pub seen: u64,
    /// Different keys in the topic, estimated from how many were seen once and twice (Chao 1984): no fewer than `seen`.
    pub distinct: u64,
    /// The most used key, as text.
    pub hottest: String,
    /// Its share of all records, in thousandths of a percent.
    pub hottest_thousandths: u64,
    /// A field of the value (JSON) that would spread the most used key, and its values for that key.
    pub within: Option<(String, u64)>,
}

impl KeySample {
    /// Of a topic with so many partitions.
    pub fn new(partitions: i32) -> Self {
        KeySample { partitions, ..KeySample::default() }
    }

    /// Counts one record.
    pub fn take(&mut self, partition: i32, key: Option<&[u8]>) {
        self.records += 1;
        let Some(key) = key else {
            self.unkeyed += 1;
            return;
        };
        self.misplaced += u64::from(partition_for_key(key, self.partitions) != partition);
        match self.counts.get_mut(key) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(key.to_vec(), 1)),
        }
    }

    /// The most used key; of several the first by bytes.
    pub fn hottest(&self) -> Option<&[u8]> {
        let most = self.counts.iter().max_by(|(a, n), (b, m)| n.cmp(m).then(b.cmp(a)));
        most.map(|(key, _)| key.as_slice())
    }

    /// Looks at a value of the most used key. One that is no JSON object has no fields.
    pub fn look_inside(&mut self, value: &[u8]) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(value) else { return };
        self.looked_inside += 1;
        for (name, value) in fields {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            let values = self.fields.entry(name).or_default();
            if values.len() < VALUES {
                values.insert(text);
            }
        }
    }

    /// What was found; `None` when no record has a key.
    pub fn found(&self) -> Option<SampledKeys> {
        let hottest = self.hottest()?;
        let count = self.counts.get(hottest).copied().unwrap_or(0);
        let share = u128::from(count) * 100_000 / u128::from(self.records.max(1));
        let seen = self.counts.len() as u64;
        let times = |n: u64| self.counts.values().filter(|count| **count == n).count() as u64;
        Some(SampledKeys {
            records: self.records,
            unkeyed: self.unkeyed,
            misplaced: self.misplaced,
            seen,
            distinct: chao(seen, times(1), times(2)),
            hottest: String::from_utf8_lossy(hottest).into_owned(),
            hottest_thousandths: u64::try_from(share).unwrap_or(100_000).max(1),
            within: self.within(),
        })
    }

    /// The field with most values, of those that have several and not another one for each record.
    fn within(&self) -> Option<(String, u64)> {
        let spreads = |(name, values): &(&String, &BTreeSet<String>)| {
            let values = values.len() as u64;
            values > 1 && values * 100 <= self.looked_inside * SCATTERS_FROM_PERCENT && !scatters(name)
        };
        let most = self.fields.iter().filter(spreads).max_by_key(|(_, values)| values.len());
        most.map(|(name, values)| (name.clone(), values.len() as u64))
    }
}

/// Chao's lower bound of the number of classes, from those seen once and twice; in the form that needs none seen twice.
pub fn chao(seen: u64, once: u64, twice: u64) -> u64 {
    let unseen = u128::from(once) * u128::from(once.saturating_sub(1)) / (2 * (u128::from(twice) + 1));
    seen.saturating_add(u64::try_from(unseen).unwrap_or(u64::MAX))
}

impl SampledKeys {
    /// The share of the most used key, as a percentage.
    pub fn hottest_share(&self) -> String {
        format!("{}.{:03}%", self.hottest_thousandths / 1_000, self.hottest_thousandths % 1_000)
    }

    /// The fields of `keys:` that say the same in a spec.
    pub fn yaml(&self) -> String {
        let mut text = format!("keys: {{ distinct: {}, hottest: {}", self.distinct, self.hottest_share());
        if let Some((field, values)) = &self.within {
            text.push_str(&format!(", within: {}, within_distinct: {values}", crate::text::quoted(field)));
        }
        text + " }"
    }

    /// Fills in what the spec does not say.
    pub(crate) fn fill(&self, topic: &mut TopicSpec) {
        let span = topic.name.span;
        let none = KeysSpec { span, distinct: None, hottest: None, within: None };
        let keys = topic.keys.get_or_insert(none);
        let count = |count: u64| Count::parse(&count.to_string()).ok();
        keys.distinct = keys.distinct.take().or_else(|| count(self.distinct));
        keys.hottest = keys.hottest.take().or_else(|| Percent::parse(&self.hottest_share()).ok());
        let within = self.within.as_ref().map(|(field, values)| (field.clone(), count(*values)));
        keys.within = keys.within.take().or(within);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_used_key_and_what_spreads_it_are_found() {
        let mut sample = KeySample::new(6);
        for number in 0..1_000_u32 {
            let key = if number % 4 == 0 { "user-7".to_owned() } else { format!("user-{number}") };
            let partition = if number == 1 { 6 } else { partition_for_key(key.as_bytes(), 6) };
            sample.take(partition, Some(key.as_bytes()));
        }
        sample.take(0, None);
        assert_eq!(sample.hottest(), Some(b"user-7".as_slice()));
        for number in 0..250_u32 {
            let value = format!(
                "{{\"session_id\": \"s{}\", \"state\": \"x\", \"nr\": {number}, \"created_at\": {}}}",
                number % 20,
                number % 50
            );
            sample.look_inside(value.as_bytes());
        }
        sample.look_inside(b"no json");
        let found = sample.found().expect("keys");
        assert_eq!((found.records, found.unkeyed, found.misplaced), (1_001, 1, 1));
        assert_eq!(found.hottest_thousandths, 25_074);
        assert_eq!(found.within, Some(("session_id".to_owned(), 20)));
        assert!(
            found.yaml().contains("hottest: 25.074%, within: \"session_id\", within_distinct: 20"),
            "{}",
            found.yaml()
        );
    }

    #[test]
    fn without_keys_nothing_is_found() {
        let mut sample = KeySample::new(1);
        sample.take(0, None);
        assert_eq!(sample.found(), None);
    }

    proptest! {
        #[test]
        fn estimates_are_bounded(seen in 0..1_000_000_u64, once in 0..1_000_000_u64, twice in 0..1_000_000_u64) {
            let estimate = chao(seen, once, twice);
            prop_assert!(estimate >= seen);
            prop_assert!(chao(seen, once, twice + 1) <= estimate, "keys seen twice mean that fewer are unseen");
            prop_assert!(chao(seen, once + 1, twice) >= estimate);
        }

        #[test]
        fn the_share_of_the_most_used_key_is_between_even_and_all(keys in proptest::collection::vec(0..20_u8, 1..300)) {
            let mut sample = KeySample::new(3);
            for key in &keys {
                sample.take(0, Some(&[*key]));
            }
            let found = sample.found().expect("keys");
            prop_assert!(found.hottest_thousandths <= 100_000);
            prop_assert!(found.hottest_thousandths >= 100_000 / found.seen);
            prop_assert!(found.seen <= found.distinct);
        }
    }
}
