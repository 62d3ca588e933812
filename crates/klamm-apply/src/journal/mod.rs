//! The journal: what was changed, by whom, and what takes it back; and the lock that lets one change a cluster at a time.
//!
//! It is a compacted topic of the cluster itself, `klamm.journal`, with one partition. Whoever takes the lock first takes a
//! new epoch of the transactional id `klamm.journal` and then writes under it: from that record on the partition refuses
//! whatever an earlier holder still writes, and since every change is written down before it is made, an earlier holder
//! that was only slow stops before its next change. (One request that had left before that may still arrive.)
//!
//! The batches are not transactional: a transaction that its owner did not live to end would hide the journal's newest
//! records from readers for a minute, and an epoch alone fences as well.

mod entry;
mod writer;

use std::time::Duration;

use klamm_admin::{Admin, AdminError, ErrorCode, Mode, NewTopic, OffsetSpec};
use klamm_plan::Change;
use rand::Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub(crate) use self::entry::NewRun;
use self::entry::{Fold, Key};
pub use self::entry::{History, Holder, Inverse, Lock, Run, RunRecord, RunState, Step, StepState};
use self::writer::Writer;

/// Topic of the journal.
pub const TOPIC: &str = "klamm.journal";
/// Transactional id whose epochs fence those who held the lock before.
pub(crate) const TRANSACTIONAL_ID: &str = "klamm.journal";

/// How often the holder shows that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// A lock that stands still for so long is taken over. Five beats: a pause of a second or two is no death.
const DEAD_AFTER: Duration = Duration::from_secs(10);
/// Pause between looks at a lock that somebody holds.
const LOOK: Duration = Duration::from_millis(250);
/// How long one who takes a free lock gives others that do the same to show: many times what a write takes.
const COURTESY: Duration = Duration::from_millis(250);
/// Races for a free lock that are lost before giving up.
const RACES: u32 = 30;
/// Runs that are remembered.
const RUNS_KEPT: usize = 100;
/// Copies of the journal, where there are brokers for them.
const COPIES: usize = 3;
/// How long a new journal may take to have all its copies.
const READY: Duration = Duration::from_secs(30);

/// Why the journal was not read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Somebody else changes the cluster.
    Locked(Box<Lock>),
    /// Somebody else took the lock over in the middle.
    Fenced(Option<Box<Lock>>),
    /// The topic is not a journal that this klamm can use.
    Foreign(String),
    /// A call failed.
    Admin(AdminError),
}

impl From<AdminError> for JournalError {
    fn from(error: AdminError) -> Self {
        JournalError::Admin(error)
    }
}

type Records = Vec<(Key, Option<Vec<u8>>)>;

enum Command {
    Write { records: Records, answer: oneshot::Sender<Result<(), JournalError>> },
    Close { records: Records, answer: oneshot::Sender<Result<(), JournalError>> },
}

/// The lock, held, and the run that is written. A task of its own keeps the lock alive; when this is dropped without
/// [`close`](Journal::close) it writes that the run was interrupted, and releases the lock.
pub(crate) struct Journal {
    run: Run,
    steps: u32,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// The lock without a plan: for maintenance by hand or by other tools, during which nobody may apply.
pub struct Held(Journal);

impl Held {
    /// Takes the lock for `service`, waiting up to `patience` for whoever holds it.
    pub async fn take(admin: &Admin, service: &str, patience: Duration) -> Result<Held, JournalError> {
        let new = NewRun { service: service.to_owned(), undoes: None };
        Journal::open(admin, &new, patience).await.map(Held)
    }

    /// Number of the run in the journal.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// Ends it. When it is dropped instead, the journal says that it was interrupted.
    pub async fn release(self) -> Result<(), JournalError> {
        self.0.close(RunState::Done, None).await
    }
}

/// Reads the journal; `None` when the cluster has none.
pub async fn history(admin: &Admin) -> Result<Option<History>, JournalError> {
    let topics = [TOPIC.to_owned()];
    if !admin.facts(&topics).await?.topics.contains_key(TOPIC) {
        return Ok(None);
    }
    let offset = |offsets: Vec<(i32, i64)>| offsets.first().map_or(0, |(_, offset)| *offset);
    let from = offset(admin.list_offsets(TOPIC, OffsetSpec::Earliest).await?);
    let until = offset(admin.list_offsets(TOPIC, OffsetSpec::Latest).await?);
    let (mut fold, mut bad) = (Fold::default(), None);
    admin
        .read(TOPIC, 0, from, until, &mut |record| {
            let Some(key) = record.key else { return };
            if let Err(why) = fold.take(key, record.value) {
                bad.get_or_insert_with(|| {
                    format!("topic {TOPIC} partition 0 offset {}: {why}", record.offset)
                });
            }
        })
        .await?;
    match bad {
        Some(why) => Err(JournalError::Foreign(why)),
        None => Ok(Some(fold.finish())),
    }
}

impl Journal {
    /// Takes the lock, waiting up to `patience` for whoever holds it, and opens a run.
    pub async fn open(admin: &Admin, new: &NewRun, patience: Duration) -> Result<Journal, JournalError> {
        ensure_topic(admin).await?;
        let started = Instant::now();
        for lost in 0..RACES {
            let judged = wait_for_lock(admin, started, patience).await?;
            if let Some(journal) = Journal::take(admin, new, judged).await? {
                return Ok(journal);
            }
            // Those who lost against each other must not meet again.
            let apart = rand::rng().random_range(1.0..f64::from(4 << lost.min(3)));
            sleep(COURTESY.mul_f64(apart)).await;
        }
        // Whoever was quicker each time must show up by now.
        match history(admin).await?.unwrap_or_default().lock {
            Some(lock) => Err(JournalError::Locked(Box::new(lock))),
            None => Err(JournalError::Fenced(None)),
        }
    }

