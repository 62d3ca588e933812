//! Whether the disk takes anything: a test may say that it is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The disk under the data directory. Cloning gives another handle on the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    full: AtomicBool,
    hits: AtomicU64,
}

impl Disk {
    pub fn fill(&self, full: bool) {
        self.state.full.store(full, Ordering::SeqCst);
    }

    /// How many writes were refused.
    pub fn hits(&self) -> u64 {
        self.state.hits.load(Ordering::SeqCst)
    }

    /// Asked before every write.
    ///
    /// # Errors
    /// `StorageFull` while a test says so.
    pub fn check(&self) -> io::Result<()> {
        if !self.state.full.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.state.hits.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device (a fault on purpose)"))
    }
}
