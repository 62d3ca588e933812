//! The transaction coordinator: every transactional id, what its producer has open, and how it ends.
//!
//! An end is journalled before the first marker is written and again after the last: a kill between them leaves a certain outcome
//! behind, which the next start carries out. All that happens to one id happens under its lock; a batch that was verified is written under
//! it, too, so that no end comes between.

mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use klamm_kafka::{ErrorCode, offsets_partition};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::BrokerError;
use crate::journal::{Durability, Journal};
use crate::log::{Outcome, TransactionVersion, Verified};
use crate::node::Node;
use crate::sync::lock;
use state::{End, Init};
pub(crate) use state::{Holder, Phase, Place, Txn};

/// The topic that stands for committed offsets in a transaction. There is none here; see [`offsets_place`].
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// `offsets.topic.num.partitions`.
const OFFSETS_PARTITIONS: i32 = 50;

/// What a produce or offset commit may do about a partition that is not in its transaction, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The partition must be there; the client knows only the older errors.
    Verify,
    /// As before, and the client knows `TRANSACTION_ABORTABLE`.
    VerifyAbortable,
    /// The partition joins by itself (KIP-890, TV 2).
    Add,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Txn { id: String, txn: Txn },
    Removed { id: String },
}

/// All transactional ids. Locks are taken in this order: one id, then the map or the journal or a partition.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: Mutex<BTreeMap<String, Shared>>,
    ledger: Mutex<Ledger>,
}

/// `None` once it has expired: whoever waited for the lock looks again.
type Shared = Arc<Mutex<Option<Txn>>>;

#[derive(Debug)]
struct Ledger {
    journal: Journal,
    recorded: BTreeMap<String, Txn>,
}

impl Ledger {
    fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.journal.append(&entry)?;
        apply(&mut self.recorded, entry);
        if self.journal.wants_rewrite() {
            let all = self.recorded.iter();
            self.journal.rewrite(all.map(|(id, txn)| Entry::Txn { id: id.clone(), txn: txn.clone() }))?;
        }
        Ok(())
    }
}

fn apply(recorded: &mut BTreeMap<String, Txn>, entry: Entry) {
    match entry {
        Entry::Txn { id, txn } => drop(recorded.insert(id, txn)),
        Entry::Removed { id } => drop(recorded.remove(&id)),
    }
}

impl Transactions {
    pub fn open(data_dir: &Path, durability: Durability) -> Result<Self, BrokerError> {
        let mut recorded = BTreeMap::new();
        let path = data_dir.join("transactions.journal");
        let journal = Journal::open(&path, durability, |entry| apply(&mut recorded, entry))?;
        let shared = |(id, txn): (&String, &Txn)| (id.clone(), Arc::new(Mutex::new(Some(txn.clone()))));
        let by_id = Mutex::new(recorded.iter().map(shared).collect());
        Ok(Self { by_id, ledger: Mutex::new(Ledger { journal, recorded }) })
    }

    /// From now on changes fail while `disk` is full.
    pub fn attach(&self, disk: &Disk) {
        lock(&self.ledger).journal.attach(disk);
    }

    /// A producer takes a transactional id, and fences who held it.
    ///
    /// # Errors
    /// `PRODUCER_FENCED`, or `CONCURRENT_TRANSACTIONS` after what the former holder had open was aborted: the producer asks again.
    pub fn init(
        &self,
        node: &Node,
        id: &str,
        held: Option<Holder>,
        timeout_ms: i32,
    ) -> Result<Holder, ErrorCode> {
        let now_ms = node.config.clock.now_ms();
        let mut new_id = || node.new_producer_id();
        loop {
            let shared = lock(&self.by_id).entry(id.to_owned()).or_default().clone();
            let mut guard = lock(&shared);
            let current = match &*guard {
                Some(txn) => txn.clone(),
                None if self.is_current(id, &shared) => Txn::new(new_id()?, timeout_ms, now_ms),
                None => continue,
            };
            return match current.init(held, timeout_ms, now_ms, &mut new_id)? {
                Init::Ready(txn) => self.save(id, &mut guard, txn).map(|txn| txn.holder()),
                Init::Fence(txn) => {
                    self.save(id, &mut guard, txn)?;
                    self.finish(node, id, &mut guard, false)?;
                    Err(ErrorCode::CONCURRENT_TRANSACTIONS)
                }
            };
        }
    }

