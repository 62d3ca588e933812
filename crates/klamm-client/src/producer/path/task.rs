//! The producer's task: seals what is due, does what the machine asks, and reports outcomes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_admin::{Admin, AdminError, Routes};
use klamm_kafka::ErrorCode;
use klamm_wire::batch::{self, BatchError};
use klamm_wire::protocol::messages::ProduceResponse;
use klamm_wire::{CallOptions, Connection, WireError};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::inbox::{Added, Inbox, Sent, Shared, Stage};
use super::leaders::Leaders;
use super::links::{Flight, Links};
use super::request::{self, Terms};
use crate::acks::Outstanding;
use crate::produce::{Accumulator, Ask, BatchId, Identity, Outcome, Producer, Raw, Settings, Slot};
use crate::{Compression, ProduceError, ProducerOptions, Receipt};

/// Larger batches are compressed on a thread for blocking work.
const COMPRESSED_AT_ONCE_BYTES: usize = 64 << 10;
/// Most of them at once.
const MAX_COMPRESSING: usize = 4;
/// How often senders are told what waits where, while anything does.
const WEIGHED_EACH: Duration = Duration::from_millis(100);
/// The longest sleep without a reason.
const IDLE: Duration = Duration::from_secs(60);

/// What came of something that takes time.
pub(super) enum Done {
    Dialed(i32, Result<Connection, AdminError>),
    Landed(Flight, Result<ProduceResponse, WireError>),
    Identified(Result<Result<Identity, ErrorCode>, AdminError>),
    Learned(Vec<Arc<str>>, Result<Routes, AdminError>),
    Compressed(Slot, BatchId, Encoded),
}

/// A batch as it is sent, and memory that is left over.
type Encoded = Result<(Bytes, [Vec<u8>; 2]), BatchError>;

/// A sealed batch, and memory for its compressed form.
struct Sealed {
    slot: Slot,
    raw: Raw,
    output: Vec<u8>,
}

/// Whether a look at everything may have made room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Idle,
    Busy,
}

/// A batch without its last outcome.
struct Batch {
    sent: Vec<Sent>,
    missing: usize,
}

pub(super) struct Task {
    admin: Admin,
    terms: Terms,
    compresses: bool,
    shared: Arc<Shared>,
    outstanding: Arc<Outstanding>,
    machine: Producer,
    links: Links,
    leaders: Leaders,
    batches: HashMap<BatchId, Batch>,
    calls: JoinSet<Done>,
    /// Large batches that wait for their turn to be compressed.
    large: VecDeque<Sealed>,
    compressing: usize,
    /// Memory of batches that are over, until the accumulator takes it back.
    spare: Vec<Vec<u8>>,
    used: Vec<Bytes>,
    identity_turn: usize,
    /// When the next open batch has waited for `linger.ms`.
    due: Option<Instant>,
    /// When to tell senders what waits where.
    weigh_at: Option<Instant>,
    stage: Stage,
}

/// The open batches of a producer.
pub(super) fn accumulator(options: &ProducerOptions) -> Accumulator {
    let pool_bytes = options.buffer_bytes / 8;
    let compression = match options.compression {
        Compression::None => batch::Compression::None,
        Compression::Gzip => batch::Compression::Gzip,
        Compression::Snappy => batch::Compression::Snappy,
        Compression::Lz4 => batch::Compression::Lz4,
        Compression::Zstd => batch::Compression::Zstd,
    };
    let batch_bytes = options.batch_bytes.min(options.max_request_bytes);
    Accumulator::new(compression, batch_bytes, options.max_request_bytes, options.linger, pool_bytes)
}

impl Task {
    pub(super) fn new(
        admin: Admin,
        options: &ProducerOptions,
        shared: Arc<Shared>,
        outstanding: Arc<Outstanding>,
    ) -> Task {
        let terms = Terms { acks: options.acks, request_timeout: options.request_timeout };
        Task {
            links: Links::new(admin.clone(), terms),
            admin,
            terms,
            compresses: options.compression != Compression::None,
            shared,
            outstanding,
            machine: Producer::new(Settings::from_options(options), super::random("producer")),
            leaders: Leaders::new(super::random("leaders")),
            batches: HashMap::new(),
            calls: JoinSet::new(),
            large: VecDeque::new(),
            compressing: 0,
            spare: Vec::new(),
            used: Vec::new(),
            identity_turn: 0,
            due: None,
            weigh_at: None,
            stage: Stage::Open,
        }
    }

