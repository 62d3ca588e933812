//! The reading task: asks brokers what [`Positions`] wants to know, and hands over what they give.
//!
//! It owns the positions, a connection and a session for each broker that is fetched from, and the requests that are under way. The rest
//! of the consumer speaks to it by [`Command`]s.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use klamm_admin::{Admin, AdminError, Leader as Route};
use klamm_kafka::ErrorCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::lookup;
use super::source::{Answered, Naming, Source};
use crate::consumer::{Event, FetchedBatch, Records, TopicPartition};
use crate::fetch::{
    Ask, Brought, Claim, Fetched, Leader, Next, Positions, Question, ReadBounds, RequestOptions,
};
use crate::{ConsumeError, ConsumeErrorKind};

/// Lost connections are told at most once in this time.
const CONNECTION_ERROR_INTERVAL: Duration = Duration::from_secs(1);
/// The longest sleep without a reason.
const IDLE: Duration = Duration::from_secs(60);

/// What the reading task is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Read these partitions, each from its committed offset or else where the reset policy says.
    Assign(Vec<(TopicPartition, Option<Next>)>),
    /// Read these no more. Answered when nothing of them is handed over any more.
    Release(Vec<TopicPartition>, oneshot::Sender<()>),
    Pause(Vec<TopicPartition>),
    Resume(Vec<TopicPartition>),
    Seek(TopicPartition, i64),
    /// The application has let go of a batch.
    Credit(Claim, usize),
}

/// Settings of the task.
#[derive(Debug, Clone)]
pub(super) struct ReaderOptions {
    pub(super) bounds: ReadBounds,
    pub(super) request: RequestOptions,
    /// Most records that are handed over at once.
    pub(super) batch_records: usize,
    /// How long what is known of topics is believed (`metadata.max.age.ms`).
    pub(super) metadata_max_age: Duration,
}

/// Memory credit of one batch: given back when the batch is dropped.
pub(crate) struct Credit {
    claim: Claim,
    bytes: usize,
    back: mpsc::UnboundedSender<Command>,
}

impl Credit {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        // A reader that has ended needs it no more.
        drop(self.back.send(Command::Credit(self.claim, self.bytes)));
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credit").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

pub(super) struct Reader {
    admin: Admin,
    options: ReaderOptions,
    positions: Positions,
    commands: mpsc::UnboundedReceiver<Command>,
    /// For the credits of batches.
    back: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedSender<Event>,
    /// The assigned partitions, each with the flag of its batches.
    live: HashMap<Claim, (TopicPartition, Arc<AtomicBool>)>,
    sources: HashMap<i32, Source>,
    naming: Arc<Naming>,
    under_way: JoinSet<Answer>,
    metadata_at: Instant,
    connection_error_at: Option<Instant>,
}

/// What came of something that was asked.
enum Answer {
    Metadata(Result<klamm_admin::Routes, AdminError>),
    Offset(Claim, Result<Next, lookup::Failure>),
    EpochEnd(Claim, Result<Option<Next>, lookup::Failure>),
    Fetch(Question, Source, Result<Vec<Answered>, AdminError>),
}

impl Reader {
    /// A reader, and where it takes its commands.
    pub(super) fn new(
        admin: Admin,
        options: ReaderOptions,
        events: mpsc::UnboundedSender<Event>,
    ) -> (Reader, mpsc::UnboundedSender<Command>) {
        // Not bounded by count: credits come from drops, which cannot wait, and there is one for each batch that is held.
        let (back, commands) = mpsc::unbounded_channel();
        let reader = Reader {
            admin,
            positions: Positions::new(options.bounds.clone(), RandomState::new().hash_one("reader")),
            options,
            commands,
            back: back.clone(),
            events,
            live: HashMap::new(),
            sources: HashMap::new(),
            naming: Arc::default(),
            under_way: JoinSet::new(),
            metadata_at: Instant::now(),
            connection_error_at: None,
        };
        (reader, back)
    }

