//! Round trips through every codec, and what malformed bytes give.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn record() -> impl Strategy<Value = Owned> {
    let bytes = || vec(any::<u8>(), 0..200);
    (any::<i64>(), option::of(bytes()), option::of(bytes()), vec((bytes(), option::of(bytes())), 0..4))
}

fn build(codec: Compression, records: &[Owned]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> =
            headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let before = builder.size_bytes();
        builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
        let bound = BatchBuilder::record_bound(key.as_deref(), value.as_deref(), &headers);
        assert!(builder.size_bytes() - before <= bound);
    }
    builder.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Owned>, BatchError> {
    let mut scratch = Vec::new();
    BatchView::parse_single(bytes)?
        .records(&mut scratch, LIMIT)?
        .map(|record| {
            let record = record?;
            let owned = |bytes: &[u8]| bytes.to_vec();
            let headers = record.headers().map(|h| (h.key.to_vec(), h.value.map(owned))).collect();
            Ok((record.timestamp_ms, record.key.map(owned), record.value.map(owned), headers))
        })
        .collect()
}

fn kind(result: Result<impl std::fmt::Debug, BatchError>) -> BatchErrorKind {
    result.unwrap_err().kind().clone()
}

proptest! {
    #[test]
    fn records_survive_every_codec(records in vec(record(), 1..20), id in 0_u8..5) {
        let codec = Compression::from_id(id).unwrap();
        let bytes = build(codec, &records);
        let view = BatchView::parse_single(&bytes).unwrap();
        view.verify_crc().unwrap();
        prop_assert_eq!(view.compression().unwrap(), codec);
        prop_assert_eq!(view.record_count() as usize, records.len());
        prop_assert_eq!(view.last_offset(), records.len() as i64 - 1);
        prop_assert_eq!(view.max_timestamp_ms(), records.iter().map(|r| r.0).max().unwrap());
        prop_assert_eq!(read(&bytes).unwrap(), records);
    }

    #[test]
    fn memory_of_an_earlier_batch_leaves_no_trace_in_the_next(
        first in vec(record(), 1..6), second in vec(record(), 1..6), id in 0_u8..5,
    ) {
        let codec = Compression::from_id(id).unwrap();
        let stamp = ProducerStamp { id: 9, epoch: 3, base_sequence: 77 };
        let with = |buffer: Vec<u8>, output: Vec<u8>, records: &[Owned]| {
            let mut builder = BatchBuilder::with_buffer(codec, buffer);
            for (timestamp, key, value, headers) in records {
                let headers = headers.iter().map(|(key, value)| Header { key, value: value.as_deref() });
                let bound = BatchBuilder::record_bound_with(key.as_deref(), value.as_deref(), headers.clone());
                let before = builder.size_bytes();
                builder.append_with(*timestamp, key.as_deref(), value.as_deref(), headers);
                assert!(builder.size_bytes() - before <= bound);
            }
            builder.finish_unstamped(output).unwrap()
        };
        let used = with(Vec::new(), Vec::new(), &first);
        let mut bytes = with(used.batch, used.spare, &second).batch;
        BatchMut::parse_single(&mut bytes).unwrap().set_producer(stamp);
        let mut fresh = build(codec, &second);
        BatchMut::parse_single(&mut fresh).unwrap().set_producer(stamp);
        prop_assert_eq!(&bytes, &fresh);
        BatchView::parse_single(&bytes).unwrap().verify_crc().unwrap();
        prop_assert_eq!(read(&bytes).unwrap(), second);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        for batch in batches(&bytes) {
            let mut scratch = Vec::new();
            if let Ok(records) = batch.and_then(|b| b.records(&mut scratch, LIMIT)) {
                for record in records.flatten() {
                    record.headers().for_each(drop);
                }
            }
        }
    }

    #[test]
    fn a_damaged_batch_never_panics(
        records in vec(record(), 1..6), id in 0_u8..5, at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let mut bytes = build(Compression::from_id(id).unwrap(), &records);
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        let _ = read(&bytes);
        if let Ok(view) = BatchView::parse_single(&bytes) {
            let covered = place >= at::CRC;
            prop_assert_eq!(view.verify_crc().is_err(), covered);
        }
    }

    #[test]
    fn batches_end_cleanly_where_the_bytes_are_cut(cut in any::<prop::sample::Index>()) {
        let one = build(Compression::None, &[(1, None, Some(b"x".to_vec()), vec![])]);
        let all = one.repeat(3);
        let cut = cut.index(all.len() + 1);
        let mut iterator = batches(&all[..cut]);
        prop_assert_eq!(iterator.by_ref().map(Result::unwrap).count(), cut / one.len());
        prop_assert_eq!(iterator.rest().len(), cut % one.len());
    }
}

