//! From a record to its outcome, through all the machines.

use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode as Code;
use klamm_wire::batch::{BatchView, Compression};
use proptest::prelude::*;

use super::*;
use crate::packed::Packed;
use crate::{ProduceErrorKind, RecordView};

struct Bench {
    accumulator: Accumulator,
    producer: Producer,
    now: Instant,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings() -> Settings {
    Settings::from_options(&ProducerOptions::default())
}

impl Bench {
    fn new(partitions: u32, settings: Settings, batch_bytes: usize) -> Bench {
        let (now, limit) = (Instant::now(), settings.max_request_bytes);
        let accumulator = Accumulator::new(Compression::None, batch_bytes, limit, ms(5), 1 << 20);
        let mut producer = Producer::new(settings, 1);
        producer.connected(1);
        for partition in 0..partitions {
            let slot = producer.add("orders".into(), partition as i32);
            producer.set_leader(slot, Some(1), now);
        }
        Bench { accumulator, producer, now }
    }

    fn append(&mut self, slot: u32, value: &[u8]) -> Result<Place, ProduceErrorKind> {
        let mut packed = Packed::default();
        packed.push(0, None, Some(b"key"), Some(value));
        packed.header("name", Some(b"header"));
        let view = packed.get(0).unwrap();
        self.accumulator.append(Slot(slot), &view, 7, self.now)
    }

    fn pass(&mut self) {
        for slot in self.producer.hungry() {
            self.accumulator.offer(slot, self.producer.appetite(slot));
        }
        self.accumulator.seal_due(self.now, |slot| self.producer.appetite(slot));
        while let Some((slot, raw)) = self.accumulator.take_sealed() {
            self.producer.sealed(slot, &raw, self.now);
            let id = raw.id();
            let (bytes, spare) = raw.encode(self.accumulator.pool().take()).unwrap();
            spare.into_iter().for_each(|buffer| self.accumulator.pool().give(buffer));
            self.producer.compressed(slot, id, Ok(bytes), self.now);
        }
    }

    /// Asks until there is nothing left, and names who the producer is when it wants to know.
    fn requests(&mut self) -> Vec<Request> {
        self.pass();
        let mut requests = Vec::new();
        while let Some(ask) = self.producer.ask(self.now) {
            match ask {
                Ask::Connect(broker) => self.producer.connected(broker),
                Ask::Send(request) => requests.push(request),
                Ask::Identity => self.producer.identified(Ok(Identity { id: 9, epoch: 0 }), self.now),
                Ask::Metadata(topics) => panic!("leaders of {topics:?} are known"),
            }
        }
        requests
    }

    fn acknowledge(&mut self, request: &Request, base_offset: i64) {
        let answer = Answer { base_offset, ..Answer::code(Code::NONE) };
        let answers = request.parts.iter().map(|part| (part.slot, answer.clone())).collect();
        self.producer.answered(request.id, answers, self.now);
    }
}

#[test]
fn a_receipt_is_the_offset_of_its_batch_and_its_index() {
    let mut bench = Bench::new(1, settings(), 16_384);
    let places: Vec<_> = (0..3).map(|_| bench.append(0, b"v").unwrap()).collect();
    let request = bench.requests().remove(0);
    bench.acknowledge(&request, 40);
    let outcome = bench.producer.outcomes().next().unwrap();
    let stored = outcome.result.unwrap();
    let offsets: Vec<_> = places.iter().map(|place| stored.offset(&outcome.records, place.index)).collect();
    assert_eq!(offsets, [40, 41, 42]);
    assert!(places.iter().all(|place| place.batch == outcome.batch));
}

#[test]
fn a_full_batch_does_not_linger_and_a_large_record_has_its_own() {
    let mut bench = Bench::new(1, settings(), 300);
    let small: Vec<_> = (0..10).map(|_| bench.append(0, &[1; 40]).unwrap().batch).collect();
    assert!(small.first() != small.last());
    let large = bench.append(0, &[1; 5_000]).unwrap();
    assert_eq!(large.index, 0);
    assert!(!bench.accumulator.has_open(Slot(0)), "it is full at once");
    let limit = settings().max_request_bytes;
    let error = bench.append(0, &vec![1; limit]).unwrap_err();
    assert!(
        matches!(error, ProduceErrorKind::TooLarge { bytes: Some(_), limit } if limit == "max.request.size=1048576")
    );
}

#[test]
fn an_idle_partition_does_not_linger_and_a_busy_one_does() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.append(0, b"v").unwrap();
    bench.accumulator.offer(Slot(0), bench.producer.appetite(Slot(0)));
    let first = bench.requests().remove(0);
    bench.append(0, b"v").unwrap();
    bench.accumulator.offer(Slot(0), bench.producer.appetite(Slot(0)));
    assert!(bench.requests().is_empty(), "one is in flight: there is time for more");
    bench.acknowledge(&first, 0);
    assert_eq!(bench.requests().len(), 1, "it ran dry");
}

