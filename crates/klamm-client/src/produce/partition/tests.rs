//! One partition, event by event.

use klamm_kafka::ErrorCode as Code;
use klamm_wire::Effect;
use klamm_wire::batch::{BatchBuilder, BatchView, Compression, ProducerStamp};

use super::*;
use crate::ProduceError;

const ID: i64 = 77;

struct Bench {
    partition: Partition,
    ids: Ids,
    settings: Settings,
    now: Instant,
    out: Vec<Outcome>,
    attempts: u64,
    batches: u64,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Settings {
            idempotent: true,
            max_in_flight: 5,
            delivery_timeout: ms(10_000),
            max_request_bytes: 1 << 20,
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
        })
    }

    fn with(settings: Settings) -> Bench {
        let mut ids = Ids::new(settings.retry_backoff, settings.retry_backoff_max, 1);
        let now = Instant::now();
        ids.answered(Ok(Identity { id: ID, epoch: 0 }), now);
        let mut partition = Partition::new(Slot(0), &settings, 1);
        partition.set_leader(Some(1));
        Bench { partition, ids, settings, now, out: Vec::new(), attempts: 0, batches: 0 }
    }

    /// One whose broker knows the producer: the first batch is acknowledged.
    fn known() -> Bench {
        let mut bench = Bench::new();
        bench.push(1);
        let (first, _) = bench.send().unwrap();
        bench.answer(first, Code::NONE);
        bench.out.clear();
        bench
    }

    fn push(&mut self, records: u32) {
        let mut builder = BatchBuilder::new(Compression::None);
        (0..records).for_each(|_| builder.append(0, None, Some(b"value"), &[]));
        let bytes = Bytes::from(builder.finish_unstamped(Vec::new()).unwrap().batch);
        self.batches += 1;
        self.partition.push(BatchId(self.batches), records, self.now, Some(bytes));
    }

    fn send(&mut self) -> Option<(Attempt, ProducerStamp)> {
        self.attempts += 1;
        let attempt = Attempt(self.attempts);
        let (bytes, _) = self.partition.take(attempt, self.now, &mut self.ids, &self.settings).ok()?;
        let view = BatchView::parse_single(&bytes).unwrap();
        view.verify_crc().unwrap();
        let none = ProducerStamp { id: -1, epoch: -1, base_sequence: -1 };
        Some((attempt, view.producer().unwrap_or(none)))
    }

    /// Sends all that may be sent.
    fn send_all(&mut self) -> Vec<(Attempt, ProducerStamp)> {
        std::iter::from_fn(|| self.send()).collect()
    }

    fn answer(&mut self, attempt: Attempt, code: Code) -> Option<ProduceErrorKind> {
        self.partition.answered(attempt, &Answer::code(code), self.now, &self.settings, &mut self.out)
    }

    fn lose(&mut self, attempt: Attempt) {
        self.partition.failed(attempt, &Failure::Lost("connection reset".to_owned()), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.partition.expire(self.now, &self.ids, &self.settings, &mut self.out);
    }

    /// Batch and effect of each outcome so far; `None` is a receipt.
    fn told(&mut self) -> Vec<(u64, Option<Effect>)> {
        let effect = |kind| ProduceError::new("t", None, kind).effect();
        self.out.drain(..).map(|outcome| (outcome.batch.0, outcome.result.err().map(effect))).collect()
    }
}

fn place(sent: Option<(Attempt, ProducerStamp)>) -> Option<(i16, i32)> {
    sent.map(|(_, stamp)| (stamp.epoch, stamp.base_sequence))
}

#[test]
fn five_are_in_flight_with_sequences_that_follow_each_other() {
    let mut bench = Bench::known();
    (0..7).for_each(|_| bench.push(3));
    let sent = bench.send_all();
    let sequences: Vec<_> = sent.iter().map(|(_, stamp)| stamp.base_sequence).collect();
    assert_eq!(sequences, [1, 4, 7, 10, 13]);
    // A receipt out of order makes no room: a broker remembers five batches, and the first is among them.
    bench.answer(sent[1].0, Code::NONE);
    assert_eq!(place(bench.send()), None);
    bench.answer(sent[0].0, Code::NONE);
    assert_eq!(bench.send_all().len(), 2);
}

#[test]
fn the_first_batch_of_an_identity_goes_alone() {
    let mut bench = Bench::new();
    (0..2).for_each(|_| bench.push(1));
    let first = bench.send_all();
    assert_eq!(first.len(), 1, "a broker without state would take the second without the first");
    bench.answer(first[0].0, Code::NONE);
    assert_eq!(bench.send_all().len(), 1);
}

