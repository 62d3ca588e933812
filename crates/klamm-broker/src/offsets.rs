//! Offsets that groups have committed, in memory and in a journal.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::error::BrokerError;
use crate::journal::{Durability, Journal};
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
        offsets: Vec<Committed>,
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

type Groups = BTreeMap<String, BTreeMap<(String, i32), Committed>>;

/// All committed offsets.
#[derive(Debug)]
pub(crate) struct Offsets {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    groups: Groups,
}

impl State {
    fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.journal.append(&entry)?;
        apply(&mut self.groups, entry);
        if self.journal.wants_rewrite() {
            let groups = self.groups.iter();
            self.journal.rewrite(groups.map(|(group, offsets)| Entry::Committed {
                group: group.clone(),
                offsets: offsets.values().cloned().collect(),
            }))?;
        }
        Ok(())
    }
}

impl Offsets {
    pub fn open(data_dir: &Path, durability: Durability) -> Result<Self, BrokerError> {
        let mut groups = Groups::new();
        let path = data_dir.join("offsets.journal");
        let journal = Journal::open(&path, durability, |entry| apply(&mut groups, entry))?;
        Ok(Self { state: Mutex::new(State { journal, groups }) })
    }

    /// Commits all of `offsets` or, if this fails, none.
    pub fn commit(&self, group: &str, offsets: Vec<Committed>) -> io::Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        lock(&self.state).record(Entry::Committed { group: group.to_owned(), offsets })
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<Committed> {
        lock(&self.state).groups.get(group)?.get(&(topic.to_owned(), partition)).cloned()
    }

    /// All that the group has committed, by topic and partition.
    pub fn all(&self, group: &str) -> Vec<Committed> {
        lock(&self.state).groups.get(group).map_or_else(Vec::new, |all| all.values().cloned().collect())
    }

    pub fn has_group(&self, group: &str) -> bool {
        lock(&self.state).groups.contains_key(group)
    }

    /// Groups that have committed something.
    pub fn groups(&self) -> Vec<String> {
        lock(&self.state).groups.keys().cloned().collect()
    }

    /// Forgets a group.
    pub fn remove_group(&self, group: &str) -> io::Result<()> {
        lock(&self.state).record(Entry::GroupRemoved { group: group.to_owned() })
    }

    /// Forgets the offsets for which `gone` (group, offset) holds.
    pub fn remove_where(&self, gone: impl Fn(&str, &Committed) -> bool) -> io::Result<()> {
        let mut state = lock(&self.state);
        let removed: Vec<_> = state
            .groups
            .iter()
            .map(|(group, offsets)| {
                let keys =
                    offsets.iter().filter(|(_, offset)| gone(group, offset)).map(|(key, _)| key.clone());
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

fn apply(groups: &mut Groups, entry: Entry) {
    match entry {
        Entry::Committed { group, offsets } => {
            let known = groups.entry(group).or_default();
            known
                .extend(offsets.into_iter().map(|offset| ((offset.topic.clone(), offset.partition), offset)));
        }
        Entry::Removed { group, partitions } => {
            if let Some(known) = groups.get_mut(&group) {
                known.retain(|key, _| !partitions.contains(key));
                if known.is_empty() {
                    groups.remove(&group);
                }
            }
        }
        Entry::GroupRemoved { group } => drop(groups.remove(&group)),
    }
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
}