#[test]
fn what_has_lingered_grows_on_while_another_batch_waits_before_it() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.producer.set_leader(Slot(0), None, bench.now);
    for round in 0..20 {
        bench.append(0, &[round; 100]).unwrap();
        bench.now += ms(5);
        bench.pass();
    }
    assert_eq!(bench.producer.queue_len(Slot(0)), 1);
    bench.producer.set_leader(Slot(0), Some(1), bench.now);
    let mut records = Vec::new();
    while let Some(request) = bench.requests().pop() {
        records.push(BatchView::parse_single(&request.parts[0].bytes).unwrap().record_count());
        bench.acknowledge(&request, 0);
    }
    assert_eq!(records, [1, 19]);
}

#[test]
fn a_request_has_one_batch_a_partition_and_keeps_to_its_size() {
    let limited = Settings { max_request_bytes: 1_000, ..settings() };
    let mut bench = Bench::new(8, limited, 250);
    for _ in 0..3 {
        (0..8).for_each(|slot| {
            bench.append(slot, &[1; 150]).unwrap();
            bench.accumulator.seal(Slot(slot));
        });
    }
    let requests = bench.requests();
    for request in &requests {
        let mut slots: Vec<_> = request.parts.iter().map(|part| part.slot).collect();
        slots.sort_unstable();
        assert!(slots.is_sorted_by(|a, b| a < b), "one batch a partition: {slots:?}");
        assert!(request.parts.iter().map(|part| part.bytes.len()).sum::<usize>() <= 1_000);
    }
    let firsts: Vec<_> = requests.iter().flat_map(|request| &request.parts).map(|part| part.slot.0).collect();
    assert_eq!(firsts, (0..8).collect::<Vec<_>>(), "each has its turn before one has two");
}

#[test]
fn a_broker_has_as_many_requests_as_it_may_have() {
    let mut bench = Bench::new(1, settings(), 16_384);
    let mut offset = 0;
    let mut most = 0;
    for _ in 0..4 {
        for _ in 0..12 {
            bench.append(0, b"v").unwrap();
            bench.accumulator.seal(Slot(0));
        }
        let mut waiting: std::collections::VecDeque<_> = bench.requests().into();
        while let Some(request) = waiting.pop_front() {
            most = most.max(waiting.len() + 1);
            bench.acknowledge(&request, offset);
            offset += 1;
            waiting.extend(bench.requests());
        }
    }
    assert_eq!((most, offset), (5, 48));
}

#[test]
fn six_hundred_partitions_share_a_broker_and_all_are_served() {
    let mut bench = Bench::new(600, settings(), 16_384);
    (0..600).for_each(|slot| {
        bench.append(slot, b"v").unwrap();
    });
    bench.now += ms(5);
    let requests = bench.requests();
    assert_eq!(requests.iter().map(|request| request.parts.len()).sum::<usize>(), 600);
    requests.iter().for_each(|request| bench.acknowledge(request, 0));
    assert_eq!(bench.producer.outcomes().count(), 600);
    assert_eq!((bench.producer.wake_at(), bench.producer.queued_bytes()), (None, 0));
}

#[test]
fn a_partition_without_a_leader_asks_for_metadata_and_asks_again_after_a_while() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.producer.set_leader(Slot(0), None, bench.now);
    bench.append(0, b"v").unwrap();
    bench.accumulator.seal(Slot(0));
    bench.pass();
    let asked = Some(Ask::Metadata(vec!["orders".into()]));
    assert_eq!(bench.producer.ask(bench.now), asked);
    assert_eq!(bench.producer.ask(bench.now), None);
    bench.producer.set_leader(Slot(0), None, bench.now);
    bench.now = bench.producer.wake_at().unwrap();
    assert_eq!(bench.producer.ask(bench.now), asked);
}

#[test]
fn a_broker_that_cannot_be_reached_gets_no_request_and_what_waited_for_it_has_no_effect() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.producer.disconnected(1, "connection reset", bench.now);
    bench.append(0, b"v").unwrap();
    bench.accumulator.seal(Slot(0));
    bench.pass();
    assert_eq!(bench.producer.ask(bench.now), None, "not at once again");
    bench.now = bench.producer.wake_at().unwrap();
    assert_eq!(bench.producer.ask(bench.now), Some(Ask::Connect(1)));
    assert_eq!(bench.producer.ask(bench.now), None);
    bench.producer.disconnected(1, "connection refused", bench.now);
    assert!(matches!(bench.producer.ask(bench.now), Some(Ask::Metadata(_))), "perhaps another one leads");
    bench.now += settings().delivery_timeout;
    while bench.producer.ask(bench.now).is_some() {}
    let outcome = bench.producer.outcomes().next().unwrap();
    let Err(ProduceErrorKind::TimedOut { last_answer, in_doubt: false, .. }) = outcome.result else {
        panic!("{outcome:?}")
    };
    assert_eq!(last_answer.as_deref(), Some("connection refused"));
}

