//! The machine against a model cluster, from seeds: leaders move, logs are cut and grow, answers are lost or come late, the application
//! pauses, seeks, holds and lets go. Nothing may be skipped, repeated or left behind without being told.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use klamm_kafka::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Ask, Brought, Claim, Leader, Next, Positions, Question, ReadBounds};
use crate::random::dice::each_seed;
use crate::{ConsumeErrorKind, OffsetReset, TopicPartition};

const BROKERS: i32 = 3;
const STEPS: usize = 150;
/// Each record of the model has so many bytes.
const RECORD_BYTES: usize = 10;
const PARTITION_BYTES: usize = 200;
const TOTAL_BYTES: usize = 500;
const MOST_RECORDS: i64 = 8;

/// A partition of the model: which epoch wrote which offsets.
#[derive(Debug, Clone)]
struct Log {
    start: i64,
    /// Epochs in order, each with the offset that it ends before.
    epochs: Vec<(i32, i64)>,
    leader: Leader,
}

impl Log {
    fn end(&self) -> i64 {
        self.epochs.last().map_or(self.start, |(_, end)| *end)
    }

    /// Epoch of the record at `offset`.
    fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.iter().find(|(_, end)| offset < *end).map(|(epoch, _)| *epoch)
    }

    fn append(&mut self, count: i64) {
        let end = self.end() + count;
        match self.epochs.last_mut().filter(|(epoch, _)| *epoch == self.leader.epoch) {
            Some((_, last)) => *last = end,
            None => self.epochs.push((self.leader.epoch, end)),
        }
    }

    fn cut(&mut self, end: i64) {
        self.epochs.retain_mut(|(_, last)| {
            *last = (*last).min(end);
            true
        });
        self.epochs.dedup_by(|later, earlier| later.1 == earlier.1);
    }

    /// The end of the last epoch that is not after `epoch`.
    fn end_of(&self, epoch: i32) -> Option<Next> {
        let found = self.epochs.iter().rev().find(|(known, _)| *known <= epoch)?;
        Some(Next { offset: found.1, epoch: Some(found.0) })
    }
}

/// A question that has left, with what the broker will answer.
#[derive(Debug)]
enum Way {
    Metadata(BTreeMap<TopicPartition, Leader>),
    Offset(Claim, Result<Next, ErrorCode>),
    EpochEnd(Claim, Result<Option<Next>, ErrorCode>),
    Fetch(Question, Vec<(usize, Brought, Range<i64>)>),
    Lost(Ask),
}

/// What the application knows of a partition.
#[derive(Debug)]
struct Reader {
    claim: Claim,
    /// The next offset that must come; `None` after something told that it may be another.
    expected: Option<i64>,
    held: Vec<usize>,
    stopped: bool,
}

struct Model {
    random: StdRng,
    now: Instant,
    positions: Positions,
    logs: BTreeMap<TopicPartition, Log>,
    readers: BTreeMap<TopicPartition, Reader>,
    ways: Vec<Way>,
    reset: OffsetReset,
}

impl Model {
    fn new(seed: u64) -> Model {
        let mut random = StdRng::seed_from_u64(seed);
        let reset =
            [OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::Error][random.random_range(0..3)];
        let bounds = ReadBounds {
            reset,
            partition_bytes: PARTITION_BYTES,
            total_bytes: TOTAL_BYTES,
            partition_fetch_bytes: 100,
            fetch_bytes: 300,
            nearer_for: Duration::from_secs(1),
        };
        let positions = Positions::new(bounds, random.random());
        let partitions = random.random_range(1..5);
        let logs = (0..partitions).map(|index| {
            let leader = Leader { broker: random.random_range(0..BROKERS), epoch: 0 };
            let mut log = Log { start: 0, epochs: Vec::new(), leader };
            log.append(random.random_range(0..20));
            (TopicPartition::new("t", index), log)
        });
        let logs = logs.collect();
        Model {
            random,
            now: Instant::now(),
            positions,
            logs,
            readers: BTreeMap::new(),
            ways: Vec::new(),
            reset,
        }
    }

    fn chance(&mut self, of_hundred: u32) -> bool {
        self.random.random_range(0..100) < of_hundred
    }

    fn any_partition(&mut self) -> TopicPartition {
        let index = self.random.random_range(0..self.logs.len());
        self.logs.keys().nth(index).cloned().expect("within")
    }

    fn assign(&mut self, partition: &TopicPartition) {
        let log = &self.logs[partition];
        let committed = match self.random.random_range(0..4) {
            0 => None,
            _ if log.start < log.end() => {
                let offset = self.random.random_range(log.start..=log.end());
                Some(Next { offset, epoch: log.epoch_at(offset - 1).filter(|_| offset > log.start) })
            }
            _ => Some(Next { offset: log.end(), epoch: None }),
        };
        let claim = self.positions.assign(partition.clone(), committed);
        let expected = committed.map(|next| next.offset);
        self.readers.insert(partition.clone(), Reader { claim, expected, held: Vec::new(), stopped: false });
        self.listen();
    }

