//! What is counted of one topic while its records go by. Memory is bounded, whatever comes.

use std::collections::BTreeMap;

use klamm_rules::evidence::{HeavyKey, KeyStats, PartitionSample, TopicSample};

use super::distinct::{Keys, fingerprint};
use super::placement::Places;
use super::shape;
use super::sizes::Sizes;
use super::sketch::SpaceSaving;
use super::versions::{Gaps, Versions};

/// Counters of keys.
const COUNTERS: usize = 1_024;
/// Heavy keys that are told.
const HEAVY: usize = 10;
/// Longest key that a counter holds whole; of longer ones it holds the beginning and a fingerprint.
const KEY_BYTES: usize = 256;
/// Most schema ids that are told apart.
const SCHEMAS: usize = 256;
/// A record is late when it is older than one before it by more than this.
const LATE_MS: i64 = 60_000;
/// Of a kind of key that is one for each record, so many percent are there once, or go up.
const ALMOST_ALL_PERCENT: u64 = 95;
/// Fewer keys prove nothing about their kind.
const FEW: u64 = 20;
/// Repartition topics of foreign-key joins are written by the foreign key inside of the key.
const FOREIGN_KEYS: &str = "-subscription-registration-";

/// A record, as far as it is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) header_bytes: u64,
    /// A header says which schema the value has.
    pub(crate) schema_in_header: bool,
    pub(crate) transactional: bool,
}

/// A topic, as far as counting depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) gaps: Gaps,
}

/// Counts of one topic.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Whole numbers that need no more than adding.
    sample: TopicSample,
    foreign_keys: bool,
    partitions: BTreeMap<i32, Partition>,
    sketch: SpaceSaving,
    keys: Keys,
    places: Places,
    sizes: Sizes,
    versions: Versions,
    /// Keys that hold the time of their record.
    timed: u64,
    batches: u64,
    log_append_batches: u64,
    newest_ahead_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Partition {
    records: u64,
    bytes: u64,
    /// Oldest and newest time stamp.
    times: Option<(i64, i64)>,
    number: Option<i64>,
    steps: u64,
    rising: u64,
}

impl Tally {
    pub(crate) fn new(about: &About) -> Self {
        Tally {
            sample: TopicSample { topic: about.topic.clone(), ..TopicSample::default() },
            foreign_keys: about.topic.to_ascii_lowercase().contains(FOREIGN_KEYS),
            partitions: BTreeMap::new(),
            sketch: SpaceSaving::new(COUNTERS),
            keys: Keys::default(),
            places: Places::new(about.partitions),
            sizes: Sizes::default(),
            versions: Versions::new(about.gaps),
            timed: 0,
            batches: 0,
            log_append_batches: 0,
            newest_ahead_ms: None,
        }
    }

    /// Counts a batch.
    pub(crate) fn batch(&mut self, codec: &str, log_append_time: LogAppendTime) {
        self.batches += 1;
        self.log_append_batches += u64::from(log_append_time == LogAppendTime::Yes);
        match self.sample.codecs.get_mut(codec) {
            Some(count) => *count += 1,
            None => drop(self.sample.codecs.insert(codec.to_owned(), 1)),
        }
    }

    /// Counts a record, at `now_ms` by this machine's clock. Those of a partition come in order.
    pub(crate) fn take(&mut self, record: Record<'_>, now_ms: i64) {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u64);
        let bytes = length(record.key) + length(record.value) + record.header_bytes;
        self.sample.records += 1;
        self.sample.bytes += bytes;
        self.sample.transactional += u64::from(record.transactional);
        self.sizes.take(bytes);
        let partition = self.partitions.entry(record.partition).or_default();
        partition.records += 1;
        partition.bytes += bytes;
        // -1: a record without a time stamp.
        if record.timestamp_ms >= 0 {
            self.sample.backwards += u64::from(partition.time(record.timestamp_ms));
            let ahead = record.timestamp_ms.saturating_sub(now_ms);
            self.newest_ahead_ms = Some(self.newest_ahead_ms.map_or(ahead, |newest| newest.max(ahead)));
        }
        match record.key {
            Some(key) => self.key(key, record),
            None => self.sample.keys.unkeyed += 1,
        }
        self.value(record);
    }

    fn key(&mut self, key: &[u8], record: Record<'_>) {
        let keys = &mut self.sample.keys;
        keys.keyed += 1;
        keys.mutable += u64::from(shape::holds_email(key));
        self.timed += u64::from(shape::holds_time(key, record.timestamp_ms));
        if let Some(partition) = self.partitions.get_mut(&record.partition) {
            partition.number(shape::number(key));
        }
        let print = fingerprint(key);
        self.keys.take(print, record.partition, shape::is_uuid(key));
        match key.len() {
            0..=KEY_BYTES => self.sketch.take(key),
            _ => self.sketch.take(&[&key[..KEY_BYTES], &print.to_be_bytes()].concat()),
        }
        if self.foreign_keys || shape::is_windowed(key) {
            keys.windowed += 1;
        } else if !key.is_empty() {
            // Some clients scatter empty keys, as they do records without one.
            self.places.take(key, record.partition, record.timestamp_ms);
        }
    }