#[test]
fn a_broker_whose_quota_is_used_up_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::new(1, settings(), 16_384);
    let until = bench.now + ms(300);
    bench.producer.throttled(1, until);
    bench.append(0, b"v").unwrap();
    bench.accumulator.seal(Slot(0));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.producer.wake_at(), Some(until));
    bench.now = until;
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn closing_ends_what_has_no_outcome_and_what_comes_later() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.append(0, b"v").unwrap();
    bench.now += ms(5);
    let request = bench.requests().remove(0);
    bench.producer.close(bench.now);
    bench.acknowledge(&request, 3);
    bench.append(0, b"v").unwrap();
    bench.now += ms(5);
    assert!(bench.requests().is_empty());
    let closed = |outcome: Outcome| outcome.result == Err(ProduceErrorKind::Closed);
    assert_eq!(bench.producer.outcomes().map(closed).collect::<Vec<_>>(), [true; 2]);
}

#[test]
fn without_an_id_nothing_is_sent_and_the_outcome_says_why() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.append(0, b"v").unwrap();
    bench.accumulator.seal(Slot(0));
    bench.pass();
    assert_eq!(bench.producer.ask(bench.now), Some(Ask::Identity));
    assert_eq!(bench.producer.ask(bench.now), None, "one question at a time");
    bench.producer.identified(Err(Code::COORDINATOR_LOAD_IN_PROGRESS), bench.now);
    assert_eq!(bench.producer.ask(bench.now), None, "not at once again");
    bench.now = bench.producer.wake_at().unwrap();
    assert_eq!(bench.producer.ask(bench.now), Some(Ask::Identity));
    bench.now += settings().delivery_timeout;
    assert_eq!(bench.producer.ask(bench.now), None);
    let outcome = bench.producer.outcomes().next().unwrap();
    let Err(ProduceErrorKind::TimedOut { last_answer: Some(text), in_doubt: false, .. }) = outcome.result
    else {
        panic!("{outcome:?}")
    };
    assert!(text.starts_with("InitProducerId: COORDINATOR_LOAD_IN_PROGRESS"), "{text}");
}

