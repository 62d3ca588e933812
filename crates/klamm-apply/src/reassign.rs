//! Moving copies: throttled, watched, cancelled cleanly, and tidied up after one that was interrupted.
//!
//! The throttle is Kafka's own (KIP-73): a rate on the brokers, and on the topic the list of replicas that it holds for.
//! The journal knows the move before either is set, so that the next run finds what an interrupted one left: a move
//! that goes on is watched to its end, throttles without a move are taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klamm_admin::{Admin, AdminError, Reassign};
use klamm_contract::facts::{ClusterFacts, ConfigFact, ConfigSource};
use klamm_plan::placement::Move;
use klamm_plan::{Change, ChangeKind, Risk};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::ApplyErrorKind;
use crate::journal::{History, RunState, StepState};

const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";
const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";

/// Pause between looks at a move: it takes seconds to hours.
const LOOK: Duration = Duration::from_millis(500);
/// How long a cancellation may take to show.
const CANCELLED_WITHIN: Duration = Duration::from_secs(30);

/// Who watches a run, and who may stop it.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Told about long work, again and again.
    pub say: &'a (dyn Fn(&Progress) + Send + Sync),
    /// Turns to true when the run is to stop: a move under way is cancelled, and its throttles are taken away.
    pub stop: Option<&'a watch::Receiver<bool>>,
}

impl Default for Control<'_> {
    fn default() -> Self {
        Control { say: &|_| {}, stop: None }
    }
}

impl Control<'_> {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| *stop.borrow())
    }

    /// Waits for a pause, or until it is stopped.
    pub(crate) async fn pause(&self, pause: Duration) {
        let stopped = async {
            if let Some(mut stop) = self.stop.cloned()
                && stop.wait_for(|stopped| *stopped).await.is_ok()
            {
                return;
            }
            // A sender that is gone stops nothing any more.
            std::future::pending().await
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped => {}
        }
    }
}

/// What is counted in [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Partitions whose copies move.
    Partitions,
    /// Offsets of records that are copied to another topic.
    Records,
}

/// How far long work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Topic that it is about.
    pub topic: String,
    /// What is counted.
    pub unit: Unit,
    /// As many are done.
    pub done: usize,
    /// Of so many.
    pub of: usize,
    /// Since it was started.
    pub elapsed: Duration,
    /// Until it is done, if it goes on as it did; `None` before the first is done.
    pub left: Option<Duration>,
}

/// Moves copies of one topic and waits until all have arrived.
pub(crate) struct Mover<'a> {
    pub admin: &'a Admin,
    pub topic: &'a str,
    pub moves: &'a [Move],
    /// Bytes per second for each broker.
    pub throttle: u64,
    pub control: Control<'a>,
}

