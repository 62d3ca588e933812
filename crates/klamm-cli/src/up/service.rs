//! Runs the order service until it is stopped, drains it, and proves what it did.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use klamm_contract::{Delivery, Profile};
use klamm_runtime::{ConnectError, ConnectErrorKind, ConsumerLoop, DurableProducer, LoopOptions, LoopReport};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use super::Say;
use super::consume::{self, ViewBuilder, ViewStore};
use super::job::Job;
use super::orders::Orders;
use super::pace::Pace;
use super::produce::{Book, IN_FLIGHT, Writer, take_outcomes};
use super::proof::{self, Reader};
use super::status::StatusLine;
use super::stop::{Stop, Why};
use super::target::Target;
use crate::args::{RateArg, UpArgs};
use crate::connect;
use crate::failure::{Exit, Failure, Outcome};
use crate::screen::{self, Drain, Ending};

/// What the example writes when nobody says how fast: enough to see it move, little enough for a laptop.
const DEFAULT_RATE: f64 = 5_000.0;
/// Between two readings of the status line.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Readings between two snapshots of the view.
const SNAPSHOT_EVERY: u32 = 10;
/// Between two looks whether the view has everything.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Left for the last commit when the drain took all of its time.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// What a run is started with.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub args: &'a UpArgs,
    pub stop: &'a Stop,
    pub target: &'a Target,
    pub job: &'a Job,
    pub profile: Profile,
    pub say: Say,
}

/// Runs the service and returns how it ended: exit code 0 only if the guarantees held.
pub async fn run(run: Run<'_>) -> Outcome {
    let mut service = Service::start(run).await?;
    service.watch().await;
    service.drain().await;
    service.prove().await
}

struct Service<'a> {
    run: Run<'a>,
    book: Arc<Book>,
    store: Arc<ViewStore>,
    /// Reads the log back beside the service.
    reader: JoinHandle<Reader>,
    producer: DurableProducer,
    consumer: Option<ConsumerLoop>,
    /// How the consumer ended.
    report: Option<LoopReport>,
    /// The writer and the taker of outcomes; dropped, they end.
    tasks: JoinSet<()>,
    line: StatusLine,
}