    /// Reads until the consumer is dropped. Cancelling it ends all requests.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            while let Some(ask) = self.positions.ask(now) {
                self.start(ask);
            }
            for error in self.positions.told() {
                self.tell(error);
            }
            let renew = self.metadata_at + self.options.metadata_max_age;
            let wake = self.positions.wake_at().unwrap_or(now + IDLE).min(renew);
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.follow(command),
                    None => return,
                },
                Some(answer) = self.under_way.join_next() => match answer {
                    Ok(answer) => self.take(answer),
                    // A request is only cancelled with the whole task, and a panic in it must not be the end of reading.
                    Err(error) => self.tell(ConsumeError { kind: ConsumeErrorKind::Fatal, message: error.to_string() }),
                },
                () = sleep_until(wake.into()) => {
                    if Instant::now() >= renew {
                        self.metadata_at = Instant::now();
                        self.positions.want_metadata();
                    }
                }
            }
            if self.events.is_closed() {
                return;
            }
        }
    }

    fn follow(&mut self, command: Command) {
        match command {
            Command::Assign(partitions) => {
                for (partition, committed) in partitions {
                    self.end(&partition);
                    let claim = self.positions.assign(partition.clone(), committed);
                    self.live.insert(claim, (partition, Arc::new(AtomicBool::new(true))));
                }
            }
            Command::Release(partitions, done) => {
                for partition in partitions {
                    self.end(&partition);
                    self.positions.release(&partition);
                }
                // Who does not wait for it does not need it.
                let _: Result<(), ()> = done.send(());
            }
            Command::Pause(partitions) => {
                partitions.iter().for_each(|partition| self.positions.pause(partition))
            }
            Command::Resume(partitions) => {
                partitions.iter().for_each(|partition| self.positions.resume(partition))
            }
            Command::Seek(partition, offset) => self.positions.seek(&partition, offset),
            Command::Credit(claim, bytes) => self.positions.credit(claim, bytes),
        }
    }

    /// Batches of the partition that are still held are stale from now on.
    fn end(&mut self, partition: &TopicPartition) {
        let claim = self.positions.claim(partition);
        if let Some((_, live)) = claim.and_then(|claim| self.live.remove(&claim)) {
            live.store(false, Ordering::Release);
        }
    }

    fn start(&mut self, ask: Ask) {
        let admin = self.admin.clone();
        match ask {
            Ask::Metadata => {
                let topics: BTreeSet<&str> =
                    self.live.values().map(|(partition, _)| &*partition.topic).collect();
                let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
                self.under_way.spawn(async move { Answer::Metadata(admin.routes(&topics).await) });
            }
            Ask::Offset { claim, partition, leader, reset } => {
                let isolation = self.options.request.isolation;
                self.under_way.spawn(async move {
                    Answer::Offset(claim, lookup::offset(&admin, &partition, leader, reset, isolation).await)
                });
            }
            Ask::EpochEnd { claim, partition, leader, epoch } => {
                self.under_way.spawn(async move {
                    Answer::EpochEnd(claim, lookup::epoch_end(&admin, &partition, leader, epoch).await)
                });
            }
            Ask::Fetch(question) => {
                let mut source = self.sources.remove(&question.broker).unwrap_or_default();
                let naming = Arc::clone(&self.naming);
                let options = self.options.request.clone();
                let limit = self.options.bounds.partition_bytes.saturating_mul(64);
                self.under_way.spawn(async move {
                    let answered = source.fetch(&admin, &question, &naming, &options, limit).await;
                    Answer::Fetch(question, source, answered)
                });
            }
        }
    }

    fn take(&mut self, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Metadata(Ok(routes)) => {
                self.metadata_at = now;
                self.naming = Arc::new(Naming::of(&routes));
                self.positions.learn(|partition| leader_of(&routes, partition), now);
            }
            Answer::Metadata(Err(error)) => {
                self.positions.metadata_failed(now);
                self.tell_connection(&error);
            }
            Answer::Offset(claim, found) => {
                let found = found.map_err(|failure| self.code(failure));
                self.positions.found(claim, found, now);
            }
            Answer::EpochEnd(claim, end) => {
                let end = end.map_err(|failure| self.code(failure));
                self.positions.validated(claim, end, now);
            }
            Answer::Fetch(question, source, Ok(answered)) => {
                self.sources.insert(question.broker, source);
                self.hand_over(&question, answered, now);
            }
            Answer::Fetch(question, mut source, Err(error)) => {
                source.lost();
                self.sources.insert(question.broker, source);
                self.positions.failed(&question, now);
                self.tell_connection(&error);
            }
        }
    }

    fn hand_over(&mut self, question: &Question, answered: Vec<Answered>, now: Instant) {
        let mut records: HashMap<Claim, Fetched> = HashMap::new();
        let mut brought: Vec<(usize, Brought)> = Vec::with_capacity(answered.len());
        for Answered { index, brought: one, records: some } in answered {
            if let Some((part, some)) = question.parts.get(index).zip(some) {
                records.insert(part.claim, some);
            }
            brought.push((index, one));
        }
        for claim in self.positions.answered(question, brought, now) {
            let Some(records) = records.remove(&claim) else { continue };
            self.send(claim, records);
        }
    }

    /// Sends records in batches of the size that is asked for. Together their credits are what the machine has counted.
    fn send(&mut self, claim: Claim, records: Fetched) {
        let Some((partition, live)) = self.live.get(&claim) else { return };
        let (len, size) = (records.len(), records.size_bytes());
        let records = Arc::new(records);
        let share = |upto: usize| (size as u128 * upto as u128 / len.max(1) as u128) as usize;
        let mut start = 0;
        while start < len {
            let end = len.min(start + self.options.batch_records);
            let credit = Credit { claim, bytes: share(end) - share(start), back: self.back.clone() };
            let batch = FetchedBatch {
                partition: partition.clone(),
                records: Records::Fetched { all: Arc::clone(&records), range: start..end, credit },
                live: Arc::clone(live),
            };
            // Nobody listens only when the consumer was dropped, and then this task is about to end.
            drop(self.events.send(Event::Batch(batch)));
            start = end;
        }
        if len == 0 {
            self.positions.credit(claim, size);
        }
    }

    fn code(&mut self, failure: lookup::Failure) -> ErrorCode {
        match failure {
            lookup::Failure::Refused(code) => code,
            lookup::Failure::Unanswered(error) => {
                self.tell_connection(&error);
                ErrorCode::NETWORK_EXCEPTION
            }
        }
    }

    fn tell(&self, error: ConsumeError) {
        drop(self.events.send(Event::Error(error)));
    }

    fn tell_connection(&mut self, error: &AdminError) {
        let now = Instant::now();
        if self.connection_error_at.is_some_and(|at| now - at < CONNECTION_ERROR_INTERVAL) {
            return;
        }
        self.connection_error_at = Some(now);
        self.tell(ConsumeError { kind: ConsumeErrorKind::Connection, message: error.to_string() });
    }
}

fn leader_of(routes: &klamm_admin::Routes, partition: &TopicPartition) -> Result<Leader, ErrorCode> {
    let topic = routes.get(&*partition.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let leaders = &topic.as_ref().map_err(|error| *error)?.leaders;
    let Route { broker, epoch } =
        (*leaders.get(&partition.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?)?;
    Ok(Leader { broker, epoch })
}