#[test]
fn after_a_failure_all_that_followed_is_sent_again_in_order_one_at_a_time() {
    let mut bench = Bench::known();
    (0..4).for_each(|_| bench.push(1));
    let sent = bench.send_all();
    bench.answer(sent[0].0, Code::NOT_LEADER_OR_FOLLOWER);
    assert!(bench.partition.wants_metadata());
    bench.answer(sent[1].0, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    bench.pass(ms(200));
    assert_eq!(place(bench.send()), None, "two are still in flight");
    bench.answer(sent[2].0, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    bench.lose(sent[3].0);
    for sequence in 1..5 {
        let again = bench.send().unwrap();
        assert_eq!((again.1.epoch, again.1.base_sequence), (0, sequence));
        assert_eq!(place(bench.send()), None);
        bench.answer(again.0, Code::NONE);
    }
    assert_eq!(bench.told(), [(2, None), (3, None), (4, None), (5, None)]);
}

#[test]
fn a_new_leader_is_asked_without_patience() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.answer(attempt, Code::NOT_LEADER_OR_FOLLOWER);
    assert!(bench.send().is_none());
    bench.partition.set_leader(Some(2));
    assert!(bench.send().is_some());
}

#[test]
fn a_new_leader_gets_nothing_while_the_old_one_has_something() {
    let mut bench = Bench::known();
    (0..2).for_each(|_| bench.push(1));
    let (attempt, _) = bench.send().unwrap();
    bench.partition.set_leader(Some(2));
    assert!(bench.send().is_none());
    bench.answer(attempt, Code::NONE);
    assert!(bench.send().is_some());
}

#[test]
fn a_lost_connection_asks_who_leads() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    assert!(!bench.partition.wants_metadata());
    bench.lose(attempt);
    assert!(bench.partition.wants_metadata());
}

#[test]
fn a_duplicate_is_a_receipt_with_the_offset_that_the_broker_knows() {
    let mut bench = Bench::known();
    (0..2).for_each(|_| bench.push(2));
    let sent = bench.send_all();
    bench.answer(sent[0].0, Code::DUPLICATE_SEQUENCE_NUMBER);
    let known = Answer { base_offset: 40, append_time_ms: Some(9), ..Answer::code(Code::NONE) };
    bench.partition.answered(sent[1].0, &known, bench.now, &bench.settings, &mut bench.out);
    let offsets: Vec<_> =
        bench.out.iter().map(|out| out.result.clone().unwrap().offset(&out.records, 1)).collect();
    assert_eq!(offsets, [-1, 41]);
    assert_eq!(bench.out[1].result.clone().unwrap().append_time_ms, Some(9));
}

#[test]
fn an_answer_that_comes_twice_or_late_changes_nothing() {
    let mut bench = Bench::known();
    bench.push(1);
    let (first, _) = bench.send().unwrap();
    bench.lose(first);
    bench.answer(first, Code::NONE);
    assert_eq!(bench.told(), []);
    bench.pass(ms(200));
    let (second, _) = bench.send().unwrap();
    bench.answer(second, Code::NONE);
    bench.answer(second, Code::NONE);
    assert_eq!(bench.told(), [(2, None)]);
}

