//! The checker is the judge of everything else, so each fault is planted and must be caught.

use proptest::prelude::*;

use super::*;
use crate::Delivery;

const RUN: u64 = 7;

fn id(key: u64, seq: u64) -> RecordId {
    RecordId { run: RUN, key, seq }
}

/// What happened in a run, as lists that a test can tamper with.
#[derive(Debug, Clone, Default)]
struct Run {
    acknowledged: Vec<(RecordId, i32, i64)>,
    log: Vec<(RecordId, i32, i64)>,
    processed: Vec<RecordId>,
}

impl Run {
    /// A run without a fault: `records` says the key of each record, the key's parity its partition.
    fn sound(records: &[u64]) -> Run {
        let mut run = Run::default();
        let mut seqs: HashMap<u64, u64> = HashMap::new();
        let mut ends = [0i64; 2];
        for key in records {
            let seq = seqs.entry(*key).or_default();
            let partition = (*key % 2) as i32;
            let offset = &mut ends[partition as usize];
            run.acknowledged.push((id(*key, *seq), partition, *offset));
            *seq += 1;
            *offset += 1;
        }
        run.log = run.acknowledged.clone();
        run.processed = run.log.iter().map(|(id, ..)| *id).collect();
        run
    }

    fn verdict(&self) -> Verdict {
        let mut checker = Checker::new(RUN);
        for (id, partition, offset) in &self.acknowledged {
            checker.sent(*id);
            checker.acknowledged(*id, *partition, *offset);
        }
        self.log.iter().for_each(|(id, partition, offset)| checker.stored(*id, *partition, *offset));
        self.processed.iter().for_each(|id| checker.processed(*id));
        checker.verdict()
    }
}

#[test]
fn a_planted_loss_is_caught() {
    let mut run = Run::sound(&[1, 2, 1, 1]);
    run.log.remove(2);
    let verdict = run.verdict();
    assert_eq!((verdict.acknowledged, verdict.stored, verdict.lost), (4, 3, 1));
    assert_eq!(verdict.examples, [Example { fault: Fault::Lost, id: id(1, 1), place: None }]);
    assert!(!verdict.held(Delivery::AtMostOnce));
}

#[test]
fn a_planted_duplicate_is_caught() {
    let mut run = Run::sound(&[1, 2, 1]);
    run.log.push((id(1, 1), 1, 2));
    let verdict = run.verdict();
    assert_eq!(verdict.duplicated, 1);
    assert_eq!(verdict.examples[0].place, Some((1, 2)));
    assert!(!verdict.held(Delivery::AtLeastOnce));
}

#[test]
fn a_planted_reorder_is_caught() {
    let mut run = Run::sound(&[1, 1, 1]);
    run.log.swap(0, 1);
    let verdict = run.verdict();
    assert_eq!((verdict.reordered_stored, verdict.reordered_processed), (1, 0));
    assert!(!verdict.held(Delivery::AtLeastOnce));
}

#[test]
fn processing_out_of_order_is_caught() {
    let mut run = Run::sound(&[1, 1, 1]);
    run.processed.swap(1, 2);
    assert_eq!(run.verdict().breaches(Delivery::AtLeastOnce), [(Fault::ReorderedProcessed, 1)]);
}

#[test]
fn a_record_that_no_handler_saw_breaks_at_least_once_only() {
    let mut run = Run::sound(&[1, 2]);
    run.processed.pop();
    let verdict = run.verdict();
    assert!(!verdict.held(Delivery::AtLeastOnce) && !verdict.held(Delivery::ExactlyOnce));
    assert!(verdict.held(Delivery::AtMostOnce));
}

#[test]
fn a_repeated_record_is_allowed_by_at_least_once_only() {
    let mut run = Run::sound(&[1, 1, 1]);
    run.processed.extend([id(1, 1), id(1, 2)]);
    let verdict = run.verdict();
    assert_eq!((verdict.repeated, verdict.reordered()), (2, 0));
    assert!(verdict.held(Delivery::AtLeastOnce));
    assert!(!verdict.held(Delivery::ExactlyOnce) && !verdict.held(Delivery::AtMostOnce));
}

