//! Counts what a run lost, duplicated and reordered.

use std::collections::HashMap;

use crate::intervals::Intervals;
use crate::{Example, Fault, RecordId, Verdict};

/// Examples kept for each fault: enough to look into, few enough for a screen.
const EXAMPLES_PER_FAULT: usize = 5;

/// What a failed send may have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendEffect {
    /// The record is not in the log and will not get there.
    None,
    /// The record may be in the log.
    Unknown,
}

/// Follows every record of one run by its [`RecordId`] and computes a [`Verdict`].
///
/// Feed it the four things that happen to a record: [`sent`](Checker::sent), its outcome
/// ([`acknowledged`](Checker::acknowledged) or [`failed`](Checker::failed)), [`stored`](Checker::stored) for each copy
/// that a read of the log finds (each partition in the order of its offsets), and [`processed`](Checker::processed) for
/// each time that a handler finished it. The four may come interleaved.
///
/// Memory is bounded by the number of keys and of gaps: what arrived is kept as ranges of sequence numbers. A writer
/// whose keys end says so by [`closed`](Checker::closed): a key of which every record has arrived everywhere is then
/// only remembered as done, so a run may go on for as long as it likes.
#[derive(Debug, Clone)]
pub struct Checker {
    run: u64,
    keys: HashMap<u64, KeyState>,
    /// Keys that were closed, and of which every record was sent, acknowledged, stored and processed.
    settled: Intervals,
    /// Counts that grow as events come; those that need the whole run are computed by `verdict`.
    counts: Verdict,
    examples: HashMap<Fault, Vec<Example>>,
}

/// What is known about one key.
#[derive(Debug, Clone, Default)]
struct KeyState {
    sent: Intervals,
    acknowledged: Intervals,
    stored: Intervals,
    processed: Intervals,
    /// One more than the highest sequence number stored and processed so far.
    stored_next: u64,
    processed_next: u64,
    partition: Option<i32>,
    /// Sums of the places named by receipts and found in the log: equal sets of records must have equal sums.
    receipt_sum: u64,
    stored_sum: u64,
    unsure: Option<Box<Unsure>>,
    /// The number of its records, once the writer has sent the last one.
    closed: Option<u64>,
}

/// The rare part of a key: records whose sends failed.
#[derive(Debug, Clone, Default)]
struct Unsure {
    failed: Intervals,
    /// Failed with an unknown effect.
    unknown: Intervals,
    /// Sent again after that: a second copy and a later place are the sender's doing.
    resent: Intervals,
    /// A receipt without an offset, or a copy without a receipt: the sums cannot be compared.
    no_place: bool,
}

impl Checker {
    /// A checker for the records of `run`; those of other runs are only counted.
    pub fn new(run: u64) -> Checker {
        Checker {
            run,
            keys: HashMap::new(),
            settled: Intervals::default(),
            counts: Verdict::default(),
            examples: HashMap::new(),
        }
    }

    /// The record was handed to the producer, for the first time or again after a failure.
    pub fn sent(&mut self, id: RecordId) {
        let Some(key) = self.key(id) else { return };
        let first = key.sent.insert(id.seq);
        if let Some(unsure) = key.unsure.as_mut().filter(|unsure| unsure.unknown.contains(id.seq)) {
            unsure.resent.insert(id.seq);
        }
        self.counts.sent += u64::from(first);
        self.settle(id.key);
    }

    /// The record has a receipt. A negative offset means that the broker did not name the place.
    pub fn acknowledged(&mut self, id: RecordId, partition: i32, offset: i64) {
        let Some(key) = self.key(id) else { return };
        let first = key.acknowledged.insert(id.seq);
        if offset < 0 {
            key.unsure().no_place = true;
        } else if first {
            key.receipt_sum = key.receipt_sum.wrapping_add(fingerprint(id.seq, partition, offset));
        }
        self.counts.acknowledged += u64::from(first);
        self.settle(id.key);
    }

    /// The writer has sent all records of `key`, numbered from 0 to below `records`.
    pub fn closed(&mut self, key: u64, records: u64) {
        self.keys.entry(key).or_default().closed = Some(records);
        self.settle(key);
    }

    /// The send failed; `effect` says whether the record may be in the log all the same.
    pub fn failed(&mut self, id: RecordId, effect: SendEffect) {
        let Some(key) = self.key(id) else { return };
        let unsure = key.unsure();
        unsure.failed.insert(id.seq);
        if effect == SendEffect::Unknown {
            unsure.unknown.insert(id.seq);
            unsure.no_place = true;
        }
    }

    /// A read of the log found the record. Call it in the order of the offsets of each partition.
    pub fn stored(&mut self, id: RecordId, partition: i32, offset: i64) {
        let place = Some((partition, offset));
        if self.is_settled(id) {
            return self.count(Fault::Duplicated, true, id, place);
        }
        let Some(key) = self.key(id) else { return };
        let resent = key.unsure.as_ref().is_some_and(|unsure| unsure.resent.contains(id.seq));
        if !key.stored.insert(id.seq) {
            self.counts.resent_copies += u64::from(resent);
            self.count(Fault::Duplicated, !resent, id, place);
            return;
        }
        key.stored_sum = key.stored_sum.wrapping_add(fingerprint(id.seq, partition, offset));
        let misplaced = *key.partition.get_or_insert(partition) != partition;
        let reordered = !resent && id.seq < key.stored_next;
        if !resent {
            key.stored_next = key.stored_next.max(id.seq.saturating_add(1));
        }
        self.counts.stored += 1;
        self.count(Fault::Misplaced, misplaced, id, place);
        // Two partitions have no order between them: a misplaced record is one fault, not two.
        self.count(Fault::ReorderedStored, reordered && !misplaced, id, place);
        self.settle(id.key);
    }

