//! The topics as the group coordinator sees them at one moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::topics::Topics;

/// Name, id and number of partitions of every topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicsImage {
    /// Grows with every change; 0 is before the first look.
    pub version: u64,
    /// The version that last brought a new topic.
    pub grown_at: u64,
    by_name: BTreeMap<String, (Uuid, i32)>,
    names: HashMap<Uuid, String>,
}

impl TopicsImage {
    pub fn new(version: u64, topics: impl IntoIterator<Item = (String, Uuid, i32)>) -> Self {
        let by_name: BTreeMap<_, _> =
            topics.into_iter().map(|(name, id, partitions)| (name, (id, partitions))).collect();
        let names = by_name.iter().map(|(name, (id, _))| (*id, name.clone())).collect();
        Self { version, grown_at: version, by_name, names }
    }

    /// How it is now, if that differs from `self`.
    pub fn newer(&self, topics: &Topics) -> Option<Self> {
        let version = topics.version();
        (version != self.version).then(|| {
            let all = topics.all().into_iter().map(|topic| {
                let partitions = i32::try_from(topic.partition_count()).unwrap_or(i32::MAX);
                (topic.name.clone(), topic.id, partitions)
            });
            let mut newer = Self::new(version, all);
            if newer.names.keys().all(|id| self.names.contains_key(id)) {
                newer.grown_at = self.grown_at;
            }
            newer
        })
    }

    /// Names of the topics that are not what they were.
    pub fn changes_since(&self, before: &Self) -> BTreeSet<String> {
        let changed = |one: &Self, other: &Self| -> Vec<String> {
            let differs = |(name, topic): &(&String, &_)| other.by_name.get(*name) != Some(*topic);
            one.by_name.iter().filter(differs).map(|(name, _)| name.clone()).collect()
        };
        changed(self, before).into_iter().chain(changed(before, self)).collect()
    }

    /// Id and number of partitions.
    pub fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        self.by_name.get(name).copied()
    }

    pub fn name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