#[test]
fn a_record_that_nobody_sent_is_unexpected() {
    let mut run = Run::sound(&[1]);
    run.log.push((id(9, 0), 1, 1));
    assert_eq!(run.verdict().breaches(Delivery::AtLeastOnce), [(Fault::Unexpected, 1)]);
}

#[test]
fn a_key_in_two_partitions_is_misplaced() {
    let mut run = Run::sound(&[1, 1]);
    for place in [&mut run.acknowledged[1], &mut run.log[1]] {
        (place.1, place.2) = (0, 0);
    }
    assert_eq!(run.verdict().breaches(Delivery::AtLeastOnce), [(Fault::Misplaced, 1)]);
}

#[test]
fn a_receipt_that_names_another_offset_is_caught() {
    let mut run = Run::sound(&[1, 1, 2]);
    run.acknowledged[1].2 += 1;
    assert_eq!(run.verdict().breaches(Delivery::AtLeastOnce), [(Fault::WrongReceipt, 1)]);
}

#[test]
fn a_copy_made_by_a_resend_after_an_unknown_outcome_is_no_duplicate() {
    let mut checker = Checker::new(RUN);
    checker.sent(id(1, 0));
    checker.failed(id(1, 0), SendEffect::Unknown);
    checker.sent(id(1, 0));
    checker.acknowledged(id(1, 0), 0, 1);
    checker.stored(id(1, 0), 0, 0);
    checker.stored(id(1, 0), 0, 1);
    checker.processed(id(1, 0));
    let verdict = checker.verdict();
    assert_eq!((verdict.duplicated, verdict.resent_copies, verdict.failed), (0, 1, 0));
    assert!(verdict.held(Delivery::AtLeastOnce));
}

#[test]
fn a_copy_after_a_failure_without_effect_is_a_duplicate() {
    let mut checker = Checker::new(RUN);
    checker.sent(id(1, 0));
    checker.failed(id(1, 0), SendEffect::None);
    checker.sent(id(1, 0));
    checker.acknowledged(id(1, 0), 0, 1);
    checker.stored(id(1, 0), 0, 0);
    checker.stored(id(1, 0), 0, 1);
    assert_eq!(checker.verdict().duplicated, 1);
}

#[test]
fn a_failed_send_that_is_not_in_the_log_is_not_lost() {
    let mut checker = Checker::new(RUN);
    checker.sent(id(1, 0));
    checker.failed(id(1, 0), SendEffect::Unknown);
    let verdict = checker.verdict();
    assert_eq!((verdict.lost, verdict.failed), (0, 1));
    assert!(verdict.held(Delivery::ExactlyOnce));
}

#[test]
fn records_of_another_run_are_left_alone() {
    let mut checker = Checker::new(RUN);
    checker.stored(RecordId { run: 1, key: 1, seq: 0 }, 0, 0);
    let verdict = checker.verdict();
    assert_eq!((verdict.foreign, verdict.unexpected), (1, 0));
}

#[test]
fn examples_are_bounded_and_counts_are_not() {
    let mut run = Run::sound(&[1; 1000]);
    run.log.clear();
    run.processed.clear();
    let verdict = run.verdict();
    assert_eq!(
        (verdict.lost, verdict.unprocessed, verdict.examples.len()),
        (1000, 1000, 2 * EXAMPLES_PER_FAULT)
    );
}

#[test]
fn the_json_form_of_a_verdict_reads_back() {
    let mut run = Run::sound(&[1, 2, 1]);
    run.log.pop();
    let verdict = run.verdict();
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
}