#[test]
fn a_refused_batch_leaves_a_gap_and_the_rest_takes_a_new_epoch() {
    let mut bench = Bench::known();
    (0..3).for_each(|_| bench.push(1));
    let sent = bench.send_all();
    bench.answer(sent[0].0, Code::TOPIC_AUTHORIZATION_FAILED);
    bench.answer(sent[1].0, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert!(bench.send().is_none(), "the last is in flight");
    bench.answer(sent[2].0, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    bench.pass(ms(200));
    assert_eq!(place(bench.send()), Some((1, 0)));
    assert_eq!(place(bench.send()), Some((1, 1)));
    assert_eq!(bench.told(), [(2, Some(Effect::None))]);
}

#[test]
fn the_first_in_line_that_is_out_of_order_takes_a_new_epoch() {
    for code in [Code::OUT_OF_ORDER_SEQUENCE_NUMBER, Code::UNKNOWN_PRODUCER_ID] {
        let mut bench = Bench::known();
        (0..2).for_each(|_| bench.push(1));
        for (attempt, _) in bench.send_all() {
            bench.answer(attempt, code);
        }
        bench.pass(ms(200));
        assert_eq!(place(bench.send()), Some((1, 0)), "{code}");
        assert_eq!(place(bench.send()), Some((1, 1)), "{code}");
    }
}

#[test]
fn what_may_be_in_the_log_is_not_numbered_again_while_what_came_before_it_may_arrive() {
    let mut bench = Bench::known();
    bench.push(1);
    bench.pass(ms(5_000));
    bench.push(1);
    bench.send_all().into_iter().for_each(|(attempt, _)| bench.lose(attempt));
    bench.push(1);
    bench.pass(ms(5_000));
    assert_eq!(bench.told(), [(2, Some(Effect::Unknown))]);
    // The second was sent behind the first, and neither had an answer: under its old stamp it can do no harm.
    for _ in 0..2 {
        let (attempt, stamp) = bench.send().unwrap();
        assert_eq!((stamp.epoch, stamp.base_sequence), (0, 2));
        bench.answer(attempt, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
        bench.pass(ms(1_500));
    }
    let (attempt, _) = bench.send().unwrap();
    bench.answer(attempt, Code::NONE);
    assert_eq!(bench.told(), [(3, None)]);
    assert_eq!(place(bench.send()), Some((0, 3)), "the first was there after all: no gap");
}

#[test]
fn behind_a_lost_batch_that_expired_what_was_never_sent_takes_a_new_epoch() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.pass(ms(9_000));
    bench.push(1);
    bench.lose(attempt);
    bench.pass(ms(1_500));
    assert_eq!(bench.told(), [(2, Some(Effect::Unknown))]);
    assert_eq!(place(bench.send()), Some((1, 0)));
}

#[test]
fn nothing_follows_a_batch_that_expired_in_flight_before_it_came_home() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.pass(ms(10_000));
    assert_eq!(bench.told(), [(2, Some(Effect::Unknown))]);
    bench.push(1);
    assert_eq!(place(bench.send()), None);
    bench.answer(attempt, Code::NONE);
    assert_eq!(place(bench.send()), Some((0, 2)));
}

#[test]
fn what_expires_before_it_was_sent_has_no_effect() {
    let mut bench = Bench::new();
    bench.partition.set_leader(None);
    bench.push(1);
    bench.pass(ms(10_000));
    assert_eq!(bench.told(), [(1, Some(Effect::None))]);
    assert_eq!(bench.partition.appetite(), Appetite::Idle);
}

#[test]
fn too_few_replicas_are_without_effect_until_one_attempt_was_appended() {
    for (codes, effect) in [
        ([Code::NOT_ENOUGH_REPLICAS, Code::NOT_ENOUGH_REPLICAS], Effect::None),
        ([Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND, Code::NOT_ENOUGH_REPLICAS], Effect::Unknown),
    ] {
        let mut bench = Bench::known();
        bench.push(1);
        for code in codes {
            bench.pass(ms(500));
            let (attempt, _) = bench.send().unwrap();
            bench.answer(attempt, code);
        }
        bench.pass(ms(10_000));
        assert!(matches!(bench.out[0].result, Err(ProduceErrorKind::NotEnoughReplicas { .. })));
        assert_eq!(bench.told(), [(2, Some(effect))]);
    }
}

#[test]
fn what_waits_behind_a_batch_says_what_that_one_heard() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.push(1);
    bench.answer(attempt, Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    bench.pass(ms(10_000));
    let refused =
        |outcome: &Outcome| matches!(outcome.result, Err(ProduceErrorKind::NotEnoughReplicas { .. }));
    assert!(bench.out.iter().all(refused), "{:?}", bench.out);
    assert_eq!(bench.told(), [(2, Some(Effect::Unknown)), (3, Some(Effect::None))]);
}

#[test]
fn a_batch_that_is_too_large_is_split_and_its_records_keep_their_sequences() {
    let mut bench = Bench::known();
    bench.push(5);
    bench.push(1);
    let sent = bench.send_all();
    bench.answer(sent[0].0, Code::MESSAGE_TOO_LARGE);
    assert!(bench.send().is_none(), "what followed is in flight");
    bench.answer(sent[1].0, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    for sequence in [1, 3, 6] {
        let (attempt, stamp) = bench.send().unwrap();
        assert_eq!((stamp.epoch, stamp.base_sequence), (0, sequence));
        bench.answer(attempt, Code::NONE);
    }
    let records: Vec<_> = bench.out.iter().map(|out| (out.batch.0, out.records.clone())).collect();
    assert_eq!(records, [(2, 0..2), (2, 2..5), (3, 0..1)]);
}

#[test]
fn parts_of_a_batch_that_may_be_there_whole_are_not_numbered_again() {
    let split = || {
        let mut bench = Bench::known();
        bench.push(4);
        for end in [None, Some(Code::MESSAGE_TOO_LARGE)] {
            let (attempt, _) = bench.send().unwrap();
            match end {
                Some(code) => assert_eq!(bench.answer(attempt, code), None),
                None => bench.lose(attempt),
            }
            bench.pass(ms(200));
        }
        let (attempt, stamp) = bench.send().unwrap();
        assert_eq!(stamp.base_sequence, 1);
        (bench, attempt)
    };
    let (mut bench, attempt) = split();
    bench.answer(attempt, Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(bench.told(), [(2, Some(Effect::Unknown)), (2, Some(Effect::Unknown))]);
    let (mut bench, attempt) = split();
    bench.answer(attempt, Code::NONE);
    bench.pass(ms(10_000));
    assert_eq!(
        bench.told(),
        [(2, None), (2, Some(Effect::None))],
        "the first is new, so the whole is not there"
    );
}

#[test]
fn one_record_that_is_too_large_is_refused() {
    let mut bench = Bench::known();
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.answer(attempt, Code::MESSAGE_TOO_LARGE);
    assert!(matches!(bench.out[0].result, Err(ProduceErrorKind::TooLarge { .. })));
}

#[test]
fn each_record_of_a_refused_batch_has_its_own_reason() {
    let mut bench = Bench::known();
    bench.push(4);
    let (attempt, _) = bench.send().unwrap();
    let refused = vec![(1, Some("no key".to_owned()))];
    let answer = Answer { refused, ..Answer::code(Code::INVALID_RECORD) };
    bench.partition.answered(attempt, &answer, bench.now, &bench.settings, &mut bench.out);
    let told: Vec<_> = bench
        .out
        .iter()
        .map(|out| match &out.result {
            Err(ProduceErrorKind::Invalid { message }) => (out.records.clone(), message == "no key"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(0..1, false), (1..2, true), (2..4, false)]);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut bench = Bench::known();
    bench.partition.start_at(i32::MAX - 1);
    (0..3).for_each(|_| bench.push(3));
    let sequences: Vec<_> = bench.send_all().iter().map(|(_, stamp)| stamp.base_sequence).collect();
    assert_eq!(sequences, [i32::MAX - 1, 1, 4]);
}

#[test]
fn when_epochs_run_out_a_new_id_is_asked_for() {
    let mut bench = Bench::new();
    bench.ids.answered(Ok(Identity { id: ID, epoch: i16::MAX }), bench.now);
    bench.push(1);
    let (attempt, _) = bench.send().unwrap();
    bench.answer(attempt, Code::INVALID_RECORD);
    (0..2).for_each(|_| bench.push(1));
    assert!(bench.send().is_none());
    assert!(bench.ids.ask(bench.now));
    bench.ids.answered(Ok(Identity { id: ID + 1, epoch: 0 }), bench.now);
    let sent = bench.send_all();
    assert_eq!(sent.len(), 1, "its broker does not know the new id");
    assert_eq!((sent[0].1.id, sent[0].1.epoch, sent[0].1.base_sequence), (ID + 1, 0, 0));
}

#[test]
fn a_fenced_producer_is_over() {
    for code in [Code::INVALID_PRODUCER_EPOCH, Code::PRODUCER_FENCED] {
        let mut bench = Bench::known();
        bench.push(1);
        let (attempt, _) = bench.send().unwrap();
        assert!(matches!(bench.answer(attempt, code), Some(ProduceErrorKind::Fenced { .. })));
        assert_eq!(bench.told(), [(2, Some(Effect::Unknown))]);
    }
}

#[test]
fn without_idempotence_there_are_no_stamps_and_no_gaps() {
    let settings = Settings { idempotent: false, ..Bench::new().settings };
    let mut bench = Bench::with(settings);
    (0..3).for_each(|_| bench.push(1));
    let sent = bench.send_all();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(_, stamp)| stamp.id == -1));
    bench.answer(sent[0].0, Code::INVALID_RECORD);
    bench.answer(sent[1].0, Code::NONE);
    bench.answer(sent[2].0, Code::NONE);
    assert_eq!(bench.told(), [(1, Some(Effect::None)), (2, None), (3, None)]);
    bench.push(1);
    assert_eq!(bench.send_all().len(), 1);
}

#[test]
fn a_batch_waits_for_the_bytes_of_the_one_before_it() {
    let mut bench = Bench::known();
    bench.partition.push(BatchId(90), 1, bench.now, None);
    bench.push(1);
    assert!(bench.send().is_none());
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, None, &[]);
    let bytes = Bytes::from(builder.finish_unstamped(Vec::new()).unwrap().batch);
    assert!(bench.partition.compressed(BatchId(90), bytes));
    assert_eq!(bench.send_all().len(), 2);
}