#[test]
fn a_right_that_is_missing_ends_what_waits_and_not_what_comes_later() {
    let mut bench = Bench::new(1, settings(), 16_384);
    bench.append(0, b"v").unwrap();
    bench.accumulator.seal(Slot(0));
    bench.pass();
    assert_eq!(bench.producer.ask(bench.now), Some(Ask::Identity));
    bench.producer.identified(Err(Code::CLUSTER_AUTHORIZATION_FAILED), bench.now);
    assert_eq!(bench.producer.outcomes().next().unwrap().result, Err(ProduceErrorKind::Denied));
    bench.now += ms(1_000);
    bench.append(0, b"v").unwrap();
    bench.now += ms(5);
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn a_fenced_producer_ends_all_partitions_and_takes_nothing_more() {
    let mut bench = Bench::new(2, settings(), 16_384);
    bench.append(0, b"v").unwrap();
    bench.append(1, b"v").unwrap();
    bench.now += ms(5);
    let request = bench.requests().remove(0);
    let answers = vec![
        (Slot(0), Answer::code(Code::PRODUCER_FENCED)),
        (Slot(1), Answer::code(Code::NOT_ENOUGH_REPLICAS)),
    ];
    bench.producer.answered(request.id, answers, bench.now);
    bench.append(0, b"v").unwrap();
    bench.now += ms(5);
    assert!(bench.requests().is_empty());
    let fenced = |outcome: Outcome| matches!(outcome.result, Err(ProduceErrorKind::Fenced { .. }));
    assert!(bench.producer.fatal().is_some());
    assert_eq!(bench.producer.outcomes().map(fenced).collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn memory_of_batches_that_have_their_outcome_is_used_again() {
    let mut bench = Bench::new(1, settings(), 16_384);
    for round in 0..3 {
        (0..12).for_each(|_| {
            bench.append(0, &[1; 1_000]).unwrap();
        });
        bench.now += ms(5);
        let request = bench.requests().remove(0);
        bench.acknowledge(&request, round);
        drop(request);
        let outcomes: Vec<_> = bench.producer.outcomes().collect();
        let bytes = outcomes.into_iter().find_map(|outcome| outcome.bytes).unwrap();
        let place = bytes.as_ptr();
        bench.accumulator.pool().reclaim(bytes);
        let again = bench.accumulator.pool().take();
        assert_eq!(again.as_ptr(), place);
        bench.accumulator.pool().give(again);
    }
}

/// A flush seals what would linger, and lets a batch grow that would only wait behind another.
#[test]
fn who_is_in_a_hurry_waits_for_no_linger_and_still_gets_full_batches() {
    let mut accumulator = Accumulator::new(Compression::None, 16_384, 1 << 20, ms(1_000), 1 << 20);
    let mut packed = Packed::default();
    packed.push(0, None, None, Some(b"v"));
    let (view, now) = (packed.get(0).unwrap(), Instant::now());
    for slot in [Slot(0), Slot(1)] {
        accumulator.append(slot, &view, 7, now).unwrap();
    }
    let appetite =
        |slot| if slot == Slot(0) { accumulate::Appetite::Fed } else { accumulate::Appetite::Hungry };
    accumulator.seal_due(now, appetite);
    assert!(accumulator.take_sealed().is_none(), "it lingers");
    accumulator.hurry(now, appetite);
    assert_eq!(accumulator.take_sealed().map(|(slot, _)| slot), Some(Slot(1)));
    accumulator.append(Slot(0), &view, 7, now).unwrap();
    accumulator.offer(Slot(0), accumulate::Appetite::Hungry);
    let (slot, raw) = accumulator.take_sealed().unwrap();
    assert_eq!((slot, raw.records()), (Slot(0), 2), "it grew until its partition wanted it");
}

type Fields = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

proptest! {
    #[test]
    fn what_is_appended_is_what_the_batches_hold(
        records in prop::collection::vec(any::<Fields>(), 1..20), batch_bytes in 60usize..400, codec in 0u8..5,
    ) {
        let codec = Compression::from_id(codec).unwrap();
        let now = Instant::now();
        let mut accumulator = Accumulator::new(codec, batch_bytes, 1 << 20, ms(0), 1 << 16);
        let mut packed = Packed::default();
        for (key, value, headers) in &records {
            packed.push(0, None, key.as_deref(), value.as_deref());
            headers.iter().for_each(|(name, value)| packed.header(name, value.as_deref()));
        }
        for view in packed.iter() {
            accumulator.append(Slot(0), &view, 11, now).unwrap();
        }
        accumulator.seal_all();
        let mut found = Vec::new();
        while let Some((_, raw)) = accumulator.take_sealed() {
            prop_assert!(raw.records() == 1 || raw.size_bytes() <= batch_bytes);
            let bytes = raw.encode(accumulator.pool().take()).unwrap().0;
            found.extend(read(&bytes));
        }
        prop_assert_eq!(found, packed.iter().map(fields).collect::<Vec<_>>());
    }

    #[test]
    fn the_halves_of_a_batch_are_all_of_it(
        records in prop::collection::vec(any::<Fields>(), 2..20), codec in 0u8..5,
    ) {
        let codec = Compression::from_id(codec).unwrap();
        let mut open = open::Open::new(BatchId(1), codec, Vec::new(), Instant::now());
        let mut packed = Packed::default();
        for (key, value, headers) in &records {
            packed.push(0, None, key.as_deref(), value.as_deref());
            headers.iter().for_each(|(name, value)| packed.header(name, value.as_deref()));
        }
        packed.iter().for_each(|view| { open.append(&view, 11); });
        let whole = open.seal().encode(Vec::new()).unwrap().0;
        let halves = open::split(&whole, 1 << 20).unwrap();
        prop_assert_eq!(&halves[0].1, &(0..records.len() as u32 / 2));
        prop_assert_eq!(&halves[1].1, &(records.len() as u32 / 2..records.len() as u32));
        let found: Vec<_> = halves.iter().flat_map(|(bytes, _)| read(bytes)).collect();
        prop_assert_eq!(found, packed.iter().map(fields).collect::<Vec<_>>());
    }
}

fn fields(view: RecordView<'_>) -> Fields {
    let owned = |bytes: &[u8]| bytes.to_vec();
    let headers = view.headers().map(|header| (header.name.to_owned(), header.value.map(owned))).collect();
    (view.key.map(owned), view.value.map(owned), headers)
}

fn read(bytes: &[u8]) -> Vec<Fields> {
    let owned = |bytes: &[u8]| bytes.to_vec();
    let mut scratch = Vec::new();
    let batch = BatchView::parse_single(bytes).unwrap();
    let record = |record: Result<klamm_wire::batch::RecordView<'_>, _>| {
        let record = record.unwrap();
        assert_eq!(record.timestamp_ms, 11);
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = record.headers().map(|header| (name(header.key), header.value.map(owned))).collect();
        (record.key.map(owned), record.value.map(owned), headers)
    };
    batch.records(&mut scratch, 1 << 20).unwrap().map(record).collect()
}