impl<'a> Service<'a> {
    async fn start(run: Run<'a>) -> Result<Service<'a>, Failure> {
        let Run { args, stop, target, job, profile, say } = run;
        let (admin, topic) = (&target.admin, &job.topic.topic);
        consume::wait_until_alone(admin, &job.consumer, stop, say).await?;
        let store = ViewStore::open(admin, &job.consumer, topic, target.views.as_ref()).await?;
        let store = Arc::new(store);
        let producer = DurableProducer::connect(&target.options, job.topic.clone())
            .await
            .map_err(|e| not_started(&e))?;
        let run_id: u64 = rand::random();
        let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let book = Arc::new(Book::new(run_id));
        let reader = Reader::open(admin, job, &book).await?;
        let handler = ViewBuilder { store: Arc::clone(&store), book: Arc::clone(&book) };
        // A view needs the whole log, whatever the spec's consumer starts at: the default is the beginning.
        let options = LoopOptions { lag_interval: STATUS_EVERY, ..LoopOptions::default() };
        let consumer = ConsumerLoop::start(&target.options, &job.consumer, options, handler).await;
        let consumer = consumer.map_err(|error| not_started(&error))?;
        announce(say, job, run_id, seed);
        let writer = Writer {
            producer: producer.clone(),
            orders: Orders::new(seed, first_order_id(), job.record_bytes),
            pace: Pace::new(rate(args)),
            limit: args.records,
            book: Arc::clone(&book),
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        let (sent, outcomes) = mpsc::channel(IN_FLIGHT);
        tasks.spawn(writer.run(sent));
        tasks.spawn(take_outcomes(outcomes, Arc::clone(&book), stop.clone()));
        let line = StatusLine::new(say.json, profile);
        let reader = tokio::spawn(reader.follow(stop.clone()));
        let (consumer, report) = (Some(consumer), None);
        Ok(Service { run, book, store, reader, producer, consumer, report, tasks, line })
    }

    /// Shows the status until something stops the run.
    async fn watch(&mut self) {
        let until = self.run.args.run_for.map(|time| tokio::time::Instant::now() + time);
        let mut ticks = interval(STATUS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut readings = 0_u32;
        loop {
            let Some(consumer) = &mut self.consumer else { return };
            tokio::select! {
                _ = self.run.stop.stopped() => return,
                () = at(until) => self.run.stop.stop(Why::Done),
                report = consumer.ended() => {
                    self.report = Some(report);
                    self.consumer = None;
                    self.run.stop.stop(Why::Failed);
                }
                _ = ticks.tick() => {
                    readings += 1;
                    self.show("running");
                    if self.run.target.trouble().is_some() {
                        self.run.stop.stop(Why::Failed);
                    }
                    if readings.is_multiple_of(SNAPSHOT_EVERY) {
                        let store = Arc::clone(&self.store);
                        // A snapshot that fails now is tried again; the last one is told.
                        self.tasks.spawn_blocking(move || drop(store.save()));
                    }
                }
            }
        }
    }

    /// Every outcome is waited for, the view takes in what was acknowledged, the group commits and is left.
    async fn drain(&mut self) {
        // A broker that cannot write will not acknowledge anything, however long one waits.
        let patience = if self.run.target.trouble().is_some() { Duration::ZERO } else { self.run.args.drain };
        let deadline = tokio::time::Instant::now() + patience;
        let finished = timeout_at(deadline, self.settle()).await;
        if finished.is_err() {
            // What has no outcome by now gets one: closed, effect unknown.
            let _outstanding = self.producer.close(Duration::ZERO).await;
            while self.tasks.join_next().await.is_some() {}
        }
        self.line.clear();
        if let Some(consumer) = self.consumer.take() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            self.report = Some(consumer.stop(left.max(LAST_COMMIT)).await);
        }
    }

    async fn settle(&mut self) {
        let mut shown = Instant::now();
        loop {
            while self.tasks.try_join_next().is_some() {}
            let settled = self.tasks.is_empty() && self.store.reached(&self.book.acknowledged_ends());
            if settled || self.consumer.is_none() {
                return;
            }
            if shown.elapsed() >= STATUS_EVERY {
                shown = Instant::now();
                self.show("draining");
            }
            // tidy: allow(the pause between two looks; --drain bounds them)
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the log back and prints the verdict.
    async fn prove(&mut self) -> Outcome {
        let _outstanding = self.producer.close(LAST_COMMIT).await;
        let (admin, book) = (&self.run.target.admin, &self.book);
        let reader = (&mut self.reader)
            .await
            .map_err(|error| Failure::new(format!("the log was not read back: {error}")))?;
        reader.finish().await?;
        let committed = proof::committed(admin, self.run.job, book).await?;
        let saved = self.store.save();
        let verdict = book.check(|checker| checker.verdict());
        let ending = Ending {
            verdict: &verdict,
            delivery: match self.run.job.consumer.delivery {
                Delivery::AtMostOnce => klamm_track::Delivery::AtMostOnce,
                Delivery::AtLeastOnce => klamm_track::Delivery::AtLeastOnce,
                Delivery::ExactlyOnce => klamm_track::Delivery::ExactlyOnce,
            },
            totals: self.store.totals(),
            latency_ms: book.counters.whole_run_ms(),
            committed,
            drain: match self.store.reached(&book.acknowledged_ends()) {
                true => Drain::Whole,
                false => Drain::CutShort,
            },
        };
        let held = ending.held();
        self.run.say.event("verdict", ending.to_json(), || screen::verdict(&ending, self.run.profile));
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if let Err(error) = saved {
            return Err(Failure::new(format!("cannot keep the view: {error}"))
                .hint("it is built again from the log; `--data-dir DIR` keeps it elsewhere"));
        }
        Ok(if held { Exit::Clean } else { Exit::Findings })
    }

    /// Why the run cannot count, whatever the verdict says of it.
    fn failure(&self) -> Option<Failure> {
        if let Some(trouble) = self.run.target.trouble() {
            return Some(trouble);
        }
        if let Some(error) = self.book.first_failure() {
            return Some(Failure::new(format!("a record could not be sent: {error}")).hint(
                "the caller was told, so nothing is lost in silence; `klamm doctor` looks at brokers and replicas",
            ));
        }
        let report = self.report.as_ref()?;
        if let Some(error) = &report.error {
            return Some(
                Failure::new(format!("the consumer cannot go on: {error}"))
                    .hint("`klamm doctor` tries the group's coordinator and rights"),
            );
        }
        if let Some(failed) = report.failures.first() {
            return Some(
                Failure::new(format!("the work on {} failed: {}", failed.partition, failed.error))
                    .hint("its offsets are not committed: the next run begins there"),
            );
        }
        if !self.store.reached(&self.book.acknowledged_ends()) {
            return Some(
                Failure::new(format!("the drain did not end within {} s", self.run.args.drain.as_secs())).hint(
                    "`--drain 5m` waits longer; what is left is in the log, and the next run goes on with it",
                ),
            );
        }
        None
    }

    fn show(&mut self, phase: &str) {
        if let Some(consumer) = &self.consumer {
            self.book.counters.saw_lag(consumer.stats().lag_records());
        }
        self.line.show(&self.book.counters, phase);
    }
}

async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn announce(say: Say, job: &Job, run: u64, seed: u64) {
    let (topic, group) = (&job.topic.topic, &job.consumer.group);
    let fields = json!({ "run": format!("{run:016x}"), "seed": seed, "topic": topic, "group": group });
    say.event("run", fields, || {
        format!("run       order events to {topic}, read view as group {group} (seed {seed})\n")
    });
}

fn rate(args: &UpArgs) -> RateArg {
    match (args.rate, args.records) {
        (Some(rate), _) => rate,
        (None, Some(_)) => RateArg::Max,
        (None, None) => RateArg::PerSecond(DEFAULT_RATE),
    }
}

/// Orders of different runs have different ids: a run begins at its start in milliseconds, times a thousand, and places
/// fewer than a million orders a second.
fn first_order_id() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0).saturating_mul(1_000)
}

fn not_started(error: &ConnectError) -> Failure {
    match error.kind() {
        ConnectErrorKind::Cluster(error) => connect::failed(error),
        _ => Failure::new(error).hint("`klamm doctor` tries everything that the spec needs, one by one"),
    }
}