    /// Takes the lock, which is free but for what is `judged` to be dead. `None` when somebody else was quicker.
    ///
    /// Several may get here at once. Each takes an epoch and gives the others time to show; then it goes on only if its
    /// epoch still is the last one, and nobody has written a lock.
    async fn take(
        admin: &Admin,
        new: &NewRun,
        judged: Option<Seen>,
    ) -> Result<Option<Journal>, JournalError> {
        let claim = admin.init_producer(TRANSACTIONAL_ID).await?;
        sleep(COURTESY).await;
        let history = history(admin).await?.unwrap_or_default();
        let somebody = |lock: &Lock| judged.is_none_or(|seen| (seen.run, seen.beat) != (lock.run, lock.beat));
        if history.lock.as_ref().is_some_and(somebody) {
            return Ok(None);
        }
        let stamp = match admin.next_epoch(TRANSACTIONAL_ID, claim).await {
            Ok(stamp) => stamp,
            Err(error) if is_fenced(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let id = history.runs.last_key_value().map_or(1, |(last, _)| last + 1);
        let run = Run::new(id, new, Holder::here(), now_ms());
        let lock = Lock::new(id, run.holder.clone(), run.started_ms);
        let mut records = vec![record(Key::Lock, &lock), record(Key::Run(id), &run)];
        records.extend(interrupted(&history));
        records.extend(forgotten(&history));
        let mut writer = Writer::new(admin.clone(), stamp, lock);
        match writer.append(&records).await {
            Ok(()) => {}
            Err(JournalError::Fenced(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let (commands, inbox) = mpsc::channel(1);
        let task = tokio::spawn(keep(writer, run.clone(), inbox));
        Ok(Some(Journal { run, steps: 0, commands, task }))
    }

    /// Number of the run.
    pub fn id(&self) -> u64 {
        self.run.id
    }

    /// Writes down what is about to be tried. When this fails, it must not be tried.
    pub async fn intend(&mut self, changes: &[&Change]) -> Result<Vec<Step>, JournalError> {
        let steps: Vec<Step> =
            changes.iter().zip(self.steps..).map(|(change, index)| Step::new(index, change)).collect();
        self.steps += steps.len() as u32;
        self.write(&steps).await?;
        Ok(steps)
    }

    /// Writes down that `steps` were made.
    pub async fn made(&self, mut steps: Vec<Step>) -> Result<Vec<Step>, JournalError> {
        steps.iter_mut().for_each(|step| step.state = StepState::Made);
        self.write(&steps).await?;
        Ok(steps)
    }

    /// Writes `steps` as they are.
    pub async fn write(&self, steps: &[Step]) -> Result<(), JournalError> {
        let records = steps.iter().map(|step| record(Key::Step(self.run.id, step.index), step)).collect();
        self.send(|answer| Command::Write { records, answer }).await
    }

    /// Ends the run and releases the lock. `undone` is the run that this one has taken back whole.
    pub async fn close(mut self, state: RunState, undone: Option<&Run>) -> Result<(), JournalError> {
        self.run.state = state;
        let mut records = vec![record(Key::Run(self.run.id), &self.run)];
        if let Some(undone) = undone {
            let undone = Run { undone_by: Some(self.run.id), ..undone.clone() };
            records.push(record(Key::Run(undone.id), &undone));
        }
        records.push((Key::Lock, None));
        let closed = self.send(|answer| Command::Close { records, answer }).await;
        // The task ends by itself after a close; an error of it was the answer already.
        let _ = self.task.await;
        closed
    }

    async fn send(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), JournalError>>) -> Command,
    ) -> Result<(), JournalError> {
        let (answer, told) = oneshot::channel();
        if self.commands.send(command(answer)).await.is_err() {
            return Err(JournalError::Fenced(None));
        }
        told.await.unwrap_or(Err(JournalError::Fenced(None)))
    }
}

/// Writes what comes and keeps the lock alive, until the run is closed or its owner is gone.
async fn keep(mut writer: Writer, mut run: Run, mut inbox: mpsc::Receiver<Command>) {
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    loop {
        tokio::select! {
            biased;
            command = inbox.recv() => match command {
                Some(Command::Write { records, answer }) => {
                    // Whoever asked may have been cancelled: the record stays true.
                    let _ = answer.send(writer.append(&records).await);
                }
                Some(Command::Close { records, answer }) => {
                    let _ = answer.send(writer.append(&records).await);
                    return;
                }
                None => {
                    run.state = RunState::Interrupted;
                    let records = [record(Key::Run(run.id), &run), (Key::Lock, None)];
                    // Nobody is left to be told; without it the next run takes over what stands still.
                    let _ = writer.append(&records).await;
                    return;
                }
            },
            _ = beat.tick() => {
                // A failure shows at the next write, which has somebody to tell.
                let _ = writer.beat().await;
            }
        }
    }
}

/// Waits until nobody holds the lock, or its holder is dead: then what is left of its lock is the answer.
async fn wait_for_lock(
    admin: &Admin,
    started: Instant,
    patience: Duration,
) -> Result<Option<Seen>, JournalError> {
    let mut seen: Option<Seen> = None;
    loop {
        let Some(lock) = history(admin).await?.unwrap_or_default().lock else { return Ok(None) };
        let since = match seen {
            Some(seen) if (seen.run, seen.beat) == (lock.run, lock.beat) => seen.since,
            // It moved while it was looked at: the holder lives.
            Some(_) if started.elapsed() >= patience => return Err(JournalError::Locked(Box::new(lock))),
            _ => Instant::now(),
        };
        seen = Some(Seen { run: lock.run, beat: lock.beat, since });
        if lock.holder.is_gone() || since.elapsed() >= DEAD_AFTER {
            return Ok(seen);
        }
        sleep(LOOK).await;
    }
}

/// A lock as it was seen, and since when it looks like that.
#[derive(Debug, Clone, Copy)]
struct Seen {
    run: u64,
    beat: u64,
    since: Instant,
}

/// A later epoch was handed out, or has written.
fn is_fenced(error: &AdminError) -> bool {
    matches!(error.code(), Some(ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED))
}

/// Runs that were cut off without a word.
fn interrupted(history: &History) -> Records {
    let open = history.runs.values().filter(|record| record.run.state == RunState::Open);
    open.map(|found| {
        let run = Run { state: RunState::Interrupted, ..found.run.clone() };
        record(Key::Run(run.id), &run)
    })
    .collect()
}

/// Tombstones for the runs that are too old to be kept.
fn forgotten(history: &History) -> Records {
    let old = history.runs.len().saturating_sub(RUNS_KEPT);
    let keys = history.runs.iter().take(old).flat_map(|(id, record)| {
        record.steps.keys().map(|index| Key::Step(*id, *index)).chain([Key::Run(*id)])
    });
    keys.map(|key| (key, None)).collect()
}

async fn ensure_topic(admin: &Admin) -> Result<(), JournalError> {
    let topics = [TOPIC.to_owned()];
    let facts = admin.facts(&topics).await?;
    if let Some(found) = facts.topics.get(TOPIC) {
        let policy = found.configs.as_ref().and_then(|configs| configs.get("cleanup.policy"));
        let policy = policy.and_then(|policy| policy.value.as_deref()).unwrap_or("compact");
        return match (found.partitions.len(), policy) {
            (1, "compact") => Ok(()),
            (partitions, policy) => Err(JournalError::Foreign(format!(
                "topic {TOPIC} has {partitions} partitions and cleanup.policy {policy}; a journal has 1 and compact"
            ))),
        };
    }
    let copies = facts.brokers.len().clamp(1, COPIES);
    let floor = copies.saturating_sub(1).max(1);
    let config = |name: &str, value: String| (name.to_owned(), value);
    let new = NewTopic {
        name: TOPIC.to_owned(),
        partitions: 1,
        replication_factor: copies as i16,
        configs: vec![
            config("cleanup.policy", "compact".to_owned()),
            config("min.insync.replicas", floor.to_string()),
            // A holder whose clock is wrong is not to be refused (message.timestamp.after.max.ms).
            config("message.timestamp.type", "LogAppendTime".to_owned()),
        ],
    };
    match admin.create_topics(&[new], Mode::Execute).await {
        Err(error) if error.code() != Some(ErrorCode::TOPIC_ALREADY_EXISTS) => return Err(error.into()),
        _ => {}
    }
    Ok(admin.wait_until_ready(&topics, READY).await?)
}

fn record(key: Key, value: &impl serde::Serialize) -> (Key, Option<Vec<u8>>) {
    // These types have string keys only, which is all that JSON asks for.
    (key, Some(serde_json::to_vec(value).unwrap_or_default()))
}

pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
