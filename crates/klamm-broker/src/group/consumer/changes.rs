//! What the journal keeps of a group: the difference between two of its values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ConsumerGroup, Member};
use crate::group::assign::Assignment;

/// What has changed. `None` in a map: it is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<Arc<BTreeMap<Uuid, i32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_epoch: Option<i32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    members: BTreeMap<String, Option<Arc<Member>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    targets: BTreeMap<String, Option<Arc<Assignment>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    regexes: BTreeMap<String, Option<Arc<BTreeSet<String>>>>,
}

impl Changes {
    /// What turns `before` into `after`.
    pub fn between(before: &ConsumerGroup, after: &ConsumerGroup) -> Self {
        Self {
            epoch: (before.epoch != after.epoch).then_some(after.epoch),
            topics: (before.topics != after.topics).then(|| after.topics.clone()),
            target_epoch: (before.target_epoch != after.target_epoch).then_some(after.target_epoch),
            members: between(&before.members, &after.members),
            targets: between(&before.targets, &after.targets),
            regexes: between(&before.regexes, &after.regexes),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ConsumerGroup {
    /// Makes the changes that the journal tells of.
    pub fn apply(&mut self, changes: Changes) {
        self.epoch = changes.epoch.unwrap_or(self.epoch);
        self.target_epoch = changes.target_epoch.unwrap_or(self.target_epoch);
        if let Some(topics) = changes.topics {
            self.topics = topics;
        }
        apply(&mut self.members, changes.members);
        apply(&mut self.targets, changes.targets);
        apply(&mut self.regexes, changes.regexes);
    }
}

type Map<T> = BTreeMap<String, Arc<T>>;

fn between<T: PartialEq>(before: &Map<T>, after: &Map<T>) -> BTreeMap<String, Option<Arc<T>>> {
    let same = |one: &Arc<T>, other: &Arc<T>| Arc::ptr_eq(one, other) || one == other;
    let changed = after.iter().filter(|(key, value)| before.get(*key).is_none_or(|old| !same(old, value)));
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
    changed.map(|(key, value)| (key.clone(), Some(value.clone()))).chain(gone).collect()
}

fn apply<T>(map: &mut Map<T>, changes: BTreeMap<String, Option<Arc<T>>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }
}