    fn value(&mut self, record: Record<'_>) {
        let Some(value) = record.value else {
            self.sample.tombstones += 1;
            return;
        };
        let id = shape::schema_id(value);
        self.sample.framed += u64::from(id.is_some() || record.schema_in_header);
        if let Some(id) = id {
            let ids = &mut self.sample.schema_ids;
            if ids.len() < SCHEMAS || ids.contains_key(&id) {
                *ids.entry(id).or_default() += 1;
            }
        }
        self.sample.json += u64::from(shape::is_json(value));
        if let Some(key) = record.key {
            self.versions.take((record.partition, record.offset), key, value);
        }
    }

    /// What was found; `cut` says why it is not all that was wanted.
    pub(crate) fn found(self, cut: Option<String>) -> TopicSample {
        let (per_record, per_record_kind) = self.per_record();
        let heavy = self.sketch.heaviest(HEAVY).into_iter().map(|slot| HeavyKey {
            key: shape::shown(&slot.key[..slot.key.len().min(KEY_BYTES)]),
            records: slot.count,
            error: slot.error,
        });
        let keys = KeyStats {
            seen: self.keys.seen(),
            distinct: self.keys.distinct(),
            heavy: heavy.collect(),
            per_record,
            per_record_kind,
            ..self.sample.keys
        };
        let partition = |(partition, found): (&i32, &Partition)| PartitionSample {
            partition: *partition,
            records: found.records,
            bytes: found.bytes,
            oldest_ms: found.times.map_or(-1, |(oldest, _)| oldest),
            newest_ms: found.times.map_or(-1, |(_, newest)| newest),
        };
        TopicSample {
            cut,
            partitions: self.partitions.iter().map(partition).collect(),
            keys,
            placement: self.places.found(self.keys.in_several()),
            size_p50: self.sizes.percentile(50),
            size_p99: self.sizes.percentile(99),
            size_max: self.sizes.largest(),
            log_append_time: self.log_append_batches * 2 > self.batches,
            newest_ahead_ms: self.newest_ahead_ms.unwrap_or(0),
            version_gaps: self.versions.found(),
            ..self.sample
        }
    }

    /// Records whose key is likely to be theirs alone, and the kind of such keys. A UUID or a number names a record only
    /// where almost none comes twice: an entity may have one as well.
    fn per_record(&self) -> (u64, Option<String>) {
        let almost_all = |part: u64, all: u64| all >= FEW && part * 100 >= all * ALMOST_ALL_PERCENT;
        let uuids = self.keys.held().filter(|held| held.uuid);
        let (once, uuids) =
            uuids.fold((0, 0), |(once, all), held| (once + u64::from(held.records == 1), all + 1));
        let (rising, steps) = self
            .partitions
            .values()
            .fold((0, 0), |(rising, steps), partition| (rising + partition.rising, steps + partition.steps));
        let kinds = [
            ("uuid", if almost_all(once, uuids) { once } else { 0 }),
            ("timestamp", self.timed),
            ("counter", if almost_all(rising, steps) { rising } else { 0 }),
        ];
        let most = kinds.into_iter().rev().max_by_key(|(_, records)| *records);
        match most {
            Some((kind, records)) if records > 0 => (records, Some(kind.to_owned())),
            _ => (0, None),
        }
    }
}

/// Whether the broker set a batch's time stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogAppendTime {
    /// It did.
    Yes,
    /// The producer did.
    No,
}

impl Partition {
    /// Takes a time stamp; whether it is late.
    fn time(&mut self, ms: i64) -> bool {
        let (oldest, newest) = self.times.unwrap_or((ms, ms));
        self.times = Some((oldest.min(ms), newest.max(ms)));
        ms < newest.saturating_sub(LATE_MS)
    }

    fn number(&mut self, number: Option<i64>) {
        if let (Some(last), Some(number)) = (self.number, number) {
            self.steps += 1;
            self.rising += u64::from(number > last);
        }
        self.number = number;
    }
}

#[cfg(test)]
mod tests {
    use klamm_kafka::partition_for_key;
    use proptest::prelude::*;

    use super::*;

    fn tally(partitions: i32) -> Tally {
        Tally::new(&About { topic: "t".into(), partitions, gaps: Gaps::Matter })
    }

    fn keys(keys: impl IntoIterator<Item = String>) -> TopicSample {
        let mut tally = tally(3);
        for (offset, key) in keys.into_iter().enumerate() {
            let partition = partition_for_key(key.as_bytes(), 3);
            let key = Some(key.as_bytes());
            let timestamp_ms = 1_760_000_000_000 + offset as i64;
            tally
                .take(Record { partition, offset: offset as i64, timestamp_ms, key, ..Record::default() }, 0);
        }
        tally.found(None)
    }

    fn uuid(number: usize) -> String {
        format!("123e4567-e89b-12d3-a456-{number:012}")
    }

