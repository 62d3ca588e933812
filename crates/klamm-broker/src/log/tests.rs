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
        self.log.append(&records, &self.settings, NOW).map_err(|error| error.code)
    }

    fn reopen(&mut self) {
        self.log = PartitionLog::open(self.path.clone(), 0, false, NOW).unwrap();
    }

    fn read_all(&self) -> Vec<(i64, Vec<u8>)> {
        let mut all = Vec::new();
        let mut next = self.log.bounds().log_start;
        while let Some(slice) = self.log.slice(next, 100, true).unwrap() {
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
    let stored = log.log.slice(2, 1, true).unwrap().unwrap().read().unwrap();
    assert_eq!(stored[16..], sent[16..]);
    assert_eq!(BatchView::parse(&stored).unwrap().base_offset(), 2);
    assert!(log.log.slice(3, 1, true).unwrap().is_none(), "the end is not an error");
    assert_eq!(log.log.slice(4, 1, true).unwrap_err(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(log.log.slice(0, 10, false).unwrap().is_none(), "less than a batch is not given");
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
    assert_eq!(log.log.slice(0, 1, true).unwrap_err(), ErrorCode::OFFSET_OUT_OF_RANGE);

    log.settings.retention_ms = Some(1_000);
    log.log.apply_retention(&log.settings, NOW + 5_000).unwrap();
    assert_eq!(log.log.bounds(), Bounds { log_start: 10, high_watermark: 10 });
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
    assert_eq!(log.log.slice(1, 1, true).unwrap_err(), ErrorCode::OFFSET_OUT_OF_RANGE);
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
