//! The transitions against the tables of Kafka's coordinator.

use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_000;

fn new_ids() -> impl FnMut() -> Result<i64, ErrorCode> {
    let mut next = 100;
    move || {
        next += 1;
        Ok(next)
    }
}

fn place(partition: i32) -> BTreeSet<Place> {
    BTreeSet::from([("t".to_owned(), partition)])
}

/// Producer 7 with this epoch and nothing open.
fn held(epoch: i16) -> Txn {
    Txn { epoch, ..Txn::new(7, 60_000, 0) }
}

fn ready(txn: &Txn, held: Option<Holder>) -> Txn {
    match txn.init(held, 60_000, NOW, &mut new_ids()) {
        Ok(Init::Ready(txn)) => txn,
        other => panic!("{other:?}"),
    }
}

fn ongoing(txn: &Txn, version: TransactionVersion) -> Txn {
    txn.add(txn.holder(), &place(0), version, NOW).unwrap().unwrap()
}

fn ended(txn: &Txn, ended: Outcome, version: TransactionVersion) -> Txn {
    match txn.end(txn.holder(), ended, version, NOW, &mut new_ids()) {
        Ok(End::Prepared(prepared)) => prepared.completed(NOW),
        other => panic!("{other:?}"),
    }
}

fn end(txn: &Txn, holder: Holder, ended: Outcome, version: TransactionVersion) -> Result<End, ErrorCode> {
    txn.end(holder, ended, version, NOW, &mut new_ids())
}