    /// Runs until the producer is stopped, or is gone and each of its records has an outcome.
    pub(super) async fn run(mut self) {
        loop {
            let pass = self.settle().await;
            match self.stage {
                Stage::Stopped => {
                    self.machine.close(Instant::now());
                    return self.tell();
                }
                Stage::Deserted if self.batches.is_empty() => return,
                Stage::Deserted | Stage::Open => {}
            }
            let mut done = match pass {
                // Senders that never rest must not keep answers waiting.
                Pass::Busy => {
                    tokio::task::yield_now().await;
                    self.calls.try_join_next()
                }
                Pass::Idle => self.next().await,
            };
            while let Some(one) = done {
                // Only a panic ends a call without a result, and then there may be a record that waits for it: all are closed.
                let Ok(one) = one else { return };
                self.take(one).await;
                done = self.calls.try_join_next();
            }
        }
    }

    /// Waits until there is something to do.
    async fn next(&mut self) -> Option<Result<Done, JoinError>> {
        let wakes = [self.due, self.weigh_at, self.machine.wake_at(), self.leaders.wake_at()];
        let wake = wakes.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = self.shared.changed() => None,
            Some(done) = self.calls.join_next() => Some(done),
            () = sleep_until(wake.into()) => None,
        }
    }

    /// Does all that can be done now.
    async fn settle(&mut self) -> Pass {
        let sealed = self.pull();
        let mut pass = if sealed.is_empty() { Pass::Idle } else { Pass::Busy };
        for one in sealed {
            self.encode(one);
        }
        while let Some(ask) = self.machine.ask(Instant::now()) {
            pass = Pass::Busy;
            self.start(ask).await;
        }
        self.ask_for_leaders();
        self.tell();
        pass
    }

    /// Takes sealed batches out of the inbox, after it has sealed what is due.
    fn pull(&mut self) -> Vec<Sealed> {
        let shared = Arc::clone(&self.shared);
        let hungry = self.machine.hungry();
        let mut sealed = Vec::new();
        let mut inbox = shared.lock();
        let inbox = &mut *inbox;
        // Not earlier: no batch in there was begun after it.
        let now = Instant::now();
        self.spare.drain(..).for_each(|buffer| inbox.accumulator.pool().give(buffer));
        self.used.drain(..).for_each(|bytes| inbox.accumulator.pool().reclaim(bytes));
        for Added { topic, partition, leader } in inbox.added.drain(..) {
            let slot = self.machine.add(Arc::clone(&topic), partition);
            self.leaders.add(topic, partition, slot);
            if leader.is_some() {
                self.machine.set_leader(slot, leader, now);
            }
        }
        // Those that are full first, so that their partitions are not taken for idle.
        self.take_sealed(inbox, &mut sealed, now);
        for slot in hungry.into_iter().chain(inbox.begun.drain(..)) {
            inbox.accumulator.offer(slot, self.machine.appetite(slot));
        }
        inbox.accumulator.seal_due(now, |slot| self.machine.appetite(slot));
        match inbox.stage {
            Stage::Stopped => inbox.accumulator.seal_all(),
            Stage::Open if !shared.is_hurried() => {}
            Stage::Open | Stage::Deserted => inbox.accumulator.hurry(now, |slot| self.machine.appetite(slot)),
        }
        self.take_sealed(inbox, &mut sealed, now);
        self.weigh(inbox, now);
        self.due = inbox.accumulator.wake_at();
        self.stage = inbox.stage;
        sealed
    }

    fn take_sealed(&mut self, inbox: &mut Inbox, sealed: &mut Vec<Sealed>, now: Instant) {
        while let Some((slot, raw)) = inbox.accumulator.take_sealed() {
            let sent = inbox.take_sent(slot, raw.id());
            self.batches.insert(raw.id(), Batch { missing: sent.len(), sent });
            self.machine.sealed(slot, &raw, now);
            let output = if self.compresses { inbox.accumulator.pool().take() } else { Vec::new() };
            sealed.push(Sealed { slot, raw, output });
        }
    }

    /// Until once after the last outcome, so that senders do not keep to what was.
    fn weigh(&mut self, inbox: &mut Inbox, now: Instant) {
        if self.weigh_at.is_some_and(|at| at <= now) {
            let queue = |slot| {
                self.machine.leader(slot)?;
                u32::try_from(self.machine.queue_len(slot)).ok()
            };
            inbox.weigh(queue);
            self.weigh_at = None;
        }
        if !self.batches.is_empty() && self.weigh_at.is_none() {
            self.weigh_at = Some(now + WEIGHED_EACH);
        }
    }

    fn encode(&mut self, sealed: Sealed) {
        if self.compresses && sealed.raw.size_bytes() > COMPRESSED_AT_ONCE_BYTES {
            self.large.push_back(sealed);
            return self.compress();
        }
        let Sealed { slot, raw, output } = sealed;
        self.encoded(slot, raw.id(), raw.encode(output));
    }

    fn compress(&mut self) {
        while self.compressing < MAX_COMPRESSING {
            let Some(Sealed { slot, raw, output }) = self.large.pop_front() else { return };
            self.compressing += 1;
            self.calls.spawn_blocking(move || Done::Compressed(slot, raw.id(), raw.encode(output)));
        }
    }

    fn encoded(&mut self, slot: Slot, batch: BatchId, encoded: Encoded) {
        let bytes = match encoded {
            Ok((bytes, spare)) => {
                self.spare.extend(spare.into_iter().filter(|buffer| buffer.capacity() > 0));
                Ok(bytes)
            }
            Err(error) => Err(error.to_string()),
        };
        self.machine.compressed(slot, batch, bytes, Instant::now());
    }

    async fn start(&mut self, ask: Ask) {
        match ask {
            Ask::Connect(broker) => self.links.connect(broker, &mut self.calls),
            Ask::Send(request) => self.links.send(request, &mut self.machine, &mut self.calls).await,
            Ask::Metadata(topics) => self.leaders.want(topics),
            Ask::Identity => self.ask_for_identity(),
        }
    }

    fn ask_for_identity(&mut self) {
        // Each attempt goes to another broker: one that does not answer is not waited for twice.
        let Some(broker) = self.links.some_broker(self.identity_turn) else {
            return self.machine.unidentified("no broker is known", Instant::now());
        };
        self.identity_turn = self.identity_turn.wrapping_add(1);
        let admin = self.admin.clone();
        let options = CallOptions { timeout: Some(self.terms.request_timeout), ..CallOptions::default() };
        self.calls.spawn(async move {
            let asked = async {
                let connection = admin.connection(broker).await?;
                let response = connection.call_with(&request::identity(), options).await?;
                Ok(request::identified(&response))
            };
            Done::Identified(asked.await)
        });
    }

    fn ask_for_leaders(&mut self) {
        let Some(topics) = self.leaders.ask(Instant::now()) else { return };
        let admin = self.admin.clone();
        self.calls.spawn(async move {
            let names: Vec<String> = topics.iter().map(|topic| topic.to_string()).collect();
            let routes = admin.routes(&names).await;
            Done::Learned(topics, routes)
        });
    }

    async fn take(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Dialed(broker, dialed) => {
                self.links.dialed(broker, dialed, &mut self.machine, &mut self.calls).await;
            }
            Done::Landed(flight, answer) => {
                self.links.landed(flight, answer, &mut self.machine, &mut self.calls).await;
            }
            Done::Identified(Ok(answer)) => self.machine.identified(answer, now),
            Done::Identified(Err(error)) => self.machine.unidentified(&error.to_string(), now),
            Done::Learned(topics, routes) => self.leaders.learn(&topics, routes, &mut self.machine, now),
            Done::Compressed(slot, batch, encoded) => {
                self.compressing = self.compressing.saturating_sub(1);
                self.encoded(slot, batch, encoded);
                self.compress();
            }
        }
    }

    /// Reports what came of batches.
    fn tell(&mut self) {
        let outcomes: Vec<Outcome> = self.machine.outcomes().collect();
        for Outcome { slot, batch, records, result, bytes } in outcomes {
            self.used.extend(bytes);
            let Entry::Occupied(mut entry) = self.batches.entry(batch) else { continue };
            let (topic, partition) = self.machine.name(slot);
            let whole = records.start as usize..records.end as usize;
            let sent = entry.get().sent.get(whole).unwrap_or_default();
            let outcome = |(index, sent): (u32, &Sent)| {
                let outcome = match &result {
                    Ok(stored) => Ok(Receipt {
                        partition,
                        offset: stored.offset(&records, index),
                        timestamp_ms: stored.append_time_ms.unwrap_or(sent.timestamp_ms),
                    }),
                    Err(kind) => Err(ProduceError::new(&**topic, Some(partition), kind.clone())),
                };
                (sent.ticket, outcome)
            };
            self.outstanding.resolve_all(records.clone().zip(sent).map(outcome));
            let told = records.len();
            entry.get_mut().missing = entry.get().missing.saturating_sub(told);
            if entry.get().missing == 0 {
                entry.remove();
            }
        }
    }
}

impl Drop for Task {
    /// Also when the runtime ends: nobody waits for ever, and no record is taken in that nobody would send.
    fn drop(&mut self) {
        self.shared.enter(Stage::Stopped);
        self.outstanding.close_all();
    }
}
