//! Copying: round by round, each read from all old partitions and written to all new ones before it counts.
//!
//! The records of a key are in one old partition, and its copies are written to one new partition in the same order, so
//! a key keeps its order. The next round is read while this one is written. At the end of a round the offsets of both
//! topics are committed together; what a killed run wrote after that is found in the headers of the copies, and skipped.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use klamm_admin::{Admin, OffsetSpec};
use klamm_wire::batch::{
    BatchBuilder, BatchError, BatchMut, BatchView, Compression, Header, ProducerStamp, RecordView,
};
use tokio::time::Instant;

use super::origin::{Counts, HEADER, Misplaced, Origin};
use super::state::State;
use super::{Repartition, refused};
use crate::ApplyErrorKind;
use crate::reassign::{Control, Progress, Unit};

/// Transactional id whose epochs fence a run that was only slow. No transaction is opened.
const TRANSACTIONAL_ID: &str = "klamm.repartition";
/// Bytes that one round reads from all partitions together, as they are stored.
const ROUND_BYTES: usize = 32 << 20;
/// Bytes that one round reads from a partition.
const FETCH_BYTES: std::ops::RangeInclusive<usize> = 256 << 10..=8 << 20;
/// Bytes of one batch before compression; a larger record goes alone.
const BATCH_BYTES: usize = 512 << 10;
/// Partitions that are read, or written, at once.
const AT_ONCE: usize = 16;
/// A pass that is done so quickly leaves nothing worth waiting for.
const LEVEL: Duration = Duration::from_secs(3);

/// Copies what one old partition has brought in one round.
#[derive(Default)]
struct Read {
    partition: i32,
    /// Everything before is in `batches`, or was copied before.
    next: i64,
    /// By new partition, in order.
    batches: BTreeMap<i32, Vec<Vec<u8>>>,
}

type Round = Vec<Read>;

pub(super) struct Copier<'a> {
    admin: &'a Admin,
    what: &'a Repartition,
    control: Control<'a>,
    counts: Counts,
    stamp: ProducerStamp,
    /// By new partition.
    sequences: BTreeMap<i32, i32>,
    state: State,
    started: Instant,
    copied: i64,
    bytes: u64,
}

