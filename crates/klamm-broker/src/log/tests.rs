//! Append, read, retention, and recovery from a file that was cut anywhere.

use super::*;
use crate::settings::LogSettings;
use klamm_wire::batch::{BatchBuilder, BatchView, Compression, Header, ProducerStamp, batches};
use proptest::prelude::*;
use tempfile::TempDir;

const NOW: i64 = 1_700_000_000_000;

struct Log {
    _dir: TempDir,
    path: PathBuf,
    log: PartitionLog,
    settings: LogSettings,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t-0");
        let log = PartitionLog::open(path.clone(), 0, false, NOW).unwrap();
        Self { _dir: dir, path, log, settings: LogSettings::default() }
    }

    fn append(&self, records: Bytes) -> Result<Appended, ErrorCode> {
        self.log.append(&records, &self.settings, NOW, Verified::No).map_err(|error| error.code)
    }

    fn reopen(&mut self) {
        self.log = PartitionLog::open(self.path.clone(), 0, false, NOW).unwrap();
    }

    fn read_all(&self) -> Vec<(i64, Vec<u8>)> {
        let mut all = Vec::new();
        let mut next = self.log.bounds().log_start;
        while let Some(slice) = self.log.slice(next, Isolation::ReadUncommitted, 100, true).unwrap() {
            for batch in batches(&slice.read().unwrap()) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                next = batch.next_offset();
                let mut scratch = Vec::new();
                for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                    let record = record.unwrap();
                    all.push((record.offset, record.value.unwrap_or_default().to_vec()));
                }
            }
        }
        all
    }
}