    /// Partitions join a transaction.
    pub fn add(
        &self,
        node: &Node,
        id: &str,
        holder: Holder,
        partitions: &BTreeSet<Place>,
        version: TransactionVersion,
    ) -> Result<(), ErrorCode> {
        let shared = self.known(id)?;
        let mut guard = lock(&shared);
        self.add_locked(node, id, &mut guard, holder, partitions, version)
    }

    fn add_locked(
        &self,
        node: &Node,
        id: &str,
        guard: &mut Option<Txn>,
        holder: Holder,
        partitions: &BTreeSet<Place>,
        version: TransactionVersion,
    ) -> Result<(), ErrorCode> {
        let txn = guard.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        if let Some(next) = txn.add(holder, partitions, version, node.config.clock.now_ms())? {
            self.save(id, guard, next)?;
        }
        Ok(())
    }

    /// Whether a partition is in a transaction, for `AddPartitionsToTxn` that only asks.
    pub fn verify(&self, id: &str, holder: Holder, partition: &Place) -> Result<(), ErrorCode> {
        let shared = self.known(id)?;
        let guard = lock(&shared);
        guard.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?.verify(holder, partition)
    }

    /// Does `write` while the partition is in the transaction and stays there.
    pub fn within<T>(
        &self,
        node: &Node,
        id: Option<&str>,
        holder: Holder,
        partition: Place,
        operation: Operation,
        write: impl FnOnce(Verified) -> T,
    ) -> Result<T, ErrorCode> {
        let id = id.filter(|id| !id.is_empty()).ok_or(ErrorCode::INVALID_REQUEST)?;
        let shared = self.known(id)?;
        let mut guard = lock(&shared);
        let verified = match operation {
            Operation::Add => {
                let partitions = BTreeSet::from([partition]);
                let version = TransactionVersion::Two;
                self.add_locked(node, id, &mut guard, holder, &partitions, version)
            }
            Operation::Verify | Operation::VerifyAbortable => {
                let txn = guard.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
                txn.verify(holder, &partition)
            }
        };
        match verified {
            Ok(()) => Ok(write(Verified::Yes)),
            // Producers know this error in this place.
            Err(ErrorCode::PRODUCER_FENCED) => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Err(ErrorCode::TRANSACTION_ABORTABLE) if operation == Operation::Verify => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a transaction; gives the id and epoch to go on with, which only producers of version 2 look at.
    pub fn end(
        &self,
        node: &Node,
        id: &str,
        holder: Holder,
        outcome: Outcome,
        version: TransactionVersion,
    ) -> Result<Holder, ErrorCode> {
        let shared = self.known(id)?;
        let mut guard = lock(&shared);
        let txn = guard.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let now_ms = node.config.clock.now_ms();
        match txn.end(holder, outcome, version, now_ms, &mut || node.new_producer_id())? {
            End::Repeated(holder) => Ok(holder),
            End::Prepared(prepared) => {
                self.save(id, &mut guard, prepared)?;
                let holder = self.finish(node, id, &mut guard, false)?.holder();
                Ok(if version == TransactionVersion::Two { holder } else { (-1, -1) })
            }
        }
    }

    /// Writes the markers of a transaction whose outcome is certain. `again`: some of them may be written.
    fn finish<'a>(
        &self,
        node: &Node,
        id: &str,
        guard: &'a mut Option<Txn>,
        again: bool,
    ) -> Result<&'a Txn, ErrorCode> {
        let missing = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        let txn = guard.as_ref().ok_or(missing)?.clone();
        let (marker, version) = txn.marker().ok_or(ErrorCode::INVALID_TXN_STATE)?;
        let now_ms = node.config.clock.now_ms();
        let unavailable = |_| ErrorCode::COORDINATOR_NOT_AVAILABLE;
        for (topic, partition) in &txn.partitions {
            if topic == OFFSETS_TOPIC {
                node.offsets.end(marker.producer_id, marker.outcome).map_err(unavailable)?;
                continue;
            }
            // A topic that was deleted meanwhile has nothing to end.
            let Some(topic) = node.topics.get(topic) else { continue };
            let Some(log) = topic.partition(*partition) else { continue };
            if again && !log.is_open_for(marker.producer_id) {
                continue;
            }
            let written = log.append_marker(&marker, version, &topic.settings(), now_ms);
            if let Err(error) = written {
                if error.code == ErrorCode::KAFKA_STORAGE_ERROR {
                    node.note_storage_failure(error.message);
                    return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
                }
                // A marker that is refused as late was overtaken by one of a later epoch: nothing is open any more.
                continue;
            }
            if node.config.fsync {
                log.sync().map_err(unavailable)?;
            }
        }
        self.save(id, guard, txn.completed(now_ms))
    }

