//! Questions for metadata: one at a time, and what an answer means for partitions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_admin::{Admin, AdminError, Routes};
use klamm_kafka::{ErrorClass, ErrorCode};
use tokio::time::{sleep_until, timeout_at};

use super::inbox::Shared;
use crate::ProduceErrorKind;
use crate::backoff::Backoff;
use crate::produce::{self, Producer, Slot};

/// Least time from one question to the next.
const PACE: Duration = Duration::from_millis(100);

/// Metadata that does not know a topic may be older than the topic: it is believed after this long.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// A topic that was created a moment ago may not be known to the broker that is asked.
const UNKNOWN_TOPIC_RETRIES: u32 = 5;

/// Who leads what, as far as it has been asked.
pub(super) struct Leaders {
    slots: HashMap<Arc<str>, Vec<(i32, Slot)>>,
    wanted: BTreeSet<Arc<str>>,
    asking: bool,
    not_before: Option<Instant>,
    backoff: Backoff,
    /// Since when each partition is said not to exist.
    gone: HashMap<Slot, Instant>,
}

impl Leaders {
    pub(super) fn new(random: u64) -> Leaders {
        Leaders {
            slots: HashMap::new(),
            wanted: BTreeSet::new(),
            asking: false,
            not_before: None,
            backoff: Backoff::of_java(random),
            gone: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, topic: Arc<str>, partition: i32, slot: Slot) {
        self.slots.entry(topic).or_default().push((partition, slot));
    }

    pub(super) fn want(&mut self, topics: Vec<Arc<str>>) {
        self.wanted.extend(topics);
    }

    /// The topics to ask for now; [`Leaders::learn`] ends the question.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Vec<Arc<str>>> {
        let due = !self.asking && !self.wanted.is_empty() && self.not_before.is_none_or(|at| at <= now);
        if !due {
            return None;
        }
        self.asking = true;
        self.not_before = Some(now + PACE);
        Some(std::mem::take(&mut self.wanted).into_iter().collect())
    }

    /// When to ask again.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.asking && !self.wanted.is_empty())
    }

    /// The answer, or that there was none. What stays without a leader is asked for again by the machine.
    pub(super) fn learn(
        &mut self,
        topics: &[Arc<str>],
        answer: Result<Routes, AdminError>,
        machine: &mut Producer,
        now: Instant,
    ) {
        self.asking = false;
        let found = answer.map_err(|error| error.to_string());
        match &found {
            Ok(_) => self.backoff.reset(),
            Err(_) => self.not_before = Some(now + self.backoff.next()),
        }
        for topic in topics {
            for (partition, slot) in self.slots.get(topic).into_iter().flatten() {
                match &found {
                    Ok(routes) => {
                        let leader = leader(routes, topic, *partition);
                        tell(*slot, leader, &mut self.gone, machine, now);
                    }
                    // Who led it may do so yet.
                    Err(_) if machine.leader(*slot).is_some() => {}
                    Err(why) => machine.leaderless(*slot, why, now),
                }
            }
        }
    }
}

fn leader(routes: &Routes, topic: &str, partition: i32) -> Result<i32, ErrorCode> {
    let route = routes.get(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let leaders = &route.as_ref().map_err(|code| *code)?.leaders;
    let leader = leaders.get(&partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    leader.map(|leader| leader.broker)
}

fn tell(
    slot: Slot,
    leader: Result<i32, ErrorCode>,
    gone: &mut HashMap<Slot, Instant>,
    machine: &mut Producer,
    now: Instant,
) {
    let code = match leader {
        Ok(broker) => {
            gone.remove(&slot);
            return machine.set_leader(slot, Some(broker), now);
        }
        Err(code) => code,
    };
    machine.leaderless(slot, &format!("metadata: {code}"), now);
    let over = match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => now >= *gone.entry(slot).or_insert(now) + GONE_AFTER,
        code => !code.is_retriable(),
    };
    if over {
        machine.give_up(slot, code, now);
    }
}

/// Asks for the topic's number of partitions, for at most `patience`.
pub(super) async fn partitions(
    admin: &Admin,
    shared: &Shared,
    topic: &str,
    patience: Duration,
    random: u64,
) -> Result<i32, ProduceErrorKind> {
    let deadline = Instant::now() + patience;
    let mut backoff = Backoff::of_java(random);
    let mut last_answer = None;
    let mut refusals = 0;
    let name = [topic.to_owned()];
    loop {
        let Ok(asked) = timeout_at(deadline.into(), admin.routes(&name)).await else { break };
        let pause = match asked.map(|mut routes| routes.remove(topic)) {
            Ok(Some(Ok(route))) if !route.leaders.is_empty() => {
                let partitions = i32::try_from(route.leaders.len()).unwrap_or(i32::MAX);
                let led = |(partition, leader): (i32, Result<klamm_admin::Leader, ErrorCode>)| {
                    Some((partition, leader.ok()?.broker))
                };
                shared.learn(topic, partitions, route.leaders.into_iter().filter_map(led).collect());
                return Ok(partitions);
            }
            Ok(answer) => {
                let told = answer.unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)).err();
                let code = told.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                refusals += 1;
                if refusals > UNKNOWN_TOPIC_RETRIES || code.class() == ErrorClass::Authorization {
                    return Err(produce::refusal(code, None, false));
                }
                last_answer = Some(format!("metadata: {code}"));
                PACE
            }
            Err(error) if error.is_denied() => return Err(ProduceErrorKind::Denied),
            Err(error) => {
                last_answer = Some(error.to_string());
                backoff.next()
            }
        };
        let again = Instant::now() + pause;
        if again >= deadline {
            break;
        }
        sleep_until(again.into()).await;
    }
    // Nothing was sent.
    Err(ProduceErrorKind::TimedOut { after: patience, last_answer, in_doubt: false })
}
