//! The consuming half.
//!
//! One thread polls librdkafka: its main queue for rebalances and errors, and one queue per partition for messages, which
//! costs a fifth per message and lets a partition wait without holding up the others. When a partition's bytes in the
//! application's hands reach their bound, its queue is left alone, and librdkafka stops fetching it. A second thread
//! commits, because a commit waits for the coordinator.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use klamm_admin::ClientOptions;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use super::{config, errors};
use crate::consumer::{Event, FetchedBatch, Position, Records, Revoking, TopicPartition};
use crate::packed::Packed;
use crate::{
    ClientError, ClientErrorKind, CommitError, CommitErrorKind, ConsumeError, ConsumeErrorKind,
    ConsumerOptions,
};

/// Longest wait for work; new messages and returned credit end it.
const IDLE: Duration = Duration::from_millis(100);

/// Most bytes of a batch, beside its bound in records.
const BATCH_BYTES: usize = 1 << 20;

/// Commits that wait for the one under way.
const COMMIT_QUEUE: usize = 16;

/// Attempts of a commit while the coordinator moves, with a pause between them.
const COMMIT_ATTEMPTS: u32 = 4;
const COMMIT_BACKOFF: Duration = Duration::from_millis(200);

/// Lost connections are told at most once in this time: librdkafka says so at each attempt to come back.
const CONNECTION_ERROR_INTERVAL: Duration = Duration::from_secs(1);

/// A running librdkafka consumer with its threads.
pub(crate) struct ConsumerPath {
    shared: Arc<Shared>,
    commits: mpsc::Sender<Commit>,
}

/// A request to the committing thread.
pub(crate) enum Commit {
    /// Commit these.
    Positions { positions: Vec<Position>, done: oneshot::Sender<Result<(), CommitError>> },
    /// End.
    Stop,
}

/// The application's answer to a revoke.
pub(crate) struct RevokeReply {
    pub(crate) positions: Vec<Position>,
    pub(crate) done: oneshot::Sender<Result<(), CommitError>>,
}

impl ConsumerPath {
    /// Starts librdkafka and its threads, and joins the group. The receiver resolves when the group has been left.
    pub(crate) fn start(
        cluster: &ClientOptions,
        options: &ConsumerOptions,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(ConsumerPath, oneshot::Receiver<()>), ClientError> {
        let shared = Arc::new(Shared::default());
        let context = Context {
            shared: Arc::clone(&shared),
            events: events.clone(),
            revoke_budget: options.revoke_budget,
            live: Mutex::default(),
            changes: Mutex::default(),
            reason: Mutex::default(),
        };
        let mut consumer: BaseConsumer<Context> =
            config::consumer(cluster, options).create_with_context(context).map_err(not_created)?;
        let signal = Arc::clone(&shared);
        consumer.set_nonempty_callback(move || signal.wake());
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        let start_error = |message: String| ClientError::new(ClientErrorKind::Start { message });
        consumer.subscribe(&topics).map_err(|error| start_error(error.to_string()))?;
        let consumer = Arc::new(consumer);

        let (commits, requests) = mpsc::channel(COMMIT_QUEUE);
        let committing = spawn("klamm-commit", {
            let consumer = Arc::clone(&consumer);
            move || run_commits(&consumer, requests)
        })
        .map_err(start_error)?;
        let (ended_sender, ended) = oneshot::channel();
        let poller = Poller {
            consumer,
            shared: Arc::clone(&shared),
            events,
            batch_records: options.batch_records,
            partition_bytes: options.partition_bytes,
            total_bytes: options.total_bytes,
            slots: Vec::new(),
            turn: 0,
            connection_error_at: None,
        };
        let stop_commits = commits.clone();
        spawn("klamm-consumer", move || {
            poller.run(move || {
                // The committing thread ends first, so that librdkafka ends on this one.
                drop(stop_commits.blocking_send(Commit::Stop));
                drop(committing.join());
            });
            let _: Result<(), ()> = ended_sender.send(());
        })
        .map_err(start_error)?;
        Ok((ConsumerPath { shared, commits }, ended))
    }

    pub(crate) fn commits(&self) -> mpsc::Sender<Commit> {
        self.commits.clone()
    }

    pub(crate) fn pause(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        lock(&self.shared.paused).extend(partitions);
    }

    pub(crate) fn resume<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut paused = lock(&self.shared.paused);
        for partition in partitions {
            paused.remove(partition);
        }
        drop(paused);
        self.shared.wake();
    }