impl Mover<'_> {
    pub async fn run(&self) -> Result<(), ApplyErrorKind> {
        if self.control.is_stopped() {
            return Err(ApplyErrorKind::Cancelled { topic: self.topic.to_owned() });
        }
        let copies = self.moves.iter().any(|step| step.adding().next().is_some());
        if copies {
            self.throttle().await?;
        }
        let targets = |replicas: fn(&Move) -> Option<Vec<i32>>| -> Vec<Reassign> {
            let target = |step: &Move| Reassign {
                topic: self.topic.to_owned(),
                partition: step.partition,
                replicas: replicas(step),
            };
            self.moves.iter().map(target).collect()
        };
        self.admin.reassign(&targets(|step| Some(step.to.clone()))).await?;
        if !self.arrived().await? {
            self.admin.reassign(&targets(|_| None)).await?;
            self.gone().await?;
            unthrottle(self.admin, self.topic, &brokers(self.moves), self.throttle).await?;
            return Err(ApplyErrorKind::Cancelled { topic: self.topic.to_owned() });
        }
        if copies {
            unthrottle(self.admin, self.topic, &brokers(self.moves), self.throttle).await?;
        }
        let led: Vec<i32> = self.moves.iter().map(|step| step.partition).collect();
        Ok(self.admin.elect_preferred(self.topic, &led).await?)
    }

    /// Partitions that have not arrived.
    async fn under_way(&self) -> Result<usize, AdminError> {
        let all = self.admin.reassignments().await?;
        Ok(all.iter().filter(|ongoing| ongoing.topic == self.topic).count())
    }

    /// True when all have arrived, false when it was stopped.
    async fn arrived(&self) -> Result<bool, AdminError> {
        let started = Instant::now();
        loop {
            let left = self.under_way().await?.min(self.moves.len());
            let (of, elapsed) = (self.moves.len(), started.elapsed());
            let done = of - left;
            let rest = (done > 0).then(|| elapsed.mul_f64(left as f64 / done as f64));
            let (topic, unit) = (self.topic.to_owned(), Unit::Partitions);
            (self.control.say)(&Progress { topic, unit, done, of, elapsed, left: rest });
            if left == 0 {
                return Ok(true);
            }
            if self.control.is_stopped() {
                return Ok(false);
            }
            self.control.pause(LOOK).await;
        }
    }

    /// Waits until the controller has dropped what was cancelled.
    async fn gone(&self) -> Result<(), ApplyErrorKind> {
        let deadline = Instant::now() + CANCELLED_WITHIN;
        while self.under_way().await? > 0 {
            if Instant::now() >= deadline {
                let missing = format!("after {CANCELLED_WITHIN:?} the move of {} is still there", self.topic);
                return Err(ApplyErrorKind::NotSettled { missing });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Sets the throttle, but for what somebody else has set already: that stays, and holds for this move, too.
    async fn throttle(&self) -> Result<(), AdminError> {
        let facts = self.admin.facts(&[self.topic.to_owned()]).await?;
        let live = facts.topics.get(self.topic).and_then(|topic| topic.configs.as_ref());
        let listed = |name: &str| live.and_then(|configs| own(configs.get(name), ConfigSource::Topic));
        let list = |side: &dyn Fn(&Move) -> Vec<i32>| {
            let pairs = self
                .moves
                .iter()
                .flat_map(|step| side(step).into_iter().map(move |id| format!("{}:{id}", step.partition)));
            pairs.collect::<Vec<_>>().join(",")
        };
        let from = list(&|step| step.from.clone());
        let adding = list(&|step| step.adding().collect());
        let sets = [(LEADER_REPLICAS, from), (FOLLOWER_REPLICAS, adding)];
        let sets: Vec<_> = sets
            .into_iter()
            .filter(|(name, _)| listed(name).is_none())
            .map(|(name, value)| (name.to_owned(), Some(value)))
            .collect();
        if !sets.is_empty() {
            self.admin.alter_configs(self.topic, &sets).await?;
        }
        let involved = brokers(self.moves);
        for broker in facts.brokers.iter().filter(|broker| involved.contains(&broker.id)) {
            let set = |name: &str| own(broker.configs.get(name), ConfigSource::DynamicBroker).is_some();
            let sets: Vec<_> = [LEADER_RATE, FOLLOWER_RATE]
                .into_iter()
                .filter(|name| !set(name))
                .map(|name| (name.to_owned(), Some(self.throttle.to_string())))
                .collect();
            if !sets.is_empty() {
                self.admin.alter_broker_configs(broker.id, &sets).await?;
            }
        }
        Ok(())
    }
}

/// Brokers that a move reads from or writes to.
fn brokers(moves: &[Move]) -> BTreeSet<i32> {
    moves.iter().flat_map(|step| step.from.iter().chain(&step.to)).copied().collect()
}

/// The value that was set at `source` itself.
fn own(fact: Option<&ConfigFact>, source: ConfigSource) -> Option<&str> {
    fact.filter(|fact| fact.source == source)?.value.as_deref().filter(|value| !value.is_empty())
}

/// Takes the throttles of a move of `topic` away: the lists of the topic, and on the brokers the rates that are the
/// move's own. Twice does no harm.
pub(crate) async fn unthrottle(
    admin: &Admin,
    topic: &str,
    brokers: &BTreeSet<i32>,
    rate: u64,
) -> Result<(), AdminError> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    if facts.topics.contains_key(topic) {
        let unset = [(LEADER_REPLICAS.to_owned(), None), (FOLLOWER_REPLICAS.to_owned(), None)];
        admin.alter_configs(topic, &unset).await?;
    }
    for broker in facts.brokers.iter().filter(|broker| brokers.contains(&broker.id)) {
        let ours = rates(broker.id, &facts, rate);
        let unset: Vec<_> = ours.into_iter().map(|name| (name.to_owned(), None)).collect();
        if !unset.is_empty() {
            admin.alter_broker_configs(broker.id, &unset).await?;
        }
    }
    Ok(())
}

/// Throttle rates of a broker that are as this move has set them.
fn rates(broker: i32, facts: &ClusterFacts, rate: u64) -> Vec<&'static str> {
    let configs = facts.brokers.iter().find(|found| found.id == broker).map(|found| &found.configs);
    let is_ours = |name: &&str| {
        let set = configs.and_then(|configs| own(configs.get(*name), ConfigSource::DynamicBroker));
        set == Some(rate.to_string().as_str())
    };
    [LEADER_RATE, FOLLOWER_RATE].into_iter().filter(is_ours).collect()
}

/// What interrupted moves have left: those that go on, to be watched to their end, and throttles without a move.
pub(crate) async fn leftovers(admin: &Admin, history: &History) -> Result<Vec<Change>, AdminError> {
    let unfinished = history.runs.values().filter(|record| record.run.state != RunState::Done);
    let steps = unfinished.flat_map(|record| record.steps.values());
    let mut open: BTreeMap<&str, (&Vec<Move>, u64)> = BTreeMap::new();
    for step in steps.filter(|step| step.state == StepState::Intended) {
        if let ChangeKind::Reassign { moves, throttle } = &step.change.kind {
            open.insert(&step.change.topic, (moves, *throttle));
        }
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<String> = open.keys().map(|topic| (*topic).to_owned()).collect();
    let facts = admin.facts(&topics).await?;
    let under_way = admin.reassignments().await?;
    let mut changes = Vec::new();
    for (topic, (moves, throttle)) in open {
        let change = |kind, risk| Change { topic: topic.to_owned(), kind, risk };
        let goes_on = |step: &&Move| {
            under_way.iter().any(|ongoing| ongoing.topic == topic && ongoing.partition == step.partition)
        };
        let still: Vec<Move> = moves.iter().filter(goes_on).cloned().collect();
        let configs = facts.topics.get(topic).and_then(|live| live.configs.as_ref());
        let listed = |name: &str| configs.and_then(|configs| own(configs.get(name), ConfigSource::Topic));
        let brokers = brokers(moves);
        let throttled = listed(LEADER_REPLICAS).is_some()
            || listed(FOLLOWER_REPLICAS).is_some()
            || brokers.iter().any(|id| !rates(*id, &facts, throttle).is_empty());
        if !still.is_empty() {
            changes.push(change(ChangeKind::Reassign { moves: still, throttle }, Risk::CopiesData));
        } else if throttled {
            let brokers = brokers.into_iter().collect();
            changes.push(change(ChangeKind::Unthrottle { brokers, throttle }, Risk::Safe));
        }
    }
    Ok(changes)
}