    #[test]
    fn uuids_are_one_for_each_record_only_when_none_comes_back() {
        let once = keys((0..100).map(uuid)).keys;
        assert_eq!((once.per_record, once.per_record_kind.as_deref()), (100, Some("uuid")));
        let again = keys((0..100).map(|number| uuid(number % 30))).keys;
        assert_eq!((again.per_record, again.per_record_kind), (0, None));
    }

    #[test]
    fn times_and_counters_in_keys_are_told() {
        let timed = keys((0..50).map(|number| format!("user-{}-17600000000{number:02}", number % 5))).keys;
        assert_eq!((timed.per_record, timed.per_record_kind.as_deref()), (50, Some("timestamp")));
        let counted = keys((0..100).map(|number| number.to_string())).keys;
        assert_eq!((counted.per_record, counted.per_record_kind.as_deref()), (97, Some("counter")));
        let random = keys((0..100_u64).map(|number| (number * 7_919 % 1_009).to_string())).keys;
        assert_eq!(random.per_record, 0);
    }

    #[test]
    fn a_hot_key_is_the_heaviest_with_its_error() {
        let found = keys((0..5_000).map(|number| match number % 4 {
            0 => "hot".to_owned(),
            _ => format!("cold-{number}"),
        }));
        let hot = &found.keys.heavy[0];
        assert_eq!(hot.key, "hot");
        assert!(hot.records >= 1_250 && hot.records - hot.error <= 1_250, "{hot:?}");
        assert_eq!(found.keys.heavy.len(), HEAVY);
        assert_eq!(found.placement.murmur2, 5_000);
    }

    #[test]
    fn times_are_compared_within_a_partition() {
        let mut tally = tally(2);
        let mut take = |partition, timestamp_ms| {
            tally.take(Record { partition, timestamp_ms, ..Record::default() }, 1_000_000);
        };
        take(0, 500_000);
        take(0, 439_999);
        take(0, 440_000);
        take(1, 100);
        take(1, -1);
        take(0, 1_000_500);
        let found = tally.found(None);
        assert_eq!((found.backwards, found.newest_ahead_ms, found.tombstones), (1, 500, 6));
        let times: Vec<_> = found.partitions.iter().map(|found| (found.oldest_ms, found.newest_ms)).collect();
        assert_eq!(times, [(439_999, 1_000_500), (100, 100)]);
    }

    #[test]
    fn keys_that_streams_places_itself_are_not_checked() {
        let mut tally = tally(2);
        let key = [b"user-7".as_slice(), &1_760_000_000_000_i64.to_be_bytes()].concat();
        tally.take(Record { key: Some(&key), ..Record::default() }, 0);
        let found = tally.found(None);
        assert_eq!((found.keys.windowed, found.placement.checked), (1, 0));
    }

    #[test]
    fn records_of_transactions_and_of_foreign_key_joins_are_known() {
        let topic = "app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic";
        let mut tally = Tally::new(&About { topic: topic.into(), partitions: 2, gaps: Gaps::Matter });
        tally.take(Record { key: Some(b"k"), transactional: true, ..Record::default() }, 0);
        tally.take(
            Record { key: Some(b"k"), schema_in_header: true, value: Some(b"v"), ..Record::default() },
            0,
        );
        let found = tally.found(None);
        assert_eq!((found.transactional, found.framed, found.tombstones), (1, 1, 1));
        assert_eq!((found.keys.windowed, found.placement.checked), (2, 0));
    }

    #[test]
    fn batches_tell_codecs_and_whose_time_it_is() {
        let mut tally = tally(1);
        tally.batch("lz4", LogAppendTime::Yes);
        tally.batch("none", LogAppendTime::Yes);
        tally.batch("lz4", LogAppendTime::No);
        let found = tally.found(Some("20 s were over".into()));
        assert!(found.log_append_time && found.codecs["lz4"] == 2 && found.codecs["none"] == 1);
        assert!(found.cut.is_some());
    }

    proptest! {
        #[test]
        fn counts_add_up(
            records in proptest::collection::vec(
                (0..4_i32, any::<i64>(), any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>()), 0..200,
            ),
            now: i64,
        ) {
            let mut tally = tally(4);
            for (offset, (partition, timestamp_ms, key, value)) in records.iter().enumerate() {
                let (key, value) = (key.as_deref(), value.as_deref());
                let offset = offset as i64;
                tally.take(Record { partition: *partition, offset, timestamp_ms: *timestamp_ms, key, value, ..Record::default() }, now);
            }
            let found = tally.found(None);
            let all = records.len() as u64;
            prop_assert_eq!(found.records, all);
            prop_assert_eq!(found.keys.keyed + found.keys.unkeyed, all);
            prop_assert_eq!(found.partitions.iter().map(|found| found.records).sum::<u64>(), all);
            prop_assert_eq!(found.partitions.iter().map(|found| found.bytes).sum::<u64>(), found.bytes);
            prop_assert!(found.keys.seen <= found.keys.distinct && found.keys.seen <= found.keys.keyed);
            prop_assert!(found.size_p50 <= found.size_p99 && found.size_p99 <= found.size_max);
            prop_assert!(found.placement.checked + found.keys.windowed <= found.keys.keyed);
        }
    }
}
