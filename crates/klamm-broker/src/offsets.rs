//! Offsets that groups have committed, in memory and in a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::BrokerError;
use crate::journal::{Durability, Journal};
use crate::log::Outcome;
use crate::sync::lock;

/// What a group committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    /// When, for expiry.
    pub at_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Committed {
        group: String,
        /// Place in the order of all commits: an offset that a transaction brought earlier does not replace a later one.
        #[serde(default)]
        order: u64,
        offsets: Vec<Committed>,
    },
    /// Offsets that a transaction brings with it, if it commits.
    Pending {
        producer: i64,
        group: String,
        order: u64,
        offsets: Vec<Committed>,
    },
    /// What the producer had pending is committed, or dropped.
    Ended {
        producer: i64,
        commit: bool,
    },
    /// Partitions of a group whose offsets are gone.
    Removed {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    GroupRemoved {
        group: String,
    },
}

type Groups = BTreeMap<String, BTreeMap<(String, i32), Kept>>;

/// An offset, and its place in the order of all commits.
#[derive(Debug, Clone)]
struct Kept {
    order: u64,
    committed: Committed,
}

/// What is known of all groups.
#[derive(Debug, Default)]
struct Book {
    groups: Groups,
    /// By producer: what its open transaction brings, by group.
    pending: BTreeMap<i64, Groups>,
    next_order: u64,
}

/// All committed offsets.
#[derive(Debug)]
pub(crate) struct Offsets {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    book: Book,
}

impl State {
    fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.journal.append(&entry)?;
        self.book.apply(entry);
        if self.journal.wants_rewrite() {
            self.journal.rewrite(self.book.entries())?;
        }
        Ok(())
    }
}

impl Offsets {
    pub fn open(data_dir: &Path, durability: Durability) -> Result<Self, BrokerError> {
        let mut book = Book::default();
        let path = data_dir.join("offsets.journal");
        let journal = Journal::open(&path, durability, |entry| book.apply(entry))?;
        Ok(Self { state: Mutex::new(State { journal, book }) })
    }

    /// From now on changes fail while `disk` is full.
    pub fn attach(&self, disk: &Disk) {
        lock(&self.state).journal.attach(disk);
    }

