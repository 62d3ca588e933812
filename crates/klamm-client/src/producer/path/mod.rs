//! The producer's data path on our own wire: the shell around the machines of [`crate::produce`].
//!
//! Senders encode their records into the open batches ([`inbox`]). One task ([`task`]) seals, compresses, asks the machine what to do,
//! and reports outcomes; it speaks to each broker over one connection for producing ([`links`]) and learns leaders ([`leaders`]).
//!
//! `acks=0` cannot be asked for ([`klamm_contract::Acks`] has no name for it), so every request here has an answer.

mod inbox;
mod leaders;
mod links;
mod request;
mod task;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use klamm_admin::{Admin, ClientOptions};

use crate::acks::Outstanding;
use crate::{ProduceErrorKind, ProducerOptions};
pub(crate) use inbox::{Hurry, Inlet};
use inbox::{Shared, Stage};

/// A running producer. Dropping it never blocks: its task goes on until each record has its outcome.
pub(crate) struct ProducerPath {
    admin: Admin,
    shared: Arc<Shared>,
    metadata_timeout: Duration,
}

impl ProducerPath {
    /// Starts the task. It ends with the runtime that it is started on: what has no outcome by then is closed.
    pub(crate) fn start(
        admin: Admin,
        cluster: &ClientOptions,
        options: &ProducerOptions,
        outstanding: Arc<Outstanding>,
    ) -> ProducerPath {
        let shared = Arc::new(Shared::new(task::accumulator(options)));
        let task = task::Task::new(admin.clone(), options, Arc::clone(&shared), outstanding);
        tokio::spawn(task.run());
        ProducerPath { admin, shared, metadata_timeout: cluster.request_timeout }
    }

    /// Takes records in. Others wait while it is held.
    pub(crate) fn inlet(&self) -> Inlet<'_> {
        self.shared.inlet()
    }

    /// Nothing lingers while it is held: somebody waits for outcomes or for their memory.
    pub(crate) fn hurry(&self) -> Hurry<'_> {
        self.shared.hurry()
    }

    /// Asks the cluster for the topic's number of partitions.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<i32, ProduceErrorKind> {
        leaders::partitions(&self.admin, &self.shared, topic, self.metadata_timeout, random("partitions"))
            .await
    }

    /// Ends it now: what has no outcome yet resolves as closed.
    pub(crate) fn stop(&self) {
        self.shared.enter(Stage::Stopped);
    }
}

impl Drop for ProducerPath {
    fn drop(&mut self) {
        self.shared.enter(Stage::Deserted);
    }
}

impl fmt::Debug for ProducerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerPath").finish_non_exhaustive()
    }
}

/// Where a machine's jitter begins: another one each time.
fn random(of: &str) -> u64 {
    RandomState::new().hash_one(of)
}