    /// Leaves the group as soon as the thread sees it. Never blocks.
    pub(crate) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake();
    }
}

impl Drop for ConsumerPath {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for ConsumerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerPath").finish_non_exhaustive()
    }
}

/// What the application's side and the threads share.
#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    /// Bytes in the application's hands.
    held_bytes: AtomicUsize,
    paused: Mutex<HashSet<TopicPartition>>,
    /// Something happened since the polling thread last looked.
    woken: Mutex<bool>,
    wake: Condvar,
}

impl Shared {
    fn wake(&self) {
        *lock(&self.woken) = true;
        self.wake.notify_one();
    }

    fn wait(&self) {
        let woken = lock(&self.woken);
        let waited = self.wake.wait_timeout_while(woken, IDLE, |woken| !*woken);
        *waited.map_or_else(|poisoned| poisoned.into_inner().0, |(woken, _)| woken) = false;
    }
}

/// Memory credit of one batch: returned when the batch is dropped.
pub(crate) struct Credit {
    bytes: usize,
    partition: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

impl Credit {
    fn take(bytes: usize, partition: &Arc<AtomicUsize>, shared: &Arc<Shared>) -> Credit {
        partition.fetch_add(bytes, Ordering::AcqRel);
        shared.held_bytes.fetch_add(bytes, Ordering::AcqRel);
        Credit { bytes, partition: Arc::clone(partition), shared: Arc::clone(shared) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.partition.fetch_sub(self.bytes, Ordering::AcqRel);
        self.shared.held_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.shared.wake();
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credit").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The polling thread.
struct Poller {
    consumer: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    batch_records: usize,
    partition_bytes: usize,
    total_bytes: usize,
    slots: Vec<Slot>,
    /// Where the next round over the partitions begins.
    turn: usize,
    connection_error_at: Option<Instant>,
}

/// One assigned partition.
struct Slot {
    partition: TopicPartition,
    /// Its own queue.
    queue: Option<PartitionQueue<Context>>,
    /// The main queue holds nothing of it any more, so its own queue is next in order.
    open: bool,
    /// A record could not be read; nothing after it is handed over.
    stuck: bool,
    /// Records on their way to becoming a batch.
    packed: Packed,
    held_bytes: Arc<AtomicUsize>,
    live: Arc<AtomicBool>,
}

impl Poller {
    fn run(mut self, stop_commits: impl FnOnce()) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            self.serve_main_queue();
            if !self.fetch() {
                self.shared.wait();
            }
        }
        // Partition queues hold librdkafka's consumer; they go first.
        self.slots.clear();
        stop_commits();
        // The last reference: leaves the group, with revokes that nobody is asked about.
    }

    /// Serves rebalances and errors, and takes messages that were there before a partition had its own queue.
    fn serve_main_queue(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        loop {
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => self.take_early(&message),
                Some(Err(error)) => self.report(&error),
                // Nothing is returned for an event that was served, either; only then there may be more.
                None if !self.apply_changes() => break,
                None => {}
            }
        }
        for index in 0..self.slots.len() {
            self.hand_over(index);
            let slot = &mut self.slots[index];
            slot.open = slot.queue.is_some();
        }
    }

    /// Follows the rebalances that were served during a poll. False when nothing was served.
    fn apply_changes(&mut self) -> bool {
        let changes = mem::take(&mut *lock(&self.consumer.context().changes));
        let served = !changes.is_empty();
        for change in changes {
            match change {
                // An old queue goes before its partition can come back: it would take the new one's wake-up along.
                Change::Gone(partitions) => self.slots.retain(|slot| !partitions.contains(&slot.partition)),
                Change::Assigned(partitions) => {
                    let slots = partitions.into_iter().map(|(partition, live)| self.slot(partition, live));
                    let slots: Vec<Slot> = slots.collect();
                    self.slots.extend(slots);
                }
                Change::Other => {}
            }
        }
        served
    }