#[test]
fn a_decompression_bomb_stops_at_the_limit() {
    let bomb = vec![(0, None, Some(vec![0; 10 * LIMIT]), vec![])];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = build(codec, &bomb);
        assert!(bytes.len() < LIMIT, "{codec} compresses zeros");
        assert_eq!(kind(read(&bytes)), BatchErrorKind::TooLarge { limit_bytes: LIMIT }, "{codec}");
    }
}

#[test]
fn raw_snappy_is_read_as_librdkafka_writes_it() {
    let plain = build(Compression::None, &[(7, Some(b"k".to_vec()), Some(b"v".to_vec()), vec![])]);
    let mut bytes = plain[..HEADER_BYTES].to_vec();
    bytes.extend(snap::raw::Encoder::new().compress_vec(&plain[HEADER_BYTES..]).unwrap());
    let length = (bytes.len() - LENGTH_PREFIX_BYTES) as i32;
    bytes[at::LENGTH..at::LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    bytes[at::ATTRIBUTES + 1] = Compression::Snappy.id();
    assert_eq!(read(&bytes).unwrap()[0].1.as_deref(), Some(b"k".as_slice()));
}

#[test]
fn a_second_batch_is_refused_where_one_is_expected() {
    let one = build(Compression::None, &[(1, None, None, vec![])]);
    let two = one.repeat(2);
    assert_eq!(
        kind(BatchView::parse_single(&two)),
        BatchErrorKind::NotOneBatch { trailing_bytes: one.len() }
    );
}

#[test]
fn older_message_formats_are_named() {
    let mut bytes = build(Compression::None, &[(1, None, None, vec![])]);
    bytes[at::MAGIC] = 1;
    assert_eq!(kind(BatchView::parse(&bytes)), BatchErrorKind::Magic { found: 1 });
}

#[test]
fn a_count_that_is_not_the_number_of_records_is_refused() {
    for count in [0, 2, -1, i32::MAX] {
        let mut bytes = build(Compression::None, &[(1, None, Some(vec![0; 20]), vec![])]);
        bytes[at::COUNT..at::COUNT + 4].copy_from_slice(&i32::to_be_bytes(count));
        assert!(read(&bytes).is_err(), "count {count}");
    }
}

#[test]
fn stamps_in_place_keep_the_batch_sound() {
    let mut bytes =
        build(Compression::Zstd, &[(1, Some(b"k".to_vec()), None, vec![]), (2, None, None, vec![])]);
    let stamp = ProducerStamp { id: 9, epoch: 3, base_sequence: 77 };
    let mut batch = BatchMut::parse_single(&mut bytes).unwrap();
    batch.set_base_offset(1000);
    batch.set_partition_leader_epoch(5);
    batch.set_producer(stamp);
    batch.set_log_append_time(99);
    let view = batch.view();
    view.verify_crc().unwrap();
    assert_eq!((view.base_offset(), view.last_offset(), view.next_offset()), (1000, 1001, 1002));
    assert_eq!(view.partition_leader_epoch(), 5);
    assert_eq!(view.producer(), Some(stamp));
    assert_eq!(view.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(read(&bytes).unwrap().iter().map(|r| r.0).collect::<Vec<_>>(), [99, 99]);
}
