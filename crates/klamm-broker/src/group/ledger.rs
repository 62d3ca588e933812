//! `groups.journal`: what a restart must know of groups, and the settings that groups were given.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::classic_state::ClassicState;
use super::consumer::{Changes, ConsumerGroup};
use crate::error::BrokerError;
use crate::journal::{Durability, Journal};
use crate::settings::Values;

/// What the journal says. A group of the other protocol under the same name gives way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    Consumer { group: String, changes: Changes },
    Classic { group: String, state: ClassicState },
    Gone { group: String },
    Settings { group: String, values: Values },
}

/// A group as the journal knows it.
#[derive(Debug)]
pub(crate) enum Recorded {
    Consumer(ConsumerGroup),
    Classic(ClassicState),
}

/// All that the journal says, together.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub groups: HashMap<String, Recorded>,
    pub settings: BTreeMap<String, Values>,
}

impl Replayed {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Consumer { group, changes } => match self.groups.get_mut(&group) {
                Some(Recorded::Consumer(known)) => known.apply(changes),
                _ => {
                    let mut new = ConsumerGroup::new(&group);
                    new.apply(changes);
                    self.groups.insert(group, Recorded::Consumer(new));
                }
            },
            Entry::Classic { group, state } => drop(self.groups.insert(group, Recorded::Classic(state))),
            Entry::Gone { group } => drop(self.groups.remove(&group)),
            Entry::Settings { group, values } if values.is_empty() => drop(self.settings.remove(&group)),
            Entry::Settings { group, values } => drop(self.settings.insert(group, values)),
        }
    }
}

/// The journal, open for writing.
#[derive(Debug)]
pub(crate) struct GroupJournal {
    journal: Journal,
}

impl GroupJournal {
    /// From now on writes fail while `disk` is full.
    pub fn attach(&mut self, disk: &crate::disk::Disk) {
        self.journal.attach(disk);
    }

    pub fn open(data_dir: &Path, durability: Durability) -> Result<(Self, Replayed), BrokerError> {
        let mut replayed = Replayed::default();
        let path = data_dir.join("groups.journal");
        let journal = Journal::open(&path, durability, |entry| replayed.apply(entry))?;
        Ok((Self { journal }, replayed))
    }

    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.journal.append(entry)
    }

    pub fn wants_rewrite(&self) -> bool {
        self.journal.wants_rewrite()
    }

    pub fn rewrite(&mut self, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
        self.journal.rewrite(entries)
    }

    pub fn sync(&self) -> io::Result<()> {
        self.journal.sync()
    }
}
