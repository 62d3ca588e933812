//! Whether the disk takes anything: not from a broker that has ended, and a test may say that it is full.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use crate::sync::{read, write};

/// The disk under the data directory. Cloning gives another handle on the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The broker has ended. Held while something is written, so that nothing is once it is set.
    ended: RwLock<bool>,
    full: AtomicBool,
    hits: AtomicU64,
}

/// Held while something is written.
#[must_use = "what is written without it may be written to another broker's files"]
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    _not_ended: RwLockReadGuard<'a, bool>,
}

impl Disk {
    pub fn fill(&self, full: bool) {
        self.state.full.store(full, Ordering::SeqCst);
    }

    /// How many writes were refused because it was full.
    pub fn hits(&self) -> u64 {
        self.state.hits.load(Ordering::SeqCst)
    }

    /// Waits for writes that are under way, a moment each, and refuses all later ones. Handlers of a dropped broker end in their own time;
    /// by then its data directory may be another's.
    pub fn end(&self) {
        *write(&self.state.ended) = true;
    }

    /// Asked before every write. Not to be asked for by who holds one already.
    ///
    /// # Errors
    /// The broker has ended; or `StorageFull` while a test says so.
    pub fn begin(&self) -> io::Result<Writing<'_>> {
        let ended = read(&self.state.ended);
        if *ended {
            return Err(io::Error::other("the broker has ended"));
        }
        if !self.state.full.load(Ordering::SeqCst) {
            return Ok(Writing { _not_ended: ended });
        }
        self.state.hits.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device (a fault on purpose)"))
    }
}
