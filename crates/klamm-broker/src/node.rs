//! The one node: everything that connections share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use klamm_kafka::ErrorCode;
use uuid::Uuid;

use crate::clock::millis;
use crate::config::BrokerConfig;
use crate::data_dir::Lock;
use crate::faults::Faults;
use crate::group::Coordinator;
use crate::offsets::Offsets;
use crate::quota::Usage;
use crate::security::Security;
use crate::sync::lock;
use crate::topics::Topics;
use crate::transactions::Transactions;

/// Id of the only node.
pub(crate) const NODE_ID: i32 = 1;

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Node {
    pub config: BrokerConfig,
    pub cluster_id: String,
    /// The data directory, as `log.dirs` says it.
    pub log_dir: String,
    pub topics: Topics,
    pub offsets: Offsets,
    pub transactions: Transactions,
    pub groups: Coordinator,
    pub security: Security,
    pub usage: Usage,
    pub faults: Faults,
    pub closures: Closures,
    /// Of the data directory, which ends with the broker: compaction holds it while it writes.
    pub dir_lock: Weak<Lock>,
    /// The last failure of the storage.
    pub storage_failure: Mutex<Option<String>>,
}

/// Why connections were closed: kept so that a test or a person can ask, because a client is told nothing.
#[derive(Debug, Default)]
pub(crate) struct Closures {
    recent: Mutex<VecDeque<String>>,
    panics: AtomicU64,
}

impl Closures {
    const KEPT: usize = 32;

    pub fn note(&self, peer: SocketAddr, why: &str) {
        let mut recent = lock(&self.recent);
        if recent.len() == Self::KEPT {
            recent.pop_front();
        }
        recent.push_back(format!("{peer}: {why}"));
    }

    pub fn note_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub fn recent(&self) -> Vec<String> {
        lock(&self.recent).iter().cloned().collect()
    }
}

impl Node {
    /// Id of the data directory (KIP-858): made from the cluster's, so that it stays.
    pub fn directory_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        let id = self.cluster_id.as_bytes();
        bytes.iter_mut().zip(id.iter().rev()).for_each(|(byte, of_id)| *byte = *of_id);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub fn default_partitions(&self) -> usize {
        usize::try_from(self.config.default_partitions).unwrap_or(1).max(1)
    }

    /// A producer id that was never handed out before.
    pub fn new_producer_id(&self) -> Result<i64, ErrorCode> {
        self.topics.next_producer_id().map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }

    /// Whether a commit's metadata is longer than `offset.metadata.max.bytes`, which Kafka counts in UTF-16 units.
    pub fn is_too_long(&self, metadata: &str) -> bool {
        metadata.encode_utf16().count() > self.config.offset_metadata_max_bytes
    }

    /// Remembers why the storage could not take something, for who runs the broker.
    pub fn note_storage_failure(&self, message: String) {
        *lock(&self.storage_failure) = Some(message);
    }

    /// Ends, from time to time, transactions that take too long, and forgets transactional ids that nobody uses. Runs until it is
    /// cancelled.
    pub async fn watch_transactions(&self) {
        let clock = &self.config.clock;
        let interval_ms = millis(self.config.transaction_check_interval).max(1);
        loop {
            clock.sleep_until(clock.monotonic_ms().saturating_add(interval_ms)).await;
            self.transactions.finish_prepared(self);
            self.transactions.abort_overdue(self);
            let keep_ms = self.topics.broker_settings().number("transactional.id.expiration.ms");
            self.transactions.expire(self, keep_ms.unwrap_or(i64::MAX));
        }
    }

    /// Compacts, from time to time, what wants it, on a thread that may wait. Runs until it is cancelled; a round that has begun then still ends.
    pub async fn watch_compaction(self: Arc<Self>) {
        let clock = self.config.clock.clone();
        let interval_ms = millis(self.config.cleaner_interval).max(1);
        loop {
            clock.sleep_until(clock.monotonic_ms().saturating_add(interval_ms)).await;
            let (node, now_ms) = (self.clone(), clock.now_ms());
            let round = tokio::task::spawn_blocking(move || match node.dir_lock.upgrade() {
                Some(_held) => node.topics.compact(now_ms),
                None => Ok(()),
            });
            // A failure loses nothing: the next round tries again.
            if let Ok(Err(error)) = round.await {
                self.note_storage_failure(error.to_string());
            }
        }
    }

    /// Removes, from time to time, what retention no longer keeps. Runs until it is cancelled.
    pub async fn watch_retention(&self) {
        let clock = &self.config.clock;
        let interval_ms = millis(self.config.retention_check_interval).max(1);
        loop {
            clock.sleep_until(clock.monotonic_ms().saturating_add(interval_ms)).await;
            let now_ms = clock.now_ms();
            let settings = self.topics.broker_settings();
            let number = |name| settings.number(name).unwrap_or(i64::MAX);
            let producers_ms = number("producer.id.expiration.ms");
            // A failure here loses nothing: the next round tries again.
            let _ = self.topics.apply_retention(now_ms, producers_ms);
        }
    }

    /// Removes, from time to time, the offsets that have expired, and groups that have neither members nor offsets.
    /// Runs until it is cancelled.
    pub async fn watch_offsets(&self) {
        let clock = &self.config.clock;
        let interval_ms = millis(self.config.offsets_retention_check_interval).max(1);
        loop {
            clock.sleep_until(clock.monotonic_ms().saturating_add(interval_ms)).await;
            let now_ms = clock.now_ms();
            for group in self.offsets.groups() {
                let Some(expiry) = self.groups.expiry(&group) else { continue };
                // A failure here loses nothing: the next round tries again.
                let _ = self
                    .offsets
                    .expire(&group, |committed| expiry.has_come(&committed.topic, committed.at_ms, now_ms));
            }
            self.groups.forget_unused(|group| self.offsets.is_in_use(group));
        }
    }
}