    /// A handler finished the record.
    pub fn processed(&mut self, id: RecordId) {
        if self.is_settled(id) {
            return self.count(Fault::Repeated, true, id, None);
        }
        let Some(key) = self.key(id) else { return };
        if !key.processed.insert(id.seq) {
            self.count(Fault::Repeated, true, id, None);
            return;
        }
        let resent = key.unsure.as_ref().is_some_and(|unsure| unsure.resent.contains(id.seq));
        let reordered = !resent && id.seq < key.processed_next;
        if !resent {
            key.processed_next = key.processed_next.max(id.seq.saturating_add(1));
        }
        self.counts.processed += 1;
        self.count(Fault::ReorderedProcessed, reordered, id, None);
        self.settle(id.key);
    }

    /// What the run comes to so far. Call it when the log has been read and the consumers have stopped: whatever is
    /// acknowledged by then and was not seen counts as lost.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.counts.clone();
        let mut examples: Vec<Example> = self.examples.values().flatten().copied().collect();
        // In the order of keys, so that two checkers with the same events print the same examples.
        let mut keys: Vec<(&u64, &KeyState)> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| **key);
        for (key, state) in keys {
            let id = |seq| RecordId { run: self.run, key: *key, seq };
            let mut missing = |fault: Fault, from: &Intervals, found: &Intervals| {
                let mut count = 0;
                for (start, end) in from.minus(found) {
                    count += end - start;
                    let room = EXAMPLES_PER_FAULT.saturating_sub(of_fault(&examples, fault)) as u64;
                    let shown = start..end.min(start.saturating_add(room));
                    examples.extend(shown.map(|seq| Example { fault, id: id(seq), place: None }));
                }
                count
            };
            verdict.lost += missing(Fault::Lost, &state.acknowledged, &state.stored);
            verdict.unprocessed += missing(Fault::Unprocessed, &state.acknowledged, &state.processed);
            verdict.unexpected += missing(Fault::Unexpected, &state.stored, &state.sent);
            verdict.failed += state.failed_in_the_end();
            if state.receipts_are_wrong() {
                verdict.wrong_receipts += 1;
                if of_fault(&examples, Fault::WrongReceipt) < EXAMPLES_PER_FAULT {
                    examples.push(Example { fault: Fault::WrongReceipt, id: id(0), place: None });
                }
            }
        }
        examples.sort_by_key(|example| (example.fault, example.id));
        verdict.examples = examples;
        verdict
    }

    fn key(&mut self, id: RecordId) -> Option<&mut KeyState> {
        if id.run != self.run {
            self.counts.foreign += 1;
            return None;
        }
        Some(self.keys.entry(id.key).or_default())
    }

    fn is_settled(&self, id: RecordId) -> bool {
        id.run == self.run && self.settled.contains(id.key)
    }

    /// Forgets a key of which nothing can be missing any more.
    fn settle(&mut self, key: u64) {
        if self.keys.get(&key).is_some_and(KeyState::is_settled) {
            self.settled.insert(key);
            self.keys.remove(&key);
        }
    }

    fn count(&mut self, fault: Fault, happened: bool, id: RecordId, place: Option<(i32, i64)>) {
        if !happened {
            return;
        }
        let count = match fault {
            Fault::ReorderedStored => &mut self.counts.reordered_stored,
            Fault::ReorderedProcessed => &mut self.counts.reordered_processed,
            Fault::Repeated => &mut self.counts.repeated,
            Fault::Misplaced => &mut self.counts.misplaced,
            Fault::Duplicated => &mut self.counts.duplicated,
            // Known only when the run is over.
            Fault::Lost | Fault::Unprocessed | Fault::Unexpected | Fault::WrongReceipt => return,
        };
        *count += 1;
        let examples = self.examples.entry(fault).or_default();
        if examples.len() < EXAMPLES_PER_FAULT {
            examples.push(Example { fault, id, place });
        }
    }
}

impl KeyState {
    fn unsure(&mut self) -> &mut Unsure {
        self.unsure.get_or_insert_default()
    }

    fn is_settled(&self) -> bool {
        let Some(records) = self.closed else { return false };
        let all = Intervals::One((0, records));
        let sets = [&self.sent, &self.acknowledged, &self.stored, &self.processed];
        self.unsure.is_none()
            && sets.into_iter().all(|set| *set == all)
            && self.receipt_sum == self.stored_sum
    }

    fn failed_in_the_end(&self) -> u64 {
        let Some(unsure) = &self.unsure else { return 0 };
        unsure.failed.minus(&self.acknowledged).map(|(start, end)| end - start).sum()
    }

    /// The places can be compared only when the same records were acknowledged and stored, each with a known place.
    fn receipts_are_wrong(&self) -> bool {
        let comparable = !self.unsure.as_ref().is_some_and(|unsure| unsure.no_place);
        comparable && self.acknowledged == self.stored && self.receipt_sum != self.stored_sum
    }
}

fn of_fault(examples: &[Example], fault: Fault) -> usize {
    examples.iter().filter(|example| example.fault == fault).count()
}

/// Mixes a record's place to one number whose sum over a key does not depend on the order (the finaliser of
/// SplitMix64, applied to each part in turn).
fn fingerprint(seq: u64, partition: i32, offset: i64) -> u64 {
    [seq, u64::from(partition.cast_unsigned()), offset.cast_unsigned()].into_iter().fold(0, |hash, part| {
        let mut mixed = (hash ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