    /// What was told allows the reader to go on elsewhere, or not at all.
    fn listen(&mut self) {
        for error in self.positions.told() {
            let named = self
                .readers
                .iter_mut()
                .find(|(partition, _)| error.message.starts_with(&format!("{partition}: ")));
            let Some((_, reader)) = named else { continue };
            match error.kind {
                ConsumeErrorKind::OffsetOutOfRange => reader.stopped = true,
                ConsumeErrorKind::Truncated if self.reset == OffsetReset::Error => reader.stopped = true,
                ConsumeErrorKind::Truncated => reader.expected = None,
                kind => panic!("{kind:?} {error}"),
            }
        }
    }

    /// Something happens to the cluster.
    fn disturb(&mut self) {
        let partition = self.any_partition();
        let broker = self.random.random_range(0..BROKERS);
        let (count, dice) = (self.random.random_range(1..6), self.random.random_range(0..10));
        let Some(log) = self.logs.get_mut(&partition) else { return };
        match dice {
            0 | 1 => log.leader = Leader { broker, epoch: log.leader.epoch + 1 },
            // An unclean election cuts the log.
            2 => {
                log.leader = Leader { broker, epoch: log.leader.epoch + 1 };
                let end = (log.end() - count).max(log.start);
                log.cut(end);
            }
            3 => log.start = (log.start + count).min(log.end()),
            _ => log.append(count),
        }
    }

    /// The application does something.
    fn act(&mut self) {
        let partition = self.any_partition();
        match self.random.random_range(0..12) {
            0 => self.assign(&partition),
            1 => {
                self.positions.release(&partition);
                self.readers.remove(&partition);
            }
            2 => self.positions.pause(&partition),
            3 | 4 => self.positions.resume(&partition),
            5 => {
                let log = &self.logs[&partition];
                let offset = self.random.random_range(log.start..=log.end());
                if let Some(reader) = self.readers.get_mut(&partition) {
                    self.positions.seek(&partition, offset);
                    (reader.expected, reader.stopped) = (Some(offset), false);
                }
            }
            _ => self.let_go(&partition),
        }
    }

    fn let_go(&mut self, partition: &TopicPartition) {
        if let Some(reader) = self.readers.get_mut(partition)
            && let Some(bytes) = reader.held.pop()
        {
            self.positions.credit(reader.claim, bytes);
        }
    }

    fn ask(&mut self) {
        while let Some(ask) = self.positions.ask(self.now) {
            let way = match self.chance(10) {
                true => Way::Lost(ask),
                false => self.answer(ask),
            };
            self.ways.push(way);
        }
        let wake = self.positions.wake_at();
        assert!(wake.is_none_or(|wake| wake > self.now), "it is woken for nothing: {:?}", self.positions);
    }

    /// What the broker says, as it stands now; it may arrive later.
    fn answer(&mut self, ask: Ask) -> Way {
        match ask {
            Ask::Metadata => Way::Metadata(
                self.logs.iter().map(|(partition, log)| (partition.clone(), log.leader)).collect(),
            ),
            Ask::Offset { claim, partition, leader, reset } => {
                let log = &self.logs[&partition];
                let offset = if reset == OffsetReset::Latest { log.end() } else { log.start };
                Way::Offset(claim, fence(log, leader).map(|()| Next { offset, epoch: None }))
            }
            Ask::EpochEnd { claim, partition, leader, epoch } => {
                let log = &self.logs[&partition];
                Way::EpochEnd(claim, fence(log, leader).map(|()| log.end_of(epoch)))
            }
            Ask::Fetch(question) => {
                let news = question.parts.iter().enumerate().filter_map(|(index, part)| {
                    let log = &self.logs[&part.partition];
                    let asked = Leader { broker: question.broker, epoch: part.leader_epoch };
                    let (offset, nothing) = (part.from.offset, part.from.offset..part.from.offset);
                    if let Err(error) = fence(log, asked) {
                        return Some((index, Brought::Error(error), nothing));
                    }
                    if let Some(end) =
                        part.from.epoch.and_then(|epoch| log.end_of(epoch)).filter(|end| end.offset < offset)
                    {
                        return Some((index, Brought::Diverged { end }, nothing));
                    }
                    if offset < log.start || offset > log.end() {
                        return Some((index, Brought::Error(ErrorCode::OFFSET_OUT_OF_RANGE), nothing));
                    }
                    let end = log
                        .end()
                        .min(offset + MOST_RECORDS.min(part.max_bytes.div_ceil(RECORD_BYTES) as i64));
                    // Within a session a partition without news is left out.
                    (end > offset).then(|| {
                        let next = Next { offset: end, epoch: log.epoch_at(end - 1) };
                        let bytes = (end - offset) as usize * RECORD_BYTES;
                        (index, Brought::Records { next, bytes }, offset..end)
                    })
                });
                let news = news.collect();
                Way::Fetch(question, news)
            }
        }
    }