    /// Commits all of `offsets` or, if this fails, none.
    pub fn commit(&self, group: &str, offsets: Vec<Committed>) -> io::Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        let order = state.book.next_order;
        state.record(Entry::Committed { group: group.to_owned(), order, offsets })
    }

    /// Keeps what a transaction brings until it ends.
    pub fn add_pending(&self, producer: i64, group: &str, offsets: Vec<Committed>) -> io::Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        let order = state.book.next_order;
        state.record(Entry::Pending { producer, group: group.to_owned(), order, offsets })
    }

    /// Commits or drops what the producer's transaction brought.
    pub fn end(&self, producer: i64, outcome: Outcome) -> io::Result<()> {
        let mut state = lock(&self.state);
        match state.book.pending.contains_key(&producer) {
            true => state.record(Entry::Ended { producer, commit: outcome == Outcome::Commit }),
            false => Ok(()),
        }
    }

    /// Whether an open transaction may still change this offset.
    pub fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let key = (topic.to_owned(), partition);
        let state = lock(&self.state);
        let mut all = state.book.pending.values();
        all.any(|groups| groups.get(group).is_some_and(|offsets| offsets.contains_key(&key)))
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<Committed> {
        let state = lock(&self.state);
        let kept = state.book.groups.get(group)?.get(&(topic.to_owned(), partition))?;
        Some(kept.committed.clone())
    }

    /// All that the group has committed, by topic and partition.
    pub fn all(&self, group: &str) -> Vec<Committed> {
        let state = lock(&self.state);
        let all = state.book.groups.get(group).into_iter().flat_map(BTreeMap::values);
        all.map(|kept| kept.committed.clone()).collect()
    }

    /// Groups that have committed something, or for which an open transaction may do so.
    pub fn known_groups(&self) -> BTreeSet<String> {
        let state = lock(&self.state);
        let pending = state.book.pending.values().flat_map(BTreeMap::keys);
        state.book.groups.keys().chain(pending).cloned().collect()
    }

    /// Groups that have committed something.
    pub fn groups(&self) -> Vec<String> {
        lock(&self.state).book.groups.keys().cloned().collect()
    }

    /// Forgets a group.
    pub fn remove_group(&self, group: &str) -> io::Result<()> {
        if !self.is_in_use(group) {
            return Ok(());
        }
        lock(&self.state).record(Entry::GroupRemoved { group: group.to_owned() })
    }

    /// Whether the group has committed something, or an open transaction may do so for it.
    pub fn is_in_use(&self, group: &str) -> bool {
        let state = lock(&self.state);
        state.book.groups.contains_key(group) || state.book.pending_of(group).next().is_some()
    }

    /// Forgets the offsets of a group that are `expired`, but for those that an open transaction may still change.
    pub fn expire(&self, group: &str, expired: impl Fn(&Committed) -> bool) -> io::Result<()> {
        let mut state = lock(&self.state);
        let known = state.book.groups.get(group).into_iter().flatten();
        let partitions: Vec<_> = known
            .filter(|(key, kept)| {
                let pending = state.book.pending_of(group).any(|pending| pending.contains_key(*key));
                !pending && expired(&kept.committed)
            })
            .map(|(key, _)| key.clone())
            .collect();
        if partitions.is_empty() {
            return Ok(());
        }
        state.record(Entry::Removed { group: group.to_owned(), partitions })
    }

    /// Forgets the offsets of these partitions, where there are any.
    pub fn remove(&self, group: &str, partitions: Vec<(String, i32)>) -> io::Result<()> {
        let mut state = lock(&self.state);
        let has_any = |known: &BTreeMap<_, _>| partitions.iter().any(|key| known.contains_key(key));
        if !state.book.groups.get(group).is_some_and(has_any) && !state.book.pending_of(group).any(has_any) {
            return Ok(());
        }
        state.record(Entry::Removed { group: group.to_owned(), partitions })
    }

    /// Forgets the offsets for which `gone` (group, offset) holds.
    pub fn remove_where(&self, gone: impl Fn(&str, &Committed) -> bool) -> io::Result<()> {
        let mut state = lock(&self.state);
        let removed: Vec<_> = state
            .book
            .groups
            .iter()
            .map(|(group, offsets)| {
                let keys = offsets
                    .iter()
                    .filter(|(_, kept)| gone(group, &kept.committed))
                    .map(|(key, _)| key.clone());
                (group.clone(), keys.collect::<Vec<_>>())
            })
            .filter(|(_, partitions)| !partitions.is_empty())
            .collect();
        for (group, partitions) in removed {
            state.record(Entry::Removed { group, partitions })?;
        }
        Ok(())
    }

    /// Flushes to the disk.
    pub fn sync(&self) -> io::Result<()> {
        lock(&self.state).journal.sync()
    }
}

impl Book {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Committed { group, order, offsets } => {
                self.put(order);
                insert(self.groups.entry(group).or_default(), order, offsets);
            }
            Entry::Pending { producer, group, order, offsets } => {
                self.put(order);
                insert(self.pending.entry(producer).or_default().entry(group).or_default(), order, offsets);
            }
            Entry::Ended { producer, commit } => {
                let pending = self.pending.remove(&producer).unwrap_or_default();
                for (group, offsets) in pending.into_iter().filter(|_| commit) {
                    let known = self.groups.entry(group).or_default();
                    for (key, kept) in offsets {
                        let older = known.get(&key).is_none_or(|known| known.order < kept.order);
                        if older {
                            known.insert(key, kept);
                        }
                    }
                }
            }
            Entry::Removed { group, partitions } => {
                for pending in self.pending.values_mut().filter_map(|groups| groups.get_mut(&group)) {
                    pending.retain(|key, _| !partitions.contains(key));
                }
                if let Some(known) = self.groups.get_mut(&group) {
                    known.retain(|key, _| !partitions.contains(key));
                    if known.is_empty() {
                        self.groups.remove(&group);
                    }
                }
            }
            Entry::GroupRemoved { group } => {
                self.groups.remove(&group);
                self.pending.values_mut().for_each(|groups| drop(groups.remove(&group)));
            }
        }
    }

    /// What open transactions bring to a group.
    fn pending_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a BTreeMap<(String, i32), Kept>> {
        self.pending.values().filter_map(move |groups| groups.get(group))
    }

    fn put(&mut self, order: u64) {
        self.next_order = self.next_order.max(order + 1);
    }

    /// The fewest entries that say the same.
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let committed = self.groups.iter().flat_map(|(group, offsets)| {
            offsets.values().map(|kept| Entry::Committed {
                group: group.clone(),
                order: kept.order,
                offsets: vec![kept.committed.clone()],
            })
        });
        let pending = self.pending.iter().flat_map(|(&producer, groups)| {
            groups.iter().flat_map(move |(group, offsets)| {
                offsets.values().map(move |kept| Entry::Pending {
                    producer,
                    group: group.clone(),
                    order: kept.order,
                    offsets: vec![kept.committed.clone()],
                })
            })
        });
        committed.chain(pending)
    }
}