    /// A partition that is assigned, with a queue of its own.
    ///
    /// librdkafka leaves a queue in place that the application has split off once, even over a rebalance, so this has to be
    /// done now: a partition that comes back would deliver nowhere else.
    fn slot(&self, partition: TopicPartition, live: Arc<AtomicBool>) -> Slot {
        let mut queue = self.consumer.split_partition_queue(&partition.topic, partition.partition);
        if let Some(queue) = &mut queue {
            let shared = Arc::clone(&self.shared);
            queue.set_nonempty_callback(move || shared.wake());
        }
        let (packed, held_bytes) = (Packed::default(), Arc::default());
        Slot { partition, queue, open: false, stuck: false, packed, held_bytes, live }
    }

    /// A message from the main queue: its fetching began before the partition had a queue of its own.
    fn take_early(&mut self, message: &BorrowedMessage<'_>) {
        let is_its = |slot: &Slot| {
            slot.partition.partition == message.partition() && *slot.partition.topic == *message.topic()
        };
        // Without a slot it was revoked in between; the next owner reads it again.
        let Some(index) = self.slots.iter().position(is_its) else { return };
        if let Err(error) = self.slots[index].pack(message) {
            self.send(Event::Error(error));
        }
        if self.slots[index].packed.len() >= self.batch_records {
            self.hand_over(index);
        }
    }

    /// Takes one batch from each partition that may have more. False when there was none.
    fn fetch(&mut self) -> bool {
        let mut progressed = false;
        let count = self.slots.len();
        self.turn = self.turn.wrapping_add(1);
        for step in 0..count {
            let index = (self.turn + step) % count;
            if !self.may_fetch(&self.slots[index]) {
                continue;
            }
            let errors = self.slots[index].fill(self.batch_records);
            progressed |= self.slots[index].packed.len() > 0;
            for error in errors {
                self.send(Event::Error(error));
            }
            self.hand_over(index);
        }
        progressed
    }

    fn may_fetch(&self, slot: &Slot) -> bool {
        slot.open
            && !slot.stuck
            && slot.held_bytes.load(Ordering::Acquire) < self.partition_bytes
            && self.shared.held_bytes.load(Ordering::Acquire) < self.total_bytes
            && !lock(&self.shared.paused).contains(&slot.partition)
    }

    /// Sends what a partition has packed as one batch.
    fn hand_over(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if slot.packed.len() == 0 {
            return;
        }
        let records = mem::take(&mut slot.packed);
        let credit = Credit::take(records.size_bytes(), &slot.held_bytes, &self.shared);
        let (partition, live) = (slot.partition.clone(), Arc::clone(&slot.live));
        let records = Records::Packed(records, credit);
        self.send(Event::Batch(FetchedBatch { partition, records, live }));
    }

    fn report(&mut self, error: &KafkaError) {
        let reason = lock(&self.consumer.context().reason).take();
        let error = errors::consume(error, reason.as_deref());
        if error.kind == ConsumeErrorKind::Connection {
            if self.connection_error_at.is_some_and(|at| at.elapsed() < CONNECTION_ERROR_INTERVAL) {
                return;
            }
            self.connection_error_at = Some(Instant::now());
        }
        self.send(Event::Error(error));
    }

    fn send(&self, event: Event) {
        // Nobody listens only when the consumer was dropped, and then this thread is about to end.
        drop(self.events.send(event));
    }
}

impl Slot {
    /// Packs what the partition's own queue holds, up to a batch.
    fn fill(&mut self, batch_records: usize) -> Vec<ConsumeError> {
        let mut errors = Vec::new();
        // Taken out for the while, so that messages can be packed while they borrow from it.
        let Some(queue) = self.queue.take() else { return errors };
        while self.packed.len() < batch_records && self.packed.size_bytes() < BATCH_BYTES && !self.stuck {
            match queue.poll(Duration::ZERO) {
                Some(Ok(message)) => errors.extend(self.pack(&message).err()),
                Some(Err(error)) => errors.push(errors::consume(&error, Some(&self.partition.to_string()))),
                None => break,
            }
        }
        self.queue = Some(queue);
        errors
    }