    /// One of the answers that are on their way arrives.
    fn arrive(&mut self) {
        if self.ways.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.ways.len());
        match self.ways.swap_remove(index) {
            Way::Metadata(leaders) => {
                let of = |partition: &TopicPartition| {
                    leaders.get(partition).copied().ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                };
                self.positions.learn(of, self.now);
            }
            Way::Offset(claim, found) => {
                self.positions.found(claim, found, self.now);
                self.moved(claim);
            }
            Way::EpochEnd(claim, end) => self.positions.validated(claim, end, self.now),
            Way::Fetch(question, news) => self.fetched(&question, news),
            Way::Lost(Ask::Metadata) => self.positions.metadata_failed(self.now),
            Way::Lost(Ask::Offset { claim, .. }) => {
                self.positions.found(claim, Err(ErrorCode::NETWORK_EXCEPTION), self.now);
            }
            Way::Lost(Ask::EpochEnd { claim, .. }) => {
                self.positions.validated(claim, Err(ErrorCode::NETWORK_EXCEPTION), self.now);
            }
            Way::Lost(Ask::Fetch(question)) => self.positions.failed(&question, self.now),
        }
        self.listen();
    }

    /// A reset gave the reader a new place.
    fn moved(&mut self, claim: Claim) {
        if let Some((partition, reader)) = self.readers.iter_mut().find(|(_, reader)| reader.claim == claim)
            && let Some(next) = self.positions.position(partition)
        {
            reader.expected = Some(next.offset);
        }
    }

    fn fetched(&mut self, question: &Question, news: Vec<(usize, Brought, Range<i64>)>) {
        let ranges: BTreeMap<Claim, (usize, Range<i64>)> = news
            .iter()
            .map(|(index, _, range)| (question.parts[*index].claim, (*index, range.clone())))
            .collect();
        let useful = self.positions.answered(
            question,
            news.into_iter().map(|(index, brought, _)| (index, brought)),
            self.now,
        );
        for claim in useful {
            let (index, range) = &ranges[&claim];
            let partition = &question.parts[*index].partition;
            let reader = self.readers.get_mut(partition).expect("only live claims are useful");
            assert_eq!(reader.claim, claim, "records of an assignment that is over");
            assert!(!reader.stopped, "records of {partition} after it had stopped");
            if let Some(expected) = reader.expected {
                assert_eq!(range.start, expected, "{partition} goes on elsewhere");
            }
            reader.expected = Some(range.end);
            reader.held.push((range.end - range.start) as usize * RECORD_BYTES);
            let held: usize = reader.held.iter().sum();
            assert!(held < PARTITION_BYTES + RECORD_BYTES, "{held} bytes of {partition} are held");
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            match self.random.random_range(0..10) {
                0 => self.disturb(),
                1 | 2 => self.act(),
                3 => self.now += Duration::from_millis(self.random.random_range(1..400)),
                _ => self.arrive(),
            }
            self.ask();
        }
        self.settle();
    }

    /// When nothing more goes wrong, every reader comes to the end of its log.
    fn settle(&mut self) {
        let partitions: Vec<TopicPartition> = self.logs.keys().cloned().collect();
        for _ in 0..2_000 {
            self.now += Duration::from_millis(100);
            while let Some(ask) = self.positions.ask(self.now) {
                let way = self.answer(ask);
                self.ways.push(way);
            }
            self.arrive();
            for partition in &partitions {
                self.positions.resume(partition);
                self.let_go(partition);
            }
            let at_end = |(partition, reader): (&TopicPartition, &Reader)| {
                let position = self.positions.position(partition).map(|next| next.offset);
                reader.stopped || position == Some(self.logs[partition].end()) && reader.held.is_empty()
            };
            if self.readers.iter().all(at_end) {
                return;
            }
        }
        panic!("left behind: {:?} {:?}", self.readers, self.positions);
    }
}

/// A broker answers only as the leader, and only who knows its epoch.
fn fence(log: &Log, asked: Leader) -> Result<(), ErrorCode> {
    if asked.broker != log.leader.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    match asked.epoch.cmp(&log.leader.epoch) {
        std::cmp::Ordering::Less => Err(ErrorCode::FENCED_LEADER_EPOCH),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}

/// `KLAMM_SEED=n` runs that one alone.
#[test]
fn nothing_is_skipped_repeated_or_left_behind_whatever_happens_to_the_cluster() {
    let first = u64::from(rand::random::<u32>());
    println!("seeds from {first}");
    each_seed(first..first + 100_000, |seed| Model::new(seed).run());
}