    /// Carries out what was certain when the broker stopped, or when its disk was full.
    pub fn finish_prepared(&self, node: &Node) {
        self.each(|id, guard| {
            if guard.as_ref().is_some_and(|txn| matches!(txn.phase, Phase::Prepare(_))) {
                // What fails now is tried again at the next round.
                let _ = self.finish(node, id, guard, true);
            }
        });
    }

    /// Aborts transactions that are open for longer than their producers allowed.
    pub fn abort_overdue(&self, node: &Node) {
        let now_ms = node.config.clock.now_ms();
        self.each(|id, guard| {
            let Some(txn) = guard.as_ref().filter(|txn| txn.is_overdue(now_ms)) else { return };
            let Ok(fenced) = txn.fence(now_ms, &mut || node.new_producer_id()) else { return };
            // What fails now is tried again at the next round.
            let _ = self
                .save(id, guard, fenced)
                .map(drop)
                .and_then(|()| self.finish(node, id, guard, false).map(drop));
        });
    }

    /// Forgets ids that nobody has used for `keep_ms`.
    pub fn expire(&self, node: &Node, keep_ms: i64) {
        let now_ms = node.config.clock.now_ms();
        self.each(|id, guard| {
            let expired = guard.as_ref().is_some_and(|txn| txn.is_expired(now_ms, keep_ms));
            if expired && lock(&self.ledger).record(Entry::Removed { id: id.to_owned() }).is_ok() {
                *guard = None;
                lock(&self.by_id).remove(id);
            }
        });
    }

    /// One id as it is now.
    pub fn get(&self, id: &str) -> Option<Txn> {
        let shared = lock(&self.by_id).get(id)?.clone();
        let guard = lock(&shared);
        guard.clone()
    }

    /// All ids as they are now.
    pub fn all(&self) -> Vec<(String, Txn)> {
        let mut all = Vec::new();
        self.each(|id, guard| all.extend(guard.clone().map(|txn| (id.to_owned(), txn))));
        all
    }

    /// Flushes to the disk.
    pub fn sync(&self) -> io::Result<()> {
        lock(&self.ledger).journal.sync()
    }

    fn each(&self, mut visit: impl FnMut(&str, &mut Option<Txn>)) {
        let all: Vec<_> = lock(&self.by_id).iter().map(|(id, txn)| (id.clone(), txn.clone())).collect();
        for (id, shared) in all {
            visit(&id, &mut lock(&shared));
        }
    }

    fn known(&self, id: &str) -> Result<Shared, ErrorCode> {
        lock(&self.by_id).get(id).cloned().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }

    fn is_current(&self, id: &str, shared: &Shared) -> bool {
        lock(&self.by_id).get(id).is_some_and(|current| Arc::ptr_eq(current, shared))
    }

    /// Journals a state and makes it the current one.
    fn save<'a>(&self, id: &str, guard: &'a mut Option<Txn>, txn: Txn) -> Result<&'a Txn, ErrorCode> {
        let entry = Entry::Txn { id: id.to_owned(), txn: txn.clone() };
        lock(&self.ledger).record(entry).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        Ok(guard.insert(txn))
    }
}

/// How a client is told that its producer was fenced: before version `since` of its request it knows that by another error (KIP-588).
pub(crate) fn fenced_since(since: i16, version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED if version < since => ErrorCode::INVALID_PRODUCER_EPOCH,
        error => error,
    }
}

/// Where the offsets of a group stand among the partitions of a transaction: as in Kafka, so that descriptions look the same.
pub(crate) fn offsets_place(group: &str) -> Place {
    (OFFSETS_TOPIC.to_owned(), offsets_partition(group, OFFSETS_PARTITIONS))
}

#[cfg(test)]
mod tests;