    /// Copies a message behind the others.
    fn pack(&mut self, message: &BorrowedMessage<'_>) -> Result<(), ConsumeError> {
        if self.stuck {
            return Ok(());
        }
        self.packed.push(message.offset(), message.timestamp().to_millis(), message.key(), message.payload());
        let Some(headers) = message.headers() else { return Ok(()) };
        for index in 0..headers.count() {
            // The binding panics on a name that is not UTF-8, and names come from outside.
            let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
            if let Ok(Some(header)) = header {
                self.packed.header(header.key, header.value);
                continue;
            }
            self.packed.pop();
            self.stuck = true;
            let message =
                format!("{} offset {}: a header's name is not UTF-8", self.partition, message.offset());
            return Err(ConsumeError { kind: ConsumeErrorKind::Unreadable, message });
        }
        Ok(())
    }
}

/// What happened to the assignment while librdkafka was polled.
enum Change {
    Assigned(Vec<(TopicPartition, Arc<AtomicBool>)>),
    Gone(Vec<TopicPartition>),
    /// An event was served that changes nothing, so the poll that returned nothing is not the end.
    Other,
}

/// librdkafka's callbacks. All of them run on the polling thread.
struct Context {
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    revoke_budget: Duration,
    /// Flags of the batches of assigned partitions.
    live: Mutex<HashMap<TopicPartition, Arc<AtomicBool>>>,
    changes: Mutex<Vec<Change>>,
    /// What librdkafka said beside the code of the last error.
    reason: Mutex<Option<String>>,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _line: &str) {
        lock(&self.changes).push(Change::Other);
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        *lock(&self.reason) = Some(reason.to_owned());
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        let partitions = partitions(list);
        let mut live = lock(&self.live);
        for partition in &partitions {
            if let Some(flag) = live.remove(partition) {
                flag.store(false, Ordering::Release);
            }
        }
        drop(live);
        lock(&self.changes).push(Change::Gone(partitions.clone()));
        if partitions.is_empty() || self.shared.stopping.load(Ordering::Acquire) {
            return;
        }
        if consumer.assignment_lost() {
            drop(self.events.send(Event::Lost(partitions)));
        } else {
            self.revoke(consumer, partitions);
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else {
            lock(&self.changes).push(Change::Other);
            return;
        };
        let partitions = partitions(list);
        let flags: Vec<_> =
            partitions.iter().map(|partition| (partition.clone(), Arc::new(AtomicBool::new(true)))).collect();
        lock(&self.live).extend(flags.iter().cloned());
        lock(&self.changes).push(Change::Assigned(flags));
        drop(self.events.send(Event::Assigned(partitions)));
    }

    fn commit_callback(&self, _result: Result<(), KafkaError>, _offsets: &TopicPartitionList) {
        lock(&self.changes).push(Change::Other);
    }
}

impl Context {
    /// Lets the application drain its work, and commits what it finished while the partitions are still ours.
    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: Vec<TopicPartition>) {
        let (reply, replies) = std::sync::mpsc::sync_channel(1);
        let revoking = Revoking { partitions, budget: self.revoke_budget, reply };
        drop(self.events.send(Event::Revoking(revoking)));
        // Ends early with an error when the application drops its side.
        if let Ok(RevokeReply { positions, done }) = replies.recv_timeout(self.revoke_budget) {
            drop(done.send(commit(consumer, &positions)));
        }
    }
}

fn run_commits(consumer: &BaseConsumer<Context>, mut requests: mpsc::Receiver<Commit>) {
    while let Some(Commit::Positions { positions, done }) = requests.blocking_recv() {
        let mut outcome = commit(consumer, &positions);
        for _ in 1..COMMIT_ATTEMPTS {
            if !outcome.as_ref().is_err_and(CommitError::is_retryable) {
                break;
            }
            thread::sleep(COMMIT_BACKOFF);
            outcome = commit(consumer, &positions);
        }
        drop(done.send(outcome));
    }
}

fn commit(consumer: &BaseConsumer<Context>, positions: &[Position]) -> Result<(), CommitError> {
    if positions.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for Position { partition, offset } in positions {
        let offset = Offset::Offset(*offset);
        list.add_partition_offset(&partition.topic, partition.partition, offset).map_err(|error| {
            CommitError { kind: CommitErrorKind::Other, message: format!("{partition}: {error}") }
        })?;
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|error| errors::commit(&error))
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements.iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, String> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| error.to_string())
}

/// No code panics while it holds one of these locks, so what they guard is whole even if a thread died elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_created(error: KafkaError) -> ClientError {
    match error {
        KafkaError::ClientConfig(_, problem, name, value) => ClientError::setting(name, value, problem),
        other => ClientError::new(ClientErrorKind::Start { message: other.to_string() }),
    }
}
