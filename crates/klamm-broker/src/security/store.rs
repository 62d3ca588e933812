//! ACLs, SCRAM credentials and quotas, in memory and in `security.journal`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, RwLock, RwLockReadGuard};

use klamm_kafka::Acl;
use klamm_wire::sasl::ScramCredential;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::BrokerError;
use crate::journal::{Durability, Journal};
use crate::quota::{Entity, Limits};
use crate::sync::{lock, read, write};

/// What is kept of a SCRAM password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCredential {
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
    pub iterations: u32,
}

impl From<ScramCredential> for StoredCredential {
    fn from(credential: ScramCredential) -> Self {
        let ScramCredential { salt, stored_key, server_key, iterations } = credential;
        Self { salt, stored_key, server_key, iterations }
    }
}

impl From<StoredCredential> for ScramCredential {
    fn from(credential: StoredCredential) -> Self {
        let StoredCredential { salt, stored_key, server_key, iterations } = credential;
        Self { salt, stored_key, server_key, iterations }
    }
}

/// Name of a user and number of the mechanism: 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512.
pub(crate) type CredentialKey = (String, i8);

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    AclAdded(Acl),
    AclRemoved(Acl),
    ScramSet { user: String, mechanism: i8, credential: StoredCredential },
    ScramRemoved { user: String, mechanism: i8 },
    QuotaSet { entity: Entity, key: String, value: f64 },
    QuotaRemoved { entity: Entity, key: String },
}

/// The state that changes make.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub acls: BTreeSet<Acl>,
    pub credentials: BTreeMap<CredentialKey, StoredCredential>,
    pub quotas: Limits,
}

impl State {
    fn apply(&mut self, change: Change) {
        match change {
            Change::AclAdded(acl) => drop(self.acls.insert(acl)),
            Change::AclRemoved(acl) => drop(self.acls.remove(&acl)),
            Change::ScramSet { user, mechanism, credential } => {
                self.credentials.insert((user, mechanism), credential);
            }
            Change::ScramRemoved { user, mechanism } => {
                self.credentials.remove(&(user, mechanism));
            }
            Change::QuotaSet { entity, key, value } => {
                self.quotas.entry(entity).or_default().insert(key, value);
            }
            Change::QuotaRemoved { entity, key } => {
                if let Some(values) = self.quotas.get_mut(&entity) {
                    values.remove(&key);
                    if values.is_empty() {
                        self.quotas.remove(&entity);
                    }
                }
            }
        }
    }

    fn snapshot(&self) -> impl Iterator<Item = Vec<Change>> {
        let acls = self.acls.iter().cloned().map(Change::AclAdded);
        let credentials = self.credentials.iter().map(|((user, mechanism), credential)| Change::ScramSet {
            user: user.clone(),
            mechanism: *mechanism,
            credential: credential.clone(),
        });
        let quotas = self.quotas.iter().flat_map(|(entity, values)| {
            values.iter().map(|(key, value)| Change::QuotaSet {
                entity: entity.clone(),
                key: key.clone(),
                value: *value,
            })
        });
        acls.chain(credentials).chain(quotas).map(|change| vec![change])
    }
}

/// The state and its journal. Readers do not wait for a change that is being written.
#[derive(Debug)]
pub(crate) struct Store {
    journal: Mutex<Journal>,
    state: RwLock<State>,
}

impl Store {
    pub fn open(data_dir: &Path, durability: Durability) -> Result<Self, BrokerError> {
        let mut state = State::default();
        let path = data_dir.join("security.journal");
        let journal = Journal::open(&path, durability, |changes: Vec<Change>| {
            changes.into_iter().for_each(|change| state.apply(change));
        })?;
        Ok(Self { journal: Mutex::new(journal), state: RwLock::new(state) })
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        read(&self.state)
    }

    /// Makes all the changes that `decide` finds necessary in the present state or, if the journal fails, none.
    pub fn change<T>(&self, decide: impl FnOnce(&State) -> (Vec<Change>, T)) -> io::Result<T> {
        let mut journal = lock(&self.journal);
        let (changes, result) = decide(&self.read());
        if changes.is_empty() {
            return Ok(result);
        }
        journal.append(&changes)?;
        let mut state = write(&self.state);
        changes.into_iter().for_each(|change| state.apply(change));
        if journal.wants_rewrite() {
            journal.rewrite(state.snapshot())?;
        }
        Ok(result)
    }

    /// Flushes to the disk.
    /// What is written goes to this disk.
    pub fn attach(&self, disk: &Disk) {
        lock(&self.journal).attach(disk);
    }

    pub fn sync(&self) -> io::Result<()> {
        lock(&self.journal).sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_survive_a_restart_and_a_rewrite() {
        let dir = tempfile::tempdir().unwrap();
        let credential = |round: u32| StoredCredential {
            salt: vec![1],
            stored_key: vec![2; 64],
            server_key: vec![3; 64],
            iterations: round,
        };
        let entity = Entity::from([("user".to_owned(), None)]);
        let store = Store::open(dir.path(), Durability::PageCache).unwrap();
        // Enough to outgrow the journal's limit.
        for round in 0..4_000 {
            let set =
                Change::ScramSet { user: "alice".to_owned(), mechanism: 1, credential: credential(round) };
            let key = "producer_byte_rate".to_owned();
            let quota = Change::QuotaSet { entity: entity.clone(), key, value: f64::from(round) };
            store.change(|_| (vec![set, quota], ())).unwrap();
        }
        let gone = Change::ScramSet { user: "bob".to_owned(), mechanism: 2, credential: credential(1) };
        store.change(|_| (vec![gone], ())).unwrap();
        store.change(|_| (vec![Change::ScramRemoved { user: "bob".to_owned(), mechanism: 2 }], ())).unwrap();
        drop(store);
        assert!(std::fs::metadata(dir.path().join("security.journal")).unwrap().len() < 2 << 20);
        let store = Store::open(dir.path(), Durability::PageCache).unwrap();
        let state = store.read();
        assert_eq!(state.credentials, BTreeMap::from([(("alice".to_owned(), 1), credential(3_999))]));
        assert_eq!(state.quotas[&entity]["producer_byte_rate"], 3_999.0);
    }
}
