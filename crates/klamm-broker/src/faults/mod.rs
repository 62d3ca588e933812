//! Faults on purpose: a test says which requests fail, and how.
//!
//! A [`FaultRule`] says what is done ([`Fault`]), to which requests, and how often; [`Faults::add`] puts it in force and gives a
//! [`FaultHandle`] that counts. Rules are asked in the order in which they were added, and the first that matches is done.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use klamm_broker::{Api, Broker, BrokerConfig, Fault, FaultRule};
//! use klamm_kafka::ErrorCode;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! let broker = Broker::start(BrokerConfig::default()).await?;
//! let faults = broker.faults();
//!
//! // Two produce requests of one client to one topic are refused, and nothing of them is stored.
//! let refused = FaultRule::new(Fault::Error(ErrorCode::NOT_ENOUGH_REPLICAS))
//!     .api(Api::Produce)
//!     .client_id("shop")
//!     .topic("orders")
//!     .times(2);
//! let refused = faults.add(refused);
//!
//! // Every tenth answer to anything is lost with its connection: by the same seed, the same ones.
//! let flaky = faults.add(FaultRule::new(Fault::CloseAfter).probability(0.1).seed(7));
//! flaky.remove();
//!
//! // The next connection that asks for versions is closed instead of answered.
//! let closed = faults.add(FaultRule::new(Fault::CloseBefore).api(Api::ApiVersions).times(1));
//! let mut socket = TcpStream::connect(broker.addr()).await?;
//! socket.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\0\0").await?;
//! assert_eq!(socket.read(&mut [0; 64]).await?, 0);
//! assert_eq!((closed.hits(), closed.left()), (1, Some(0)));
//!
//! // What has not happened yet can be listed, and forgotten.
//! assert_eq!(faults.list().len(), 1);
//! assert_eq!(refused.hits(), 0);
//! faults.clear();
//! # broker.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod rule;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klamm_kafka::ErrorCode;
use uuid::Uuid;

use crate::api::Api;
use crate::disk::Disk;
use crate::sync::lock;
pub use rule::{FaultHandle, FaultRule, FaultStatus};

use rule::Active;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answer with this error wherever the response has one; the request has no effect.
    Error(ErrorCode),
    /// Handle the request, but only after this long by the broker's [`Clock`](crate::Clock).
    Delay(Duration),
    /// Do nothing and answer nothing; the connection stays.
    DropRequest,
    /// Handle the request and answer nothing; the connection stays.
    DropAnswer,
    /// Close the connection; the request has no effect.
    CloseBefore,
    /// Handle the request, then close the connection instead of answering: the client cannot know.
    CloseAfter,
    /// Handle the request, and close the connection when half of the answer is sent.
    CutAnswer,
}

/// The faults of one broker. Shared by all its connections; cloning gives another handle on the same faults.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Rules>,
    disk: Disk,
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    active: Mutex<Vec<Arc<Active>>>,
    /// Whether there is any rule: requests need no lock while there is none.
    any: AtomicBool,
    hits: AtomicU64,
    last_id: AtomicU64,
}

impl Rules {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Active>>) -> T) -> T {
        let mut active = lock(&self.active);
        let result = change(&mut active);
        self.any.store(!active.is_empty(), Ordering::Release);
        result
    }
}

impl Faults {
    /// Puts a rule in force.
    ///
    /// A rule with a probability and no seed gets a random seed, which is printed on standard error, so that a test that fails
    /// can be run again with it.
    pub fn add(&self, rule: FaultRule) -> FaultHandle {
        let id = self.rules.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let seed = rule.seed.unwrap_or_else(|| {
            let seed = Uuid::new_v4().as_u64_pair().0;
            if rule.probability.is_some() {
                eprintln!("klamm-broker: fault {id} ({rule}) has seed {seed}");
            }
            seed
        });
        let active = Arc::new(Active::new(id, rule, seed));
        if active.left() != Some(0) {
            self.rules.change(|rules| rules.push(active.clone()));
        }
        FaultHandle { active, rules: self.rules.clone() }
    }

    /// Does `fault` to the next `times` requests of `api`. Rules of the same API are used up one after another.
    pub fn inject(&self, api: Api, times: usize, fault: Fault) {
        self.add(FaultRule::new(fault).api(api).times(times));
    }

    /// As [`Faults::inject`], for requests with this client id only.
    pub fn inject_for_client(&self, client_id: &str, api: Api, times: usize, fault: Fault) {
        self.add(FaultRule::new(fault).api(api).client_id(client_id).times(times));
    }

    /// The coordinator of groups and transactions moves away: the next `refusals` requests to it are answered with
    /// `NOT_COORDINATOR`, and then it is here again, with everything that it knew. Who waits in a join or sync goes on waiting.
    pub fn move_coordinator(&self, refusals: usize) -> FaultHandle {
        let to_coordinator = Api::ALL.iter().copied().filter(|api| COORDINATED.contains(&api.name()));
        let rule = FaultRule::new(Fault::Error(ErrorCode::NOT_COORDINATOR));
        self.add(to_coordinator.fold(rule, FaultRule::api).times(refusals))
    }

    /// The disk is full from now on: records and changes of the metadata are refused with `KAFKA_STORAGE_ERROR` or what else the
    /// request has for it, and nothing of them is stored.
    pub fn fill_disk(&self) {
        self.disk.fill(true);
    }

    /// The disk has room again.
    pub fn free_disk(&self) {
        self.disk.fill(false);
    }

    /// How many times something was refused because of [`Faults::fill_disk`].
    pub fn disk_hits(&self) -> u64 {
        self.disk.hits()
    }

    /// The rules that are in force, in the order in which they are asked.
    pub fn list(&self) -> Vec<FaultStatus> {
        lock(&self.rules.active).iter().map(|active| active.status()).collect()
    }

    /// Forgets all rules, and gives the disk room again.
    pub fn clear(&self) {
        self.rules.change(Vec::clear);
        self.free_disk();
    }

    /// How many requests a fault was done to.
    pub fn hits(&self) -> u64 {
        self.rules.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The fault for this request, used up. `topics` is asked only if a rule wants to know.
    pub(crate) fn take(
        &self,
        api: Api,
        client_id: &str,
        topics: impl FnOnce() -> Vec<String>,
    ) -> Option<Fault> {
        if !self.rules.any.load(Ordering::Acquire) {
            return None;
        }
        self.rules.change(|rules| {
            let mut known = None;
            let mut topics = Some(topics);
            let mut names_topic = |wanted: &str| {
                let known =
                    known.get_or_insert_with(|| topics.take().map(|topics| topics()).unwrap_or_default());
                known.iter().any(|topic| topic == wanted)
            };
            let at = rules.iter().position(|rule| rule.strikes(api, client_id, &mut names_topic))?;
            let fault = rules[at].fault();
            if rules[at].left() == Some(0) {
                rules.remove(at);
            }
            self.rules.hits.fetch_add(1, Ordering::Relaxed);
            Some(fault)
        })
    }
}

/// Requests that only the coordinator of their group or transactional id answers.
const COORDINATED: &[&str] = &[
    "OffsetCommit",
    "OffsetFetch",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "InitProducerId",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "TxnOffsetCommit",
    "DeleteGroups",
    "OffsetDelete",
    "DescribeTransactions",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
];

#[cfg(test)]
mod tests;