#[test]
fn a_closed_key_is_forgotten_when_all_of_it_arrived_and_a_late_copy_is_still_caught() {
    let mut checker = Checker::new(RUN);
    for seq in 0..3 {
        checker.sent(id(5, seq));
        checker.stored(id(5, seq), 0, seq as i64);
        checker.processed(id(5, seq));
    }
    checker.closed(5, 3);
    for seq in 0..3 {
        assert_eq!(checker.keys.len(), 1, "record {seq} is not acknowledged yet");
        checker.acknowledged(id(5, seq), 0, seq as i64);
    }
    assert!(checker.keys.is_empty());
    checker.stored(id(5, 1), 0, 9);
    checker.processed(id(5, 1));
    let verdict = checker.verdict();
    assert_eq!((verdict.stored, verdict.duplicated, verdict.repeated), (3, 1, 1));
}

proptest! {
    #[test]
    fn closing_keys_changes_no_verdict(
        records in prop::collection::vec(0u64..9, 1..100),
        tampering in prop::collection::vec((0u8..3, any::<prop::sample::Index>()), 0..6),
    ) {
        let mut run = Run::sound(&records);
        for (what, at) in tampering {
            match what {
                0 if !run.log.is_empty() => drop(run.log.remove(at.index(run.log.len()))),
                1 if !run.log.is_empty() => run.log.push(run.log[at.index(run.log.len())]),
                2 if !run.processed.is_empty() => run.processed.push(run.processed[at.index(run.processed.len())]),
                _ => {}
            }
        }
        let mut closing = Checker::new(RUN);
        for (id, partition, offset) in &run.acknowledged {
            closing.sent(*id);
            closing.acknowledged(*id, *partition, *offset);
        }
        for key in 0..9 {
            closing.closed(key, records.iter().filter(|of| **of == key).count() as u64);
        }
        run.log.iter().for_each(|(id, partition, offset)| closing.stored(*id, *partition, *offset));
        run.processed.iter().for_each(|id| closing.processed(*id));
        prop_assert_eq!(closing.verdict(), run.verdict());
    }

    #[test]
    fn a_sound_run_holds_under_every_delivery(records in prop::collection::vec(0u64..9, 0..200)) {
        let verdict = Run::sound(&records).verdict();
        for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce, Delivery::ExactlyOnce] {
            prop_assert!(verdict.held(delivery), "{:?}", verdict);
        }
        prop_assert_eq!(verdict.processed, records.len() as u64);
    }

    #[test]
    fn any_number_of_losses_is_counted(
        records in prop::collection::vec(0u64..9, 1..200),
        drops in prop::collection::btree_set(0usize..200, 1..20),
    ) {
        let mut run = Run::sound(&records);
        let mut index = 0;
        run.log.retain(|_| { index += 1; !drops.contains(&(index - 1)) });
        let verdict = run.verdict();
        prop_assert_eq!(verdict.lost, (records.len() - run.log.len()) as u64);
        prop_assert_eq!(verdict.reordered_stored + verdict.duplicated, 0);
    }

    #[test]
    fn any_number_of_duplicates_is_counted(
        records in prop::collection::vec(0u64..9, 1..100),
        again in prop::collection::vec(0usize..100, 1..20),
    ) {
        let mut run = Run::sound(&records);
        let copies: Vec<_> = again.iter().filter_map(|at| run.log.get(*at).copied()).collect();
        run.log.extend(&copies);
        prop_assert_eq!(run.verdict().duplicated, copies.len() as u64);
    }

    #[test]
    fn any_swap_within_a_key_is_caught(
        records in prop::collection::vec(0u64..4, 2..100),
        first in 0usize..100,
        second in 0usize..100,
    ) {
        let mut run = Run::sound(&records);
        let (first, second) = (first % records.len(), second % records.len());
        let same_key = records[first] == records[second] && first != second;
        run.log.swap(first, second);
        if same_key {
            prop_assert!(run.verdict().reordered_stored > 0);
        }
    }
}
