//! The data directory: who owns it, which version wrote it, and whether it was left in order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::error::{BrokerError, BrokerErrorKind};
use crate::journal::sync_parent;

/// Version of what is stored; a later one is refused.
const VERSION: u32 = 1;
const META: &str = "klamm-broker.json";
const LOCK: &str = "lock";
const CLEAN: &str = "clean-shutdown";

/// The data directory, locked for this process.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    pub cluster_id: String,
    /// The last owner stopped in order: everything was flushed.
    pub was_clean: bool,
    lock: Arc<Lock>,
    /// Removes an ephemeral directory on drop.
    _temporary: Option<TempDir>,
}

/// The lock on the directory, given back when the last who may write there has dropped it.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a child that this process is starting holds a copy of it until it runs its
        // own program, and the next broker would find the directory locked.
        let _closed_in_any_case = flock(&self.0, FlockOperation::Unlock);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    version: u32,
    cluster_id: String,
}

impl DataDir {
    /// Opens or creates the directory, or a temporary one, and locks it.
    pub fn open(path: Option<&Path>, new_cluster_id: impl FnOnce() -> String) -> Result<Self, BrokerError> {
        let (path, temporary) = match path {
            Some(path) => (path.to_owned(), None),
            None => {
                let parent = std::env::temp_dir();
                let dir = tempfile::Builder::new().prefix("klamm-broker-").tempdir();
                let dir = dir.map_err(|error| BrokerError::io("creating a folder in", &parent, error))?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        std::fs::create_dir_all(&path).map_err(|error| BrokerError::io("creating", &path, error))?;
        let lock = take_lock(&path)?;
        let cluster_id = read_or_write_meta(&path, new_cluster_id)?;
        let was_clean = take_clean_mark(&path)?;
        Ok(Self { path, cluster_id, was_clean, lock: Arc::new(lock), _temporary: temporary })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For work that goes on by itself: it writes only while it holds the lock.
    pub fn lock(&self) -> Weak<Lock> {
        Arc::downgrade(&self.lock)
    }

    /// Notes that everything was flushed. Call last.
    pub fn mark_clean(&self) -> io::Result<()> {
        let path = self.path.join(CLEAN);
        File::create(&path)?.sync_all()?;
        sync_parent(&path)
    }
}

fn take_lock(dir: &Path) -> Result<Lock, BrokerError> {
    let path = dir.join(LOCK);
    let failed = |error| BrokerError::io("locking", &path, error);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    // The kernel gives it back when the process ends, however that happens.
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            let pid = file.read_to_string(&mut owner).ok().and_then(|_| owner.trim().parse().ok());
            return Err(BrokerErrorKind::DataDirLocked { path: dir.to_owned(), pid }.into());
        }
        Err(error) => return Err(failed(error.into())),
    }
    let pid = std::process::id();
    file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(failed)?;
    Ok(Lock(file))
}

fn read_or_write_meta(dir: &Path, new_cluster_id: impl FnOnce() -> String) -> Result<String, BrokerError> {
    let path = dir.join(META);
    let failed = |error| BrokerError::io("reading or writing", &path, error);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let meta: Meta = serde_json::from_slice(&bytes)
                .map_err(|error| BrokerErrorKind::Corrupt { path: path.clone(), what: error.to_string() })?;
            if meta.version != VERSION {
                let found = format!("it has version {}, this program reads {VERSION}", meta.version);
                return Err(BrokerErrorKind::DataDirVersion { path: dir.to_owned(), found }.into());
            }
            return Ok(meta.cluster_id);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    check_empty(dir)?;
    let meta = Meta { version: VERSION, cluster_id: new_cluster_id() };
    let bytes = serde_json::to_vec(&meta).map_err(|error| failed(io::Error::other(error)))?;
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(failed)?;
    Ok(meta.cluster_id)
}

/// A folder that holds somebody else's files is not taken over: the broker removes what it does not know.
fn check_empty(dir: &Path) -> Result<(), BrokerError> {
    let failed = |error| BrokerError::io("reading", dir, error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let ours = name == LOCK || Path::new(&name).file_stem() == Path::new(META).file_stem();
        if !ours {
            let found = format!("it is not empty and no broker's: {}", name.display());
            return Err(BrokerErrorKind::DataDirVersion { path: dir.to_owned(), found }.into());
        }
    }
    Ok(())
}

fn take_clean_mark(dir: &Path) -> Result<bool, BrokerError> {
    let path = dir.join(CLEAN);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(BrokerError::io("removing", &path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<DataDir, BrokerError> {
        DataDir::open(Some(path), || "klamm-embedded-x".to_owned())
    }

    #[test]
    fn a_second_owner_is_told_who_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let error = open(dir.path()).unwrap_err();
        let pid = std::process::id();
        assert!(
            matches!(error.kind(), BrokerErrorKind::DataDirLocked { pid: Some(found), .. } if *found == pid),
            "{error}"
        );
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn the_mark_of_a_clean_stop_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        assert!(!first.was_clean);
        first.mark_clean().unwrap();
        drop(first);
        assert!(open(dir.path()).unwrap().was_clean);
        assert!(!open(dir.path()).unwrap().was_clean, "it was killed this time");
    }

    #[test]
    fn what_a_later_version_or_somebody_else_wrote_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(META), r#"{"version":2,"cluster_id":"x"}"#).unwrap();
        assert!(matches!(open(dir.path()).unwrap_err().kind(), BrokerErrorKind::DataDirVersion { .. }));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tex"), "precious").unwrap();
        assert!(matches!(open(dir.path()).unwrap_err().kind(), BrokerErrorKind::DataDirVersion { .. }));
    }
}
