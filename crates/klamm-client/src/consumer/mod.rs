//! The consumer: batches and what happens to the group's partitions, as one stream of events.

mod batch;
mod lookup;
mod partitions;
mod reader;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use klamm_admin::{Admin, ClientOptions};
use tokio::sync::{mpsc, oneshot};

use crate::rdkafka_backend::{Commit, ConsumerPath, RevokeReply};
use crate::{ClientError, CommitError, CommitErrorKind, ConsumeError, ConsumerOptions};

pub use batch::FetchedBatch;
pub(crate) use batch::Records;
pub use partitions::{PartitionReader, ReadOptions, Start};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// How far a partition is done: the offset of the next record to work on. This is what is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Partition.
    pub partition: TopicPartition,
    /// Offset of the next record, not of the last one that is done.
    pub offset: i64,
}

/// What a consumer tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// These partitions are read from now on.
    Assigned(Vec<TopicPartition>),
    /// Records of one partition, in order.
    Batch(FetchedBatch),
    /// These partitions go to another member: finish or stop their work, then answer.
    Revoking(Revoking),
    /// These partitions belong to other members already: forget their work and commit nothing for them.
    Lost(Vec<TopicPartition>),
    /// Something went wrong; `is_retryable` says whether the consumer goes on by itself.
    Error(ConsumeError),
}

/// Reads as a member of a group. Offsets are committed only by [`commit`](Consumer::commit) and
/// [`Revoking::finish`].
///
/// The group goes on without a member that does not answer a [`Revoking`] within its budget; taking events late is fine,
/// because polling and heartbeats run on threads of their own. Dropping it never blocks and leaves the group in the
/// background; [`close`](Consumer::close) waits for that.
#[derive(Debug)]
pub struct Consumer {
    events: mpsc::UnboundedReceiver<Event>,
    path: ConsumerPath,
    ended: oneshot::Receiver<()>,
}

impl Consumer {
    /// Opens a consumer and joins the group. The cluster is asked first, so that an address, a listener or credentials
    /// that do not work are told at once and by name.
    ///
    /// Cancelling it leaves nothing behind.
    pub async fn open(cluster: &ClientOptions, options: ConsumerOptions) -> Result<Consumer, ClientError> {
        options.validate()?;
        Admin::connect(cluster).await?;
        // Not bounded by count: batches are bounded by the bytes that they hold, and the other events are few.
        let (sender, events) = mpsc::unbounded_channel();
        let (path, ended) = ConsumerPath::start(cluster, &options, sender)?;
        Ok(Consumer { events, path, ended })
    }

    /// The next event; `None` when the consumer has ended.
    ///
    /// Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Commits from other tasks.
    pub fn committer(&self) -> Committer {
        Committer { requests: self.path.commits() }
    }

    /// Commits positions and waits for the coordinator's answer.
    ///
    /// Cancelling it leaves open whether they are committed.
    pub async fn commit(&self, positions: Vec<Position>) -> Result<(), CommitError> {
        self.committer().commit(positions).await
    }

    /// Hands nothing more over of these partitions until they are resumed. A batch that is on its way still comes.
    pub fn pause(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.path.pause(partitions);
    }

    /// Goes on with these partitions where it stopped.
    pub fn resume<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        self.path.resume(partitions);
    }

    /// Leaves the group, within `deadline`. Commit before: revokes are not asked about any more.
    ///
    /// `false` means that it was not done by then; it goes on in the background. Cancelling it does the same.
    pub async fn close(self, deadline: Duration) -> bool {
        let Consumer { events, path, ended } = self;
        path.stop();
        // A revoke that waits for an answer sees that none will come.
        drop(events);
        tokio::time::timeout(deadline, ended).await.is_ok()
    }
}

/// Commits for a consumer, from any task.
#[derive(Debug, Clone)]
pub struct Committer {
    requests: mpsc::Sender<Commit>,
}

impl Committer {
    /// Commits positions and waits for the coordinator's answer. Commits happen in the order of the calls.
    ///
    /// Cancelling it leaves open whether they are committed.
    pub async fn commit(&self, positions: Vec<Position>) -> Result<(), CommitError> {
        if positions.is_empty() {
            return Ok(());
        }
        let closed =
            || CommitError { kind: CommitErrorKind::Closed, message: "the consumer was closed".to_owned() };
        let (done, answer) = oneshot::channel();
        self.requests.send(Commit::Positions { positions, done }).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Partitions that are about to go to another member.
///
/// The member keeps them until [`finish`](Revoking::finish) is called, this is dropped, or the budget is over.
#[must_use = "the group waits for the answer"]
#[derive(Debug)]
pub struct Revoking {
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) budget: Duration,
    pub(crate) reply: std::sync::mpsc::SyncSender<RevokeReply>,
}

impl Revoking {
    /// The partitions.
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// How long the group waits for the answer, from the moment of the revoke on.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// Commits `positions` while the partitions are still this member's, and lets them go.
    ///
    /// Cancelling it leaves open whether they are committed.
    pub async fn finish(self, positions: Vec<Position>) -> Result<(), CommitError> {
        let late = || CommitError {
            kind: CommitErrorKind::NotMember,
            message: "the budget for the revoke was over".to_owned(),
        };
        let (done, answer) = oneshot::channel();
        // There is room for exactly this one reply.
        self.reply.try_send(RevokeReply { positions, done }).map_err(|_| late())?;
        answer.await.unwrap_or_else(|_| Err(late()))
    }
}
