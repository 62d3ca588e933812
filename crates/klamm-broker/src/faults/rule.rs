//! One rule: which requests it strikes, how often, and how many it has struck.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;

use super::{Fault, Rules};
use crate::api::Api;
use crate::sync::lock;

/// Which requests a fault is done to, and how often. Without any condition: to all of them, for ever.
#[derive(Debug, Clone)]
pub struct FaultRule {
    pub(super) fault: Fault,
    /// Any of these; all if empty.
    apis: Vec<Api>,
    client_id: Option<String>,
    topic: Option<String>,
    times: Option<usize>,
    pub(super) probability: Option<f64>,
    pub(super) seed: Option<u64>,
}

impl FaultRule {
    /// Does `fault` to every request.
    pub fn new(fault: Fault) -> Self {
        let (apis, client_id, topic, times) = (Vec::new(), None, None, None);
        Self { fault, apis, client_id, topic, times, probability: None, seed: None }
    }

    /// Only to requests of this API; called again, also to those of another one.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.apis.push(api);
        self
    }

    /// Only to requests with this client id.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Only to requests that name this topic: those that carry, read, create, change or delete it, or commit its offsets. The whole
    /// request is struck, also what it says of other topics.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// At most so many times; then the rule is gone.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability, from 0 (never) to 1 (always).
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// Seed of the probability: the same seed strikes the same of the requests that match.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// In words: `Delay(1s) to Produce of client shop on topic orders, 3 times`.
impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to ", self.fault)?;
        match &self.apis[..] {
            [] => write!(f, "every request")?,
            apis => {
                let names: Vec<_> = apis.iter().map(|api| api.name()).collect();
                write!(f, "{}", names.join(", "))?;
            }
        }
        if let Some(client_id) = &self.client_id {
            write!(f, " of client {client_id}")?;
        }
        if let Some(topic) = &self.topic {
            write!(f, " on topic {topic}")?;
        }
        if let Some(probability) = self.probability {
            write!(f, " with probability {probability}")?;
        }
        match self.times {
            Some(times) => write!(f, ", {times} times"),
            None => Ok(()),
        }
    }
}

/// A rule in force.
#[derive(Debug)]
pub(crate) struct Active {
    id: u64,
    rule: FaultRule,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    hits: u64,
    random: u64,
}

impl Active {
    pub(super) fn new(id: u64, rule: FaultRule, seed: u64) -> Self {
        Self { id, rule, seed, state: Mutex::new(State { hits: 0, random: seed }) }
    }

    pub(super) fn fault(&self) -> Fault {
        self.rule.fault
    }

    pub(super) fn left(&self) -> Option<u64> {
        let times = self.rule.times? as u64;
        Some(times.saturating_sub(lock(&self.state).hits))
    }

    /// Whether the rule is done to this request. If so it counts as done.
    pub(super) fn strikes(
        &self,
        api: Api,
        client_id: &str,
        names_topic: &mut impl FnMut(&str) -> bool,
    ) -> bool {
        let rule = &self.rule;
        let matches = (rule.apis.is_empty() || rule.apis.contains(&api))
            && rule.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
            && rule.topic.as_deref().is_none_or(names_topic);
        if !matches {
            return false;
        }
        let mut state = lock(&self.state);
        if rule.probability.is_some_and(|probability| next_random(&mut state.random) >= probability) {
            return false;
        }
        state.hits += 1;
        true
    }

    pub(super) fn hits(&self) -> u64 {
        lock(&self.state).hits
    }

    pub(super) fn status(&self) -> FaultStatus {
        // Not within the expression below, whose guard would be held while the next one is taken.
        let hits = self.hits();
        FaultStatus {
            id: self.id,
            rule: self.rule.to_string(),
            seed: self.rule.probability.map(|_| self.seed),
            hits,
            left: self.left(),
        }
    }
}

/// The next number in [0, 1) of SplitMix64.
fn next_random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // 53 bits are what a double holds exactly.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A rule that was added: counts what it did, and takes it back. Dropping the handle leaves the rule in force.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    pub(super) active: Arc<Active>,
    pub(super) rules: Arc<Rules>,
}

impl FaultHandle {
    /// How many requests the fault was done to.
    pub fn hits(&self) -> u64 {
        self.active.hits()
    }

    /// How many more it will be done to; `None`: any number.
    pub fn left(&self) -> Option<u64> {
        self.active.left()
    }

    /// Seed of the rule's probability.
    pub fn seed(&self) -> u64 {
        self.active.seed
    }

    /// Takes the rule back.
    pub fn remove(&self) {
        self.rules.change(|rules| rules.retain(|active| active.id != self.active.id));
    }
}

/// A rule that is in force, as [`Faults::list`](super::Faults::list) tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultStatus {
    /// Number of the rule, in the order of adding.
    pub id: u64,
    /// The rule in words.
    pub rule: String,
    /// Seed of its probability, if it has one.
    pub seed: Option<u64>,
    /// How many requests it was done to.
    pub hits: u64,
    /// How many more it will be done to; `None`: any number.
    pub left: Option<u64>,
}