fn batch_at(timestamp_ms: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(timestamp_ms, Some(b"k"), Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap().into()
}

fn batch(values: &[&str]) -> Bytes {
    batch_at(NOW, values)
}

fn idempotent(sequence: i32, value: &str) -> Bytes {
    let stamp = ProducerStamp { id: 1, epoch: 0, base_sequence: sequence };
    let mut builder = BatchBuilder::new(Compression::Lz4).producer(stamp);
    builder.append(NOW, None, Some(value.as_bytes()), &[Header { key: b"h", value: None }]);
    builder.finish().unwrap().into()
}

#[test]
fn batches_are_read_back_as_they_came_but_for_offset_and_epoch() {
    let log = Log::new();
    log.append(batch(&["a", "b"])).unwrap();
    let sent = batch(&["c"]);
    let appended = log.append(sent.clone()).unwrap();
    assert_eq!(appended.base_offset, 2);
    let stored = log.log.slice(2, Isolation::ReadUncommitted, 1, true).unwrap().unwrap().read().unwrap();
    assert_eq!(stored[16..], sent[16..]);
    assert_eq!(BatchView::parse(&stored).unwrap().base_offset(), 2);
    assert!(
        log.log.slice(3, Isolation::ReadUncommitted, 1, true).unwrap().is_none(),
        "the end is not an error"
    );
    assert_eq!(
        log.log.slice(4, Isolation::ReadUncommitted, 1, true).unwrap_err(),
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    assert!(
        log.log.slice(0, Isolation::ReadUncommitted, 10, false).unwrap().is_none(),
        "less than a batch is not given"
    );
}

#[test]
fn what_is_malformed_is_refused_with_kafkas_error_and_changes_nothing() {
    let mut log = Log::new();
    let mut damaged = batch(&["a"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(log.append(damaged.into()), Err(ErrorCode::CORRUPT_MESSAGE));
    let two = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(log.append(two.into()), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(log.append(Bytes::new()), Err(ErrorCode::CORRUPT_MESSAGE));
    let future = batch_at(NOW + 2 * 3_600_000, &["a"]);
    assert_eq!(log.append(future), Err(ErrorCode::INVALID_TIMESTAMP));
    let large = "x".repeat(2 << 20);
    assert_eq!(log.append(batch(&[&large])), Err(ErrorCode::MESSAGE_TOO_LARGE));
    log.settings.compact = true;
    assert_eq!(log.append(idempotent(0, "no key")), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(log.log.bounds().high_watermark, 0);
}

#[test]
fn log_append_time_replaces_the_producers() {
    let mut log = Log::new();
    log.settings.timestamp_type = TimestampType::LogAppendTime;
    let appended = log.append(batch_at(5, &["a"])).unwrap();
    assert_eq!(appended.log_append_time_ms, NOW);
    assert_eq!(log.log.max_timestamp().unwrap(), Some((NOW, 0)));
    assert_eq!(log.read_all().len(), 1, "the checksum was made anew");
}

#[test]
fn sequences_are_remembered_across_a_restart() {
    let mut log = Log::new();
    for sequence in 0..3 {
        log.append(idempotent(sequence, "v")).unwrap();
    }
    log.reopen();
    assert_eq!(log.append(idempotent(1, "v")).unwrap().base_offset, 1, "a duplicate gets its first offset");
    assert_eq!(log.append(idempotent(4, "v")), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(log.append(idempotent(3, "v")).unwrap().base_offset, 3);
    assert_eq!(log.read_all().len(), 4);
}

#[test]
fn full_segments_are_closed_and_old_ones_removed() {
    let mut log = Log::new();
    log.settings.segment_bytes = 150;
    for index in 0..10 {
        log.append(batch_at(NOW + index, &["0123456789"])).unwrap();
    }
    let files = || std::fs::read_dir(&log.path).unwrap().count();
    let all = files();
    assert!(all > 3, "{all} segments");
    log.settings.retention_bytes = Some(300);
    let moved = log.log.apply_retention(&log.settings, NOW).unwrap().unwrap();
    assert!(files() < all && log.log.size_bytes() >= 300);
    assert_eq!(log.read_all().first().unwrap().0, moved);
    assert_eq!(
        log.log.slice(0, Isolation::ReadUncommitted, 1, true).unwrap_err(),
        ErrorCode::OFFSET_OUT_OF_RANGE
    );

    log.settings.retention_ms = Some(1_000);
    log.log.apply_retention(&log.settings, NOW + 5_000).unwrap();
    assert_eq!(log.log.bounds(), Bounds { log_start: 10, high_watermark: 10, last_stable: 10 });
    assert_eq!(log.append(batch(&["after"])).unwrap().base_offset, 10);
    log.reopen();
    assert_eq!(log.read_all(), [(10, b"after".to_vec())]);
}

#[test]
fn records_before_an_offset_can_be_deleted() {
    let log = Log::new();
    log.append(batch(&["a", "b", "c"])).unwrap();
    assert_eq!(log.log.delete_before(4).unwrap_err(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(log.log.delete_before(2), Ok(2));
    assert_eq!(log.log.delete_before(1), Ok(2), "it never moves back");
    assert_eq!(
        log.log.slice(1, Isolation::ReadUncommitted, 1, true).unwrap_err(),
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    assert_eq!(log.log.delete_before(-1), Ok(3), "-1 is the high watermark");
}

#[test]
fn an_offset_is_found_by_its_time() {
    let mut log = Log::new();
    log.settings.segment_bytes = 400;
    for index in 0..50 {
        log.append(batch_at(NOW - 1_000 + index * 10, &["x", "y"])).unwrap();
    }
    for (timestamp, expected) in [(0, 0), (NOW - 1_000, 0), (NOW - 999, 2), (NOW - 510, 98)] {
        let found = log.log.offset_for_timestamp(timestamp).unwrap();
        assert_eq!(found.map(|(_, offset)| offset), Some(expected), "{timestamp}");
    }
    assert_eq!(log.log.offset_for_timestamp(NOW).unwrap(), None);
    assert_eq!(log.log.max_timestamp().unwrap(), Some((NOW - 510, 98)));
}

#[test]
fn a_deleted_log_takes_no_more() {
    let log = Log::new();
    log.append(batch(&["a"])).unwrap();
    log.log.delete().unwrap();
    assert!(!log.path.exists());
    assert_eq!(log.append(batch(&["b"])), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert!(!log.path.exists());
}

#[test]
fn a_segment_cut_at_any_byte_opens_with_the_batches_before_the_cut() {
    let mut log = Log::new();
    let sent: Vec<_> = (0..4).map(|index| idempotent(index, &format!("value {index}"))).collect();
    sent.iter().for_each(|records| assert!(log.append(records.clone()).is_ok()));
    let path = log.path.join("00000000000000000000.log");
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        log.reopen();
        let sound = cut / sent[0].len();
        assert_eq!(log.read_all().len(), sound, "cut at {cut}");
        assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, sound * sent[0].len());
        // The producer repeats what was not acknowledged.
        assert_eq!(log.append(idempotent(sound as i32, "again")).unwrap().base_offset, sound as i64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_tail_never_takes_what_is_before_it(
        at in any::<prop::sample::Index>(), flip in 1_u8.., garbage in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut log = Log::new();
        let sent: Vec<_> = (0..4).map(|index| idempotent(index, "v")).collect();
        sent.iter().for_each(|records| assert!(log.append(records.clone()).is_ok()));
        let path = log.path.join("00000000000000000000.log");
        let mut bytes = std::fs::read(&path).unwrap();
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        bytes.extend_from_slice(&garbage);
        std::fs::write(&path, &bytes).unwrap();
        log.reopen();
        let before = place / sent[0].len();
        prop_assert!(log.read_all().len() >= before);
    }
}

fn in_transaction(id: i64, epoch: i16, sequence: i32) -> Bytes {
    let stamp = ProducerStamp { id, epoch, base_sequence: sequence };
    let mut builder = BatchBuilder::new(Compression::None).producer(stamp).transactional();
    builder.append(NOW, Some(b"k"), Some(b"v"), &[]);
    builder.finish().unwrap().into()
}

impl Log {
    fn open_transaction(&self, id: i64, epoch: i16, sequence: i32) -> i64 {
        let verified = Verified::Yes;
        self.log
            .append(&in_transaction(id, epoch, sequence), &self.settings, NOW, verified)
            .unwrap()
            .base_offset
    }

    fn end_transaction(&self, producer_id: i64, epoch: i16, outcome: Outcome) -> Result<(), ErrorCode> {
        let marker = Marker { producer_id, epoch, outcome, coordinator_epoch: 0 };
        let written = self.log.append_marker(&marker, TransactionVersion::Two, &self.settings, NOW);
        written.map_err(|error| error.code)
    }

    fn committed_view(&self, from: i64) -> (Vec<i64>, Vec<Aborted>) {
        let slice = self.log.slice(from, Isolation::ReadCommitted, 1 << 20, true).unwrap();
        let Some(slice) = slice else { return (Vec::new(), Vec::new()) };
        let bytes = slice.read().unwrap();
        let offsets = batches(&bytes).map(|batch| batch.unwrap().base_offset()).collect();
        (offsets, self.log.aborted(from, &slice))
    }
}

#[test]
fn the_last_stable_offset_waits_for_the_earliest_open_transaction() {
    let mut log = Log::new();
    log.append(batch(&["a"])).unwrap();
    assert_eq!(log.open_transaction(7, 0, 0), 1);
    assert_eq!(log.open_transaction(8, 0, 0), 2);
    log.append(batch(&["b"])).unwrap();
    assert_eq!((log.log.bounds().high_watermark, log.log.bounds().last_stable), (4, 1));
    assert_eq!(log.committed_view(0), (vec![0], vec![]));
    assert!(log.log.slice(1, Isolation::ReadCommitted, 1 << 20, true).unwrap().is_none());

    log.end_transaction(7, 1, Outcome::Abort).unwrap();
    log.reopen();
    assert_eq!(log.log.bounds().last_stable, 2);
    let aborted = Aborted { producer_id: 7, first_offset: 1, last_offset: 4 };
    assert_eq!(log.committed_view(0), (vec![0, 1], vec![aborted]));

    log.end_transaction(8, 1, Outcome::Commit).unwrap();
    log.reopen();
    assert_eq!(log.log.bounds().last_stable, 6);
    assert_eq!(log.committed_view(0), (vec![0, 1, 2, 3, 4, 5], vec![aborted]));
    assert_eq!(log.committed_view(5).1, vec![], "the aborted one ended before");
}

#[test]
fn a_batch_outside_of_a_known_transaction_is_refused() {
    let log = Log::new();
    assert_eq!(log.append(in_transaction(7, 0, 0)), Err(ErrorCode::INVALID_TXN_STATE));
    log.open_transaction(7, 0, 0);
    assert_eq!(log.append(in_transaction(7, 0, 1)).unwrap().base_offset, 1, "it is open: no question");
    let plain = {
        let stamp = ProducerStamp { id: 7, epoch: 0, base_sequence: 2 };
        let mut builder = BatchBuilder::new(Compression::None).producer(stamp);
        builder.append(NOW, Some(b"k"), None, &[]);
        builder.finish().unwrap().into()
    };
    assert_eq!(log.append(plain), Err(ErrorCode::INVALID_TXN_STATE));
    log.end_transaction(7, 1, Outcome::Commit).unwrap();
    assert_eq!(log.append(in_transaction(7, 0, 2)), Err(ErrorCode::INVALID_PRODUCER_EPOCH), "a zombie");
    assert_eq!(log.append(in_transaction(7, 1, 0)), Err(ErrorCode::INVALID_TXN_STATE));
    let skipped = log.log.append(&in_transaction(7, 1, 1), &log.settings, NOW, Verified::Yes);
    assert_eq!(skipped.unwrap_err().code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn a_batch_does_not_overtake_one_that_asked_to_open_the_transaction_before_it() {
    let log = Log::new();
    let asks = |id, sequence, version| {
        let stamp = ProducerStamp { id, epoch: 0, base_sequence: sequence };
        log.log.wants_verification(stamp, version, NOW).map_err(|error| error.code)
    };
    let append = |id, sequence| {
        let records = in_transaction(id, 0, sequence);
        log.log.append(&records, &log.settings, NOW, Verified::Yes).map_err(|error| error.code)
    };
    assert_eq!(asks(7, 3, TransactionVersion::Classic), Ok(true));
    assert_eq!(asks(7, 4, TransactionVersion::Classic), Ok(true));
    assert_eq!(append(7, 4), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert!(append(7, 3).is_ok(), "an unknown producer may begin anywhere");
    assert_eq!(asks(7, 4, TransactionVersion::Classic), Ok(false), "it is open");
    assert_eq!(asks(9, 5, TransactionVersion::Two), Ok(true));
    assert_eq!(append(9, 5), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), "version 2 begins at 0");
    log.end_transaction(7, 1, Outcome::Commit).unwrap();
    assert_eq!(asks(7, 0, TransactionVersion::Two), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
}

#[test]
fn a_marker_that_is_late_is_refused_and_one_that_repeats_is_not() {
    let log = Log::new();
    log.open_transaction(7, 3, 0);
    assert_eq!(log.end_transaction(7, 3, Outcome::Abort), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    log.end_transaction(7, 4, Outcome::Abort).unwrap();
    log.end_transaction(7, 4, Outcome::Abort).unwrap();
    assert_eq!(log.end_transaction(7, 2, Outcome::Abort), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    let old = Marker { producer_id: 7, epoch: 5, outcome: Outcome::Abort, coordinator_epoch: -1 };
    let fenced = log.log.append_marker(&old, TransactionVersion::Two, &log.settings, NOW);
    assert_eq!(fenced.unwrap_err().code, ErrorCode::TRANSACTION_COORDINATOR_FENCED);
}

proptest! {
    /// A naive reader of the whole log agrees about what is stable and what was aborted, also after the log was opened again.
    #[test]
    fn what_is_stable_and_aborted_is_what_a_reader_of_the_whole_log_finds(
        steps in prop::collection::vec((0_i64..4, 0_u8..3), 1..60),
    ) {
        let mut log = Log::new();
        let mut next = [(0_i16, 0_i32); 4];
        let mut open: [Option<i64>; 4] = [None; 4];
        let (mut aborted, mut end) = (Vec::new(), 0);
        for (producer, step) in steps {
            let at = producer as usize;
            let (epoch, sequence) = next[at];
            match step {
                0 => {
                    let offset = log.open_transaction(producer, epoch, sequence);
                    open[at].get_or_insert(offset);
                    next[at].1 += 1;
                }
                _ => {
                    let outcome = if step == 1 { Outcome::Commit } else { Outcome::Abort };
                    log.end_transaction(producer, epoch + 1, outcome).unwrap();
                    next[at] = (epoch + 1, 0);
                    if let Some(first_offset) = open[at].take().filter(|_| step == 2) {
                        aborted.push(Aborted { producer_id: producer, first_offset, last_offset: end });
                    }
                }
            }
            end += 1;
        }
        let stable = open.iter().flatten().min().copied().unwrap_or(end);
        for _ in 0..2 {
            prop_assert_eq!(log.log.bounds().last_stable, stable);
            let (offsets, told) = log.committed_view(0);
            prop_assert_eq!(offsets, (0..stable).collect::<Vec<_>>());
            let seen: Vec<_> = aborted.iter().filter(|a| a.first_offset < stable).copied().collect();
            prop_assert_eq!(told, seen);
            log.reopen();
        }
    }
}

/// Offset, key and value of a record.
type Seen = (i64, Vec<u8>, Option<Vec<u8>>);

/// Keys, values and offsets that a read_committed reader sees, from a log whose transactions are over.
fn committed_records(log: &Log) -> Vec<Seen> {
    let (mut all, mut next, mut skipping) = (Vec::new(), log.log.bounds().log_start, Vec::new());
    loop {
        let slice = log.log.slice(next, Isolation::ReadCommitted, 1 << 20, true).unwrap();
        let Some(slice) = slice else { return all };
        let mut aborted = log.log.aborted(next, &slice);
        aborted.retain(|aborted| !skipping.contains(aborted));
        let bytes = slice.read().unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            assert!(batch.last_offset() >= next, "forward only");
            next = batch.next_offset();
            let id = batch.producer().map_or(-1, |stamp| stamp.id);
            let begun = aborted.iter().filter(|aborted| aborted.first_offset <= batch.last_offset());
            skipping.extend(begun.copied());
            aborted.retain(|aborted| aborted.first_offset > batch.last_offset());
            if batch.is_control() {
                skipping.retain(|aborted| aborted.producer_id != id);
                continue;
            }
            if batch.is_transactional() && skipping.iter().any(|aborted| aborted.producer_id == id) {
                continue;
            }
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                let record = record.unwrap();
                let value = record.value.map(<[u8]>::to_vec);
                all.push((record.offset, record.key.unwrap().to_vec(), value));
            }
        }
    }
}

/// The newest value of each key.
fn table(records: &[Seen]) -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> {
    let mut table = std::collections::BTreeMap::new();
    for (_, key, value) in records {
        match value {
            Some(value) => drop(table.insert(key.clone(), value.clone())),
            None => drop(table.remove(key)),
        }
    }
    table
}

impl Log {
    fn compacted() -> Self {
        let mut log = Self::new();
        log.settings = LogSettings {
            compact: true,
            delete: false,
            min_dirty_ratio: 0.0,
            delete_retention_ms: 1_000,
            max_compaction_lag_ms: i64::MAX,
            ..log.settings
        };
        log
    }

    fn put(
        &self,
        records: &[(&str, Option<&str>)],
        codec: Compression,
        transaction: Option<(i64, i16, i32)>,
    ) {
        let mut builder = BatchBuilder::new(codec);
        if let Some((id, epoch, base_sequence)) = transaction {
            builder = builder.producer(ProducerStamp { id, epoch, base_sequence }).transactional();
        }
        for (key, value) in records {
            builder.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        }
        let records = builder.finish().unwrap().into();
        self.log.append(&records, &self.settings, NOW, Verified::Yes).unwrap();
    }

    fn roll(&self) {
        lock(&self.log.state).roll(&self.log.dir).unwrap();
    }

    fn compact(&self, now_ms: i64) -> bool {
        self.log.compact(&self.settings, now_ms).unwrap()
    }
}

#[test]
fn compaction_keeps_the_newest_of_each_key_and_where_it_was() {
    let mut log = Log::compacted();
    log.put(&[("a", Some("1")), ("b", Some("1"))], Compression::Lz4, None);
    log.put(&[("a", Some("2"))], Compression::None, None);
    log.put(&[("c", Some("1")), ("b", None)], Compression::Zstd, None);
    log.roll();
    log.put(&[("a", Some("3"))], Compression::None, None);
    let left = |log: &Log| committed_records(log).into_iter().map(|(offset, ..)| offset).collect::<Vec<_>>();
    assert!(log.compact(NOW), "the active segment is left alone");
    for _ in 0..2 {
        assert_eq!(left(&log), [2, 3, 4, 5], "a of the closed segment, c, the tombstone, the active one");
        assert_eq!(log.log.bounds().high_watermark, 6);
        assert!(log.log.slice(0, Isolation::ReadUncommitted, 1, true).unwrap().is_some(), "a gap is skipped");
        log.reopen();
    }
    log.roll();
    assert!(log.compact(NOW + 999));
    assert_eq!(left(&log), [3, 4, 5]);
    log.put(&[("d", Some("1"))], Compression::None, None);
    log.roll();
    assert!(log.compact(NOW + 1_000), "the tombstone has had its time");
    assert_eq!(left(&log), [3, 5, 6]);
    assert!(!log.compact(NOW + 1_000), "nothing is dirty");
}

#[test]
fn compaction_that_was_interrupted_is_finished_at_the_next_open() {
    let mut log = Log::compacted();
    for value in ["1", "2", "3"] {
        log.put(&[("a", Some(value)), (value, Some(value))], Compression::None, None);
        log.roll();
    }
    let before = table(&committed_records(&log));
    let round = log.log.begin_compaction(&log.settings, NOW).unwrap().unwrap();
    assert_eq!(round.run().unwrap().replacements.len(), 1);
    std::fs::write(log.path.join("00000000000000000009.cleaned"), b"half a file").unwrap();
    log.reopen();
    assert_eq!(table(&committed_records(&log)), before);
    assert_eq!(committed_records(&log).len(), 4);
    let names: Vec<_> = std::fs::read_dir(&log.path).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(names.iter().all(|name| name.extension().unwrap() == "log"), "{names:?}");
}

proptest! {
    /// Whatever was written, in and out of transactions: compaction changes no value of any key, keeps offsets, and leaves producers where they are.
    #[test]
    fn compaction_changes_no_key_and_no_producer(
        steps in prop::collection::vec((0_u8..10, 0_usize..4, 0_i64..2, any::<bool>()), 1..60),
    ) {
        let mut log = Log::compacted();
        let keys = ["a", "b", "c", "d"];
        let mut next = [(0_i16, 0_i32); 2];
        let mut open = [false; 2];
        for (at, (step, key, producer, flag)) in steps.iter().enumerate() {
            let (id, slot) = (*producer, *producer as usize);
            let value = at.to_string();
            let value = if *flag && step % 3 == 0 { None } else { Some(value.as_str()) };
            let codec = if *flag { Compression::Snappy } else { Compression::None };
            match step {
                0..3 => log.put(&[(keys[*key], value), (keys[(key + 1) % 4], Some("x"))], codec, None),
                3..6 => {
                    let (epoch, sequence) = next[slot];
                    log.put(&[(keys[*key], value)], codec, Some((id, epoch, sequence)));
                    next[slot].1 += 1;
                    open[slot] = true;
                }
                6..8 => {
                    let outcome = if *flag { Outcome::Abort } else { Outcome::Commit };
                    log.end_transaction(id, next[slot].0 + 1, outcome).unwrap();
                    next[slot] = (next[slot].0 + 1, 0);
                    open[slot] = false;
                }
                _ => log.roll(),
            }
        }
        for id in 0..2_i64 {
            if open[id as usize] {
                log.end_transaction(id, next[id as usize].0 + 1, Outcome::Abort).unwrap();
            }
        }
        log.put(&[("last", Some("1"))], Compression::None, None);
        log.roll();
        let (before, end) = (committed_records(&log), log.log.bounds());
        let producers = log.log.active_producers();
        log.compact(NOW);
        for _ in 0..2 {
            let after = committed_records(&log);
            prop_assert_eq!(table(&after), table(&before));
            prop_assert!(after.iter().all(|record| before.contains(record)), "offsets and values stay");
            prop_assert_eq!(log.log.bounds(), end);
            let standing = |all: Vec<ActiveProducer>| {
                all.iter().map(|p| (p.id, p.epoch, p.last_sequence)).collect::<Vec<_>>()
            };
            prop_assert_eq!(standing(log.log.active_producers()), standing(producers.clone()));
            log.reopen();
        }
    }
}