#[test]
fn the_first_producer_gets_epoch_zero_and_each_next_one_more() {
    let first = ready(&Txn::new(7, 60_000, 0), None);
    assert_eq!(first.holder(), (7, 0));
    let second = ready(&first, None);
    assert_eq!(second.holder(), (7, 1));
    let bumped = ready(&second, Some((7, 1)));
    assert_eq!(bumped.holder(), (7, 2));
    assert_eq!(ready(&bumped, Some((7, 1))).holder(), (7, 2), "the answer was lost: the same again");
    let refused = bumped.init(Some((7, 0)), 60_000, NOW, &mut new_ids());
    assert_eq!(refused, Err(ErrorCode::PRODUCER_FENCED));
    let stranger = bumped.init(Some((8, 2)), 60_000, NOW, &mut new_ids());
    assert_eq!(stranger, Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn an_epoch_that_runs_out_gives_a_new_producer_id() {
    let last = held(EXHAUSTED);
    let rotated = ready(&last, None);
    assert_eq!(rotated.holder(), (101, 0));
    let rotated = ready(&last, Some((7, EXHAUSTED)));
    assert_eq!(ready(&rotated, Some((7, EXHAUSTED))).holder().0, 101, "a repetition is not fenced");

    let open = ongoing(&last, TransactionVersion::Two);
    let done = ended(&open, Outcome::Commit, TransactionVersion::Two);
    assert_eq!(done.holder(), (101, 0));
    let again = end(&done, (7, EXHAUSTED), Outcome::Commit, TransactionVersion::Two);
    assert_eq!(again, Ok(End::Repeated((101, 0))));
}

#[test]
fn who_takes_the_id_over_an_open_transaction_aborts_it_first() {
    let open = ongoing(&held(3), TransactionVersion::Classic);
    let Ok(Init::Fence(fenced)) = open.init(None, 60_000, NOW, &mut new_ids()) else { panic!("not fenced") };
    let (marker, version) = fenced.marker().unwrap();
    assert_eq!((marker.epoch, marker.outcome, version), (4, Outcome::Abort, TransactionVersion::Two));
    let busy = fenced.init(None, 60_000, NOW, &mut new_ids());
    assert_eq!(busy, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(ready(&fenced.completed(NOW), None).holder(), (7, 5));
}

#[test]
fn classic_ends_accept_only_the_same_again() {
    let open = ongoing(&held(3), TransactionVersion::Classic);
    let Ok(End::Prepared(prepared)) = end(&open, (7, 3), Outcome::Commit, TransactionVersion::Classic) else {
        panic!("not prepared")
    };
    let classic = |txn: &Txn, holder, how| end(txn, holder, how, TransactionVersion::Classic);
    assert_eq!(classic(&prepared, (7, 3), Outcome::Commit), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(classic(&prepared, (7, 3), Outcome::Abort), Err(ErrorCode::INVALID_TXN_STATE));
    let done = prepared.completed(NOW);
    assert_eq!(done.holder(), (7, 3), "the epoch stays");
    assert_eq!(classic(&done, (7, 3), Outcome::Commit), Ok(End::Repeated((-1, -1))));
    assert_eq!(classic(&done, (7, 3), Outcome::Abort), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(classic(&done, (7, 2), Outcome::Commit), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(classic(&held(3), (7, 3), Outcome::Abort), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(classic(&done, (8, 3), Outcome::Commit), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
}

/// The table beside `endTransaction` in Kafka's coordinator.
#[test]
fn ends_of_version_two_follow_the_table() {
    let two = TransactionVersion::Two;
    let committed = ended(&ongoing(&held(3), two), Outcome::Commit, two);
    let aborted = ended(&ongoing(&held(3), two), Outcome::Abort, two);
    assert_eq!((committed.holder(), aborted.holder()), ((7, 4), (7, 4)));
    let bumps = |result: Result<End, ErrorCode>| matches!(result, Ok(End::Prepared(txn)) if txn.epoch == 5);
    let (retry, current) = ((7, 3), (7, 4));
    let empty = held(4);

    assert_eq!(end(&empty, retry, Outcome::Abort, two), Err(ErrorCode::PRODUCER_FENCED));
    assert!(bumps(end(&empty, current, Outcome::Abort, two)));
    assert_eq!(end(&empty, retry, Outcome::Commit, two), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(end(&empty, current, Outcome::Commit, two), Err(ErrorCode::INVALID_TXN_STATE));

    assert_eq!(end(&aborted, retry, Outcome::Abort, two), Ok(End::Repeated((7, 4))));
    assert!(bumps(end(&aborted, current, Outcome::Abort, two)));
    assert_eq!(end(&aborted, retry, Outcome::Commit, two), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(end(&aborted, current, Outcome::Commit, two), Err(ErrorCode::INVALID_TXN_STATE));

    assert_eq!(end(&committed, retry, Outcome::Abort, two), Err(ErrorCode::INVALID_TXN_STATE));
    assert!(bumps(end(&committed, current, Outcome::Abort, two)));
    assert_eq!(end(&committed, retry, Outcome::Commit, two), Ok(End::Repeated((7, 4))));
    assert_eq!(end(&committed, current, Outcome::Commit, two), Err(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn partitions_join_what_is_open_and_begin_what_is_not() {
    let classic = TransactionVersion::Classic;
    let first = ongoing(&held(0), classic);
    assert_eq!((first.phase, first.start_ms), (Phase::Ongoing, NOW));
    assert_eq!(first.add((7, 0), &place(0), classic, NOW + 1), Ok(None));
    let second = first.add((7, 0), &place(1), classic, NOW + 1).unwrap().unwrap();
    assert_eq!((second.partitions.len(), second.start_ms), (2, NOW));
    assert_eq!(second.verify((7, 0), &("t".to_owned(), 1)), Ok(()));
    assert_eq!(second.verify((7, 0), &("t".to_owned(), 2)), Err(ErrorCode::TRANSACTION_ABORTABLE));
    assert_eq!(second.verify((7, 1), &("t".to_owned(), 1)), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(second.add((6, 0), &place(3), classic, NOW), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    let done = ended(&second, Outcome::Commit, classic);
    assert!(done.partitions.is_empty());
}

proptest! {
    /// Whatever producers do, an epoch of a producer id never goes back, and a marker is due only after an outcome.
    #[test]
    fn epochs_never_go_back(
        start in prop_oneof![Just(0_i16), Just(EXHAUSTED - 2), Just(EXHAUSTED - 1), Just(EXHAUSTED)],
        steps in prop::collection::vec((0_u8..6, -1_i16..2), 1..40),
    ) {
        let mut txn = held(start);
        let mut ids = new_ids();
        for (step, off) in steps {
            let (id, epoch) = txn.holder();
            let holder = (id, epoch.saturating_add(off));
            let (commit, abort) = (Outcome::Commit, Outcome::Abort);
            let (classic, two) = (TransactionVersion::Classic, TransactionVersion::Two);
            let prepared = |end| match end { End::Prepared(txn) => Some(txn), End::Repeated(_) => None };
            let next = match step {
                0 => match txn.init(None, 1, NOW, &mut ids) {
                    Ok(Init::Ready(txn) | Init::Fence(txn)) => Some(txn),
                    Err(_) => None,
                },
                1 => txn.add(holder, &place(0), two, NOW).ok().flatten(),
                2 => txn.end(holder, commit, two, NOW, &mut ids).ok().and_then(prepared),
                3 => txn.end(holder, abort, two, NOW, &mut ids).ok().and_then(prepared),
                4 => txn.end(holder, commit, classic, NOW, &mut ids).ok().and_then(prepared),
                _ => txn.marker().map(|_| txn.completed(NOW)),
            };
            let Some(next) = next else { continue };
            prop_assert!(next.producer_id != id || next.epoch >= epoch, "{txn:?} to {next:?}");
            prop_assert!(next.producer_id == id || next.epoch == 0);
            prop_assert_eq!(next.marker().is_some(), matches!(next.phase, Phase::Prepare(_)));
            txn = next;
        }
    }
}