fn insert(into: &mut BTreeMap<(String, i32), Kept>, order: u64, offsets: Vec<Committed>) {
    let keyed = offsets
        .into_iter()
        .map(|committed| ((committed.topic.clone(), committed.partition), Kept { order, committed }));
    into.extend(keyed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(topic: &str, partition: i32, offset: i64) -> Committed {
        let metadata = format!("at {offset}");
        Committed { topic: topic.to_owned(), partition, offset, leader_epoch: -1, metadata, at_ms: offset }
    }

    #[test]
    fn commits_survive_a_restart_and_a_rewrite() {
        let dir = tempfile::tempdir().unwrap();
        let offsets = Offsets::open(dir.path(), Durability::PageCache).unwrap();
        // Enough to outgrow the journal's limit several times.
        for offset in 0..20_000 {
            offsets.commit("g", vec![committed("t", 0, offset), committed("t", 1, offset)]).unwrap();
        }
        offsets.commit("h", vec![committed("u", 0, 1)]).unwrap();
        offsets.remove_where(|_, committed| committed.topic == "u").unwrap();
        drop(offsets);
        let size = std::fs::metadata(dir.path().join("offsets.journal")).unwrap().len();
        assert!(size < 2 << 20, "{size} bytes: the journal was rewritten");
        let offsets = Offsets::open(dir.path(), Durability::PageCache).unwrap();
        assert_eq!(offsets.get("g", "t", 1), Some(committed("t", 1, 19_999)));
        assert_eq!(offsets.groups(), ["g"]);
    }

    #[test]
    fn offsets_of_a_transaction_wait_for_its_end_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let offsets = Offsets::open(dir.path(), Durability::PageCache).unwrap();
        offsets.commit("g", vec![committed("t", 0, 1), committed("t", 1, 1)]).unwrap();
        offsets.add_pending(7, "g", vec![committed("t", 0, 2), committed("t", 1, 2)]).unwrap();
        offsets.add_pending(8, "g", vec![committed("t", 2, 3)]).unwrap();
        // Later than what is pending, so that it stays.
        offsets.commit("g", vec![committed("t", 1, 5)]).unwrap();
        assert!(offsets.is_pending("g", "t", 0) && !offsets.is_pending("g", "t", 9));
        assert_eq!(offsets.get("g", "t", 0), Some(committed("t", 0, 1)));
        drop(offsets);

        let offsets = Offsets::open(dir.path(), Durability::PageCache).unwrap();
        offsets.end(7, Outcome::Commit).unwrap();
        offsets.end(8, Outcome::Abort).unwrap();
        assert_eq!(offsets.get("g", "t", 0), Some(committed("t", 0, 2)));
        assert_eq!(offsets.get("g", "t", 1), Some(committed("t", 1, 5)));
        assert_eq!(offsets.get("g", "t", 2), None);
        assert!(!offsets.is_pending("g", "t", 0) && !offsets.is_pending("g", "t", 2));
    }
}
