//! Partitions that the application chooses itself, without a group.

use std::time::Duration;

use klamm_admin::{Admin, ClientOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::reader::{Command, Reader, ReaderOptions};
use super::{Event, FetchedBatch, TopicPartition};
use crate::fetch::{Next, ReadBounds, RequestOptions};
use crate::{ClientError, ConsumeError, Isolation, OffsetReset};

/// Settings of a [`PartitionReader`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// `auto.offset.reset`: where a partition begins that has no offset, or whose offset is not in the log any more.
    pub reset: OffsetReset,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `client.rack`: read from a replica in this rack (KIP-392).
    pub rack: Option<String>,
    /// Most records in a batch that is handed over.
    pub batch_records: usize,
    /// Most bytes of one partition that are handed over and not dropped yet; its fetching stops there.
    pub partition_bytes: usize,
    /// The same for all partitions together.
    pub total_bytes: usize,
    /// `max.partition.fetch.bytes`.
    pub partition_fetch_bytes: usize,
    /// `fetch.max.bytes`.
    pub fetch_bytes: usize,
    /// `fetch.min.bytes`: a broker waits until it has so much.
    pub fetch_min_bytes: u32,
    /// `fetch.max.wait.ms`: but no longer than this.
    pub fetch_max_wait: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
}

impl Default for ReadOptions {
    /// Java's defaults for fetching, except that a missing offset is an error.
    fn default() -> ReadOptions {
        ReadOptions {
            reset: OffsetReset::default(),
            isolation: Isolation::default(),
            rack: None,
            batch_records: 500,
            partition_bytes: 4 << 20,
            total_bytes: 64 << 20,
            partition_fetch_bytes: 1 << 20,
            fetch_bytes: 50 << 20,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            metadata_max_age: Duration::from_secs(300),
        }
    }
}

impl ReadOptions {
    fn validate(&self) -> Result<(), ClientError> {
        let bounds = [
            ("batch records", self.batch_records),
            ("partition bytes", self.partition_bytes),
            ("total bytes", self.total_bytes),
            ("max.partition.fetch.bytes", self.partition_fetch_bytes),
            ("fetch.max.bytes", self.fetch_bytes),
        ];
        for (name, value) in bounds {
            if !(1..=i32::MAX as usize).contains(&value) {
                return Err(ClientError::setting(name, value, format!("must be between 1 and {}", i32::MAX)));
            }
        }
        if self.fetch_max_wait > Duration::from_secs(300) {
            let value = self.fetch_max_wait.as_millis();
            return Err(ClientError::setting("fetch.max.wait.ms", value, "must be at most 300000"));
        }
        Ok(())
    }

    pub(super) fn reader(&self) -> ReaderOptions {
        let bounds = ReadBounds {
            reset: self.reset,
            partition_bytes: self.partition_bytes,
            total_bytes: self.total_bytes,
            partition_fetch_bytes: self.partition_fetch_bytes,
            fetch_bytes: self.fetch_bytes,
            nearer_for: self.metadata_max_age,
        };
        let request = RequestOptions {
            isolation: self.isolation,
            rack: self.rack.clone(),
            max_wait: self.fetch_max_wait,
            min_bytes: i32::try_from(self.fetch_min_bytes).unwrap_or(i32::MAX),
        };
        let (batch_records, metadata_max_age) = (self.batch_records, self.metadata_max_age);
        ReaderOptions { bounds, request, batch_records, metadata_max_age }
    }
}

/// Where a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset.
    At(i64),
    /// Where [`ReadOptions::reset`] says.
    Reset,
}

/// Reads partitions that the application chooses itself. Nothing is committed, and no group is joined.
///
/// Dropping it ends all requests at once.
#[derive(Debug)]
pub struct PartitionReader {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
    task: JoinHandle<()>,
}

impl PartitionReader {
    /// Opens a reader of no partition yet. The cluster is asked first, so that an address, a listener or credentials that do not work
    /// are told at once and by name.
    ///
    /// Cancelling it leaves nothing behind.
    pub async fn open(
        cluster: &ClientOptions,
        options: &ReadOptions,
    ) -> Result<PartitionReader, ClientError> {
        options.validate()?;
        let admin = Admin::connect(cluster).await?;
        // Not bounded by count: batches are bounded by the bytes that they hold, and errors are few.
        let (sender, events) = mpsc::unbounded_channel();
        let (reader, commands) = Reader::new(admin, options.reader(), sender);
        let task = tokio::spawn(reader.run());
        Ok(PartitionReader { commands, events, task })
    }

    /// Reads these partitions too. One that is read already begins anew.
    pub fn assign(&self, partitions: impl IntoIterator<Item = (TopicPartition, Start)>) {
        let start = |(partition, start)| match start {
            Start::At(offset) => (partition, Some(Next { offset, epoch: None })),
            Start::Reset => (partition, None),
        };
        self.tell(Command::Assign(partitions.into_iter().map(start).collect()));
    }

    /// Reads these partitions no more. Returns when nothing more of them comes; batches of them that did not come yet are stale.
    ///
    /// Cancelling it stops them all the same.
    pub async fn release(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let (done, released) = oneshot::channel();
        self.tell(Command::Release(partitions.into_iter().collect(), done));
        // A task that has ended hands nothing over either.
        drop(released.await);
    }

    /// Hands nothing more over of these partitions until they are resumed. A batch that is on its way still comes.
    pub fn pause(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.tell(Command::Pause(partitions.into_iter().collect()));
    }

    /// Goes on with these partitions where it stopped.
    pub fn resume(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.tell(Command::Resume(partitions.into_iter().collect()));
    }

    /// Goes on with a partition at another offset. A batch that is on its way still comes.
    pub fn seek(&self, partition: TopicPartition, offset: i64) {
        self.tell(Command::Seek(partition, offset));
    }

    /// The next batch, or what went wrong: [`ConsumeError::is_retryable`] says whether reading goes on by itself.
    ///
    /// Cancelling it loses nothing.
    pub async fn next(&mut self) -> Result<FetchedBatch, ConsumeError> {
        loop {
            match self.events.recv().await {
                Some(Event::Batch(batch)) => return Ok(batch),
                Some(Event::Error(error)) => return Err(error),
                // A reader without a group tells nothing else.
                Some(_) => {}
                None => return Err(ConsumeError::ended()),
            }
        }
    }

    fn tell(&self, command: Command) {
        // A task that has ended says so to whoever asks for the next batch.
        drop(self.commands.send(command));
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