impl<'a> Copier<'a> {
    /// Takes over where the last one stopped.
    pub async fn open(
        admin: &'a Admin,
        what: &'a Repartition,
        control: Control<'a>,
    ) -> Result<Copier<'a>, ApplyErrorKind> {
        let stamp = admin.init_producer(TRANSACTIONAL_ID).await?;
        let state = State::load(admin, what).await?;
        if state.written > 0 {
            let why = format!(
                "{} holds {} records that are no copies: it is written by others, and order would break",
                what.target, state.written
            );
            let fix = "if the groups were cut over, all is done; else name another topic with `--to`";
            return Err(refused(why, fix));
        }
        let counts = Counts { old: state.read_to.len() as i32, new: state.next.len() as i32 };
        let (sequences, started) = (BTreeMap::new(), Instant::now());
        Ok(Copier { admin, what, control, counts, stamp, sequences, state, started, copied: 0, bytes: 0 })
    }

    pub fn into_state(self) -> State {
        self.state
    }

    /// Passes over the topic until one takes no time worth speaking of. Gives the number of records copied.
    pub async fn until_level(&mut self) -> Result<i64, ApplyErrorKind> {
        loop {
            let pass = Instant::now();
            let ends = self.admin.list_offsets(&self.what.topic, OffsetSpec::LatestStable).await?;
            self.up_to(&ends.into_iter().collect()).await?;
            if pass.elapsed() < LEVEL {
                return Ok(self.copied);
            }
        }
    }

    /// Copies everything before `ends`, by old partition. Gives the number of records copied so far.
    pub async fn up_to(&mut self, ends: &BTreeMap<i32, i64>) -> Result<i64, ApplyErrorKind> {
        let all = self.left(ends, &self.state.read_to);
        let pass = Instant::now();
        let mut ahead = self.state.read_to.clone();
        let mut round = self.read(&ahead, ends).await?;
        while !round.is_empty() {
            ahead.extend(round.iter().map(|read| (read.partition, read.next)));
            // The next round is read while this one is written.
            let written = round.iter().map(|read| (read.partition, read.next)).collect::<Vec<_>>();
            let (next, sent) = tokio::join!(self.read(&ahead, ends), self.write(round));
            let sent = sent?;
            self.count(sent);
            self.state.read_to.extend(written);
            self.state.save(self.admin, self.what).await?;
            let done = all - self.left(ends, &self.state.read_to);
            self.say(pass, done, all);
            if self.control.is_stopped() {
                let what = format!("the copying of {}; the same command goes on with it", self.what.topic);
                return Err(ApplyErrorKind::Stopped { what });
            }
            self.throttled().await;
            round = next?;
        }
        if all == 0 {
            self.state.save(self.admin, self.what).await?;
        }
        Ok(self.copied)
    }

    fn left(&self, ends: &BTreeMap<i32, i64>, read_to: &BTreeMap<i32, i64>) -> i64 {
        ends.iter().map(|(partition, end)| (end - read_to.get(partition).unwrap_or(end)).max(0)).sum()
    }

    fn say(&self, pass: Instant, done: i64, of: i64) {
        let elapsed = pass.elapsed();
        let rest = (done > 0).then(|| elapsed.mul_f64((of - done) as f64 / done as f64));
        let (topic, done, of) = (self.what.topic.clone(), done as usize, of as usize);
        (self.control.say)(&Progress { topic, unit: Unit::Records, done, of, elapsed, left: rest });
    }

    /// Waits until the bytes that were copied are no more than the throttle allows by now.
    async fn throttled(&self) {
        let Some(throttle) = self.what.throttle else { return };
        let due = Duration::from_secs_f64(self.bytes as f64 / throttle as f64);
        self.control.pause(due.saturating_sub(self.started.elapsed())).await;
    }

    async fn read(
        &self,
        from: &BTreeMap<i32, i64>,
        ends: &BTreeMap<i32, i64>,
    ) -> Result<Round, ApplyErrorKind> {
        let share = (ROUND_BYTES / from.len().max(1)).clamp(*FETCH_BYTES.start(), *FETCH_BYTES.end()) as i32;
        let wanted = from.iter().filter_map(|(partition, from)| {
            let end = *ends.get(partition)?;
            (*from < end).then_some((*partition, *from, end))
        });
        let reads = stream::iter(wanted)
            .map(|(partition, from, end)| self.read_partition(partition, (from, end), share));
        reads.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn read_partition(
        &self,
        partition: i32,
        range: (i64, i64),
        share: i32,
    ) -> Result<Read, ApplyErrorKind> {
        let mut sorted = Sorted { copier: self, partition, batches: BTreeMap::new(), failed: None };
        let topic = &self.what.topic;
        let next = self
            .admin
            .fetch_committed(topic, partition, range, share, &mut |record| sorted.take(&record))
            .await?;
        let Sorted { batches, failed, .. } = sorted;
        if let Some(failed) = failed {
            return Err(failed);
        }
        let mut finished = BTreeMap::new();
        for (new, builders) in batches {
            let done: Result<Vec<Vec<u8>>, BatchError> =
                builders.into_iter().map(BatchBuilder::finish).collect();
            finished.insert(new, done.map_err(unsound)?);
        }
        Ok(Read { partition, next, batches: finished })
    }

    /// Writes a round, new partition by new partition, and says what went where.
    async fn write(&self, round: Round) -> Result<Vec<Sent>, ApplyErrorKind> {
        let mut by_target: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
        for read in round {
            for (new, batches) in read.batches {
                by_target.entry(new).or_default().extend(batches);
            }
        }
        let writes = stream::iter(by_target).map(|(new, batches)| self.write_partition(new, batches));
        writes.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn write_partition(&self, partition: i32, batches: Vec<Vec<u8>>) -> Result<Sent, ApplyErrorKind> {
        let target = &self.what.target;
        let mut sent = Sent {
            partition,
            next: self.state.next.get(&partition).copied().unwrap_or(0),
            sequence: self.sequences.get(&partition).copied().unwrap_or(0),
            records: 0,
            bytes: 0,
        };
        for mut batch in batches {
            let count: i64 = BatchView::parse_single(&batch).map_err(unsound)?.record_count().into();
            let stamp = ProducerStamp { base_sequence: sent.sequence, ..self.stamp };
            BatchMut::parse_single(&mut batch).map_err(unsound)?.set_producer(stamp);
            sent.bytes += batch.len() as u64;
            let at = self.admin.append(target, partition, batch).await?;
            if at != sent.next {
                let why = format!(
                    "{target}-{partition} is written by somebody else: offset {at} came after {}",
                    sent.next
                );
                return Err(refused(
                    why,
                    "nobody may write to the new topic before the cut-over: name another with `--to`",
                ));
            }
            sent.next += count;
            sent.records += count;
            // Sequences go from the largest number back to 0.
            sent.sequence = ((i64::from(sent.sequence) + count) % (i64::from(i32::MAX) + 1)) as i32;
        }
        Ok(sent)
    }

    fn count(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            self.state.next.insert(sent.partition, sent.next);
            self.sequences.insert(sent.partition, sent.sequence);
            self.copied += sent.records;
            self.bytes += sent.bytes;
        }
    }
}

fn unsound(error: BatchError) -> ApplyErrorKind {
    refused(
        format!("a batch of copies cannot be encoded: {error}"),
        "the topic holds records beyond what a batch takes",
    )
}

/// What one new partition took in one round.
struct Sent {
    partition: i32,
    next: i64,
    sequence: i32,
    records: i64,
    bytes: u64,
}

/// Records of one old partition, sorted into batches for the new ones.
struct Sorted<'a> {
    copier: &'a Copier<'a>,
    partition: i32,
    batches: BTreeMap<i32, Vec<BatchBuilder>>,
    failed: Option<ApplyErrorKind>,
}

impl Sorted<'_> {
    fn take(&mut self, record: &RecordView<'_>) {
        if self.failed.is_some() {
            return;
        }
        let (counts, misplaced) = (self.copier.counts, self.copier.what.misplaced);
        let place = match (counts.place(record.key, self.partition), misplaced, record.key) {
            (Ok(place), _, _) => place,
            (Err(_), Misplaced::Copy, Some(key)) => klamm_kafka::partition_for_key(key, counts.new),
            (Err(right), _, _) => {
                self.failed = Some(self.misplaced(record.offset, right));
                return;
            }
        };
        let origin = Origin { partition: self.partition, offset: record.offset };
        let copied = self.copier.state.newest.get(&(place, self.partition));
        if copied.is_some_and(|newest| record.offset <= *newest) {
            return;
        }
        let from = origin.header();
        let ours = Header { key: HEADER.as_bytes(), value: Some(from.as_bytes()) };
        let headers: Vec<Header<'_>> = record.headers().chain([ours]).collect();
        let size = BatchBuilder::record_bound(record.key, record.value, &headers);
        let batches = self.batches.entry(place).or_default();
        let full =
            batches.last().is_none_or(|last| !last.is_empty() && last.size_bytes() + size > BATCH_BYTES);
        if full {
            batches.push(BatchBuilder::new(Compression::Lz4));
        }
        if let Some(last) = batches.last_mut() {
            last.append(record.timestamp_ms, record.key, record.value, &headers);
        }
    }

    fn misplaced(&self, offset: i64, right: i32) -> ApplyErrorKind {
        let (topic, old) = (&self.copier.what.topic, self.copier.counts.old);
        let why = format!(
            "{topic}-{} offset {offset} has a key that belongs to partition {right} of {old} (murmur2): its producer uses \
             another partitioner, or the topic had another number of partitions once",
            self.partition
        );
        refused(
            why,
            "let all producers use murmur2 (partitioner=murmur2_random in librdkafka); `--misplaced copy` copies such records by their key",
        )
    }
}
