//! The log of one partition: segment files of batches as they came, and what is known about them in memory.
//!
//! Appends and reads are synchronous. A write into the page cache takes microseconds, less than handing it to another
//! thread would; only `fsync` waits for the disk, and its caller moves that off the async threads. Reads lock only to
//! find the place: bytes below the end never change, so they are read from the file without the lock.

mod producers;
mod segment;
mod validate;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchMut, TimestampType};
use tokio::sync::Notify;

use crate::settings::LogSettings;
use crate::sync::lock;
use producers::{Producers, Sequence};
use segment::Segment;
pub(crate) use validate::AppendError;

/// Epoch of the only leader that a partition ever has here.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// In the order of their base offsets; the last one is appended to. Empty until the first append.
    segments: Vec<Segment>,
    log_start: i64,
    producers: Producers,
    /// Fetches that wait for an append. Those that are gone are dropped on the way.
    waiters: Vec<Weak<Notify>>,
    /// Set when the topic is deleted, so that a late append cannot bring the folder back.
    deleted: bool,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    /// -1 unless the broker set the timestamps.
    pub log_append_time_ms: i64,
    pub log_start: i64,
}

/// Offsets that bound what can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub log_start: i64,
    /// High watermark, last stable offset and log end at once: one replica, no transactions yet.
    pub high_watermark: i64,
}

/// A place in a segment file, to be read without the lock.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    file: Arc<File>,
    position: u64,
    len: usize,
}

impl Slice {
    /// Bytes that [`Slice::read`] gives.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.len];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes.into())
    }
}

impl PartitionLog {
    /// Opens the log in `dir`, which need not exist: an empty log has no folder. `trusted` says that the broker was
    /// stopped cleanly, so that the checksums of the last segment need not be verified.
    pub fn open(dir: PathBuf, log_start: i64, trusted: bool, now_ms: i64) -> io::Result<Self> {
        let mut producers = Producers::default();
        let bases = segment_bases(&dir)?;
        let mut segments = Vec::<Segment>::with_capacity(bases.len());
        for (index, &base) in bases.iter().enumerate() {
            // Older segments were flushed when they were closed: only the last one can be torn.
            let last = index + 1 == bases.len();
            let segment = Segment::open(&dir, base, !trusted && last, &mut |batch| {
                producers.replay(batch, now_ms);
            })?;
            if segment.is_empty() && !last {
                segment.remove()?;
                continue;
            }
            segments.push(segment);
        }
        let log_start = log_start.max(segments.first().map_or(0, |s| s.base_offset));
        let state = State { segments, log_start, producers, waiters: Vec::new(), deleted: false };
        Ok(Self { dir, state: Mutex::new(state) })
    }

    /// Appends one batch as a producer sent it. Every check comes first: an error means that nothing was written.
    pub fn append(
        &self,
        records: &Bytes,
        settings: &LogSettings,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let batch = validate::check_batch(records, settings, now_ms)?;
        let size = records.len() as u64;

        let mut state = lock(&self.state);
        if state.deleted {
            return Err(AppendError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the topic was deleted"));
        }
        match state.producers.check(&batch)? {
            Sequence::Next => {}
            Sequence::Duplicate { base_offset } => {
                let log_start = state.log_start;
                return Ok(Appended { base_offset, log_append_time_ms: -1, log_start });
            }
        }
        let base_offset = state.log_end();
        let append_time = match settings.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(now_ms),
        };
        let max_timestamp_ms = append_time.unwrap_or(batch.max_timestamp_ms());
        let segment = state.segment_for(&self.dir, size, base_offset, max_timestamp_ms, settings)?;
        let stamped = stamp(records, base_offset, append_time)?;
        segment.append(&stamped, settings.index_interval_bytes)?;

        state.producers.appended(&batch, base_offset, now_ms);
        state.wake_waiters();
        let log_append_time_ms = append_time.unwrap_or(-1);
        Ok(Appended { base_offset, log_append_time_ms, log_start: state.log_start })
    }

    /// The batches from the one that holds `offset`, at most `max_bytes` of them; the first one is given whole
    /// if `whole_first`, even if it is larger. `None` at the end.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` before the start or beyond the end.
    pub fn slice(
        &self,
        offset: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> Result<Option<Slice>, ErrorCode> {
        let state = lock(&self.state);
        if offset < state.log_start || offset > state.log_end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        // A gap before the next segment (records were removed) is skipped.
        let Some(segment) = state.segments.iter().find(|s| s.next_offset() > offset) else { return Ok(None) };
        let slice =
            segment.slice(offset, max_bytes, whole_first).map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
        Ok(slice)
    }

    /// What can be read at present.
    pub fn bounds(&self) -> Bounds {
        let state = lock(&self.state);
        Bounds { log_start: state.log_start, high_watermark: state.log_end() }
    }

    /// The first record whose timestamp is at least `timestamp_ms`, as (timestamp, offset).
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> io::Result<Option<(i64, i64)>> {
        let (log_start, candidates) = {
            let state = lock(&self.state);
            let from = state.segments.iter().filter(|s| s.max_timestamp_ms() >= timestamp_ms);
            (state.log_start, from.map(|s| s.after_timestamp(timestamp_ms)).collect::<Vec<_>>())
        };
        for part in candidates {
            let found = segment::first_record(&part, |offset, timestamp| {
                offset >= log_start && timestamp >= timestamp_ms
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp, as (timestamp, offset).
    pub fn max_timestamp(&self) -> io::Result<Option<(i64, i64)>> {
        let largest = {
            let state = lock(&self.state);
            state.segments.iter().map(Segment::max_timestamp_ms).max()
        };
        match largest {
            Some(timestamp_ms) if timestamp_ms >= 0 => self.offset_for_timestamp(timestamp_ms),
            _ => Ok(None),
        }
    }

    /// Asks for a notification after the next append.
    pub fn watch(&self, waiter: &Arc<Notify>) {
        let mut state = lock(&self.state);
        state.waiters.retain(|waiter| waiter.strong_count() > 0);
        state.waiters.push(Arc::downgrade(waiter));
    }

    /// Moves the log start to `offset`, removes the segments before it, and gives the new log start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the end.
    pub fn delete_before(&self, offset: i64) -> Result<i64, ErrorCode> {
        let mut state = lock(&self.state);
        let offset = if offset == -1 { state.log_end() } else { offset };
        if offset < 0 || offset > state.log_end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        state.log_start = state.log_start.max(offset);
        state.remove_segments_before_start().map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
        Ok(state.log_start)
    }

    /// Removes closed segments that are too old or too many, as `retention.ms` and `retention.bytes` say. An active
    /// segment in which everything is too old is closed first, as Kafka does. Gives the log start if it moved.
    pub fn apply_retention(&self, settings: &LogSettings, now_ms: i64) -> io::Result<Option<i64>> {
        if !settings.delete {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        let before = state.log_start;
        let expired = |s: &Segment| {
            settings.retention_ms.is_some_and(|keep| now_ms.saturating_sub(s.max_timestamp_ms()) > keep)
        };
        if state.segments.last().is_some_and(|s| !s.is_empty() && expired(s)) {
            state.roll(&self.dir)?;
        }
        let mut total: u64 = state.segments.iter().map(Segment::size_bytes).sum();
        let mut remove = 0;
        for segment in &state.segments[..state.segments.len().saturating_sub(1)] {
            let rest = total - segment.size_bytes();
            let too_many = settings.retention_bytes.is_some_and(|keep| rest >= keep);
            if !expired(segment) && !too_many {
                break;
            }
            (total, remove) = (rest, remove + 1);
        }
        if let Some(first) = state.segments.get(remove) {
            state.log_start = state.log_start.max(first.base_offset);
        }
        state.remove_segments_before_start()?;
        Ok((state.log_start > before).then_some(state.log_start))
    }

    /// Forgets producers that have been silent for longer than `keep_ms`.
    pub fn expire_producers(&self, now_ms: i64, keep_ms: i64) {
        lock(&self.state).producers.expire(now_ms, keep_ms);
    }

    /// The file that is appended to, so that it can be flushed outside the lock.
    pub fn active_file(&self) -> Option<Arc<File>> {
        lock(&self.state).segments.last().map(Segment::file)
    }

    /// Bytes of all segments.
    #[cfg(test)]
    pub fn size_bytes(&self) -> u64 {
        lock(&self.state).segments.iter().map(Segment::size_bytes).sum()
    }

    /// Refuses appends from now on, wakes who waits, and removes the folder.
    pub fn delete(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.deleted = true;
        state.segments.clear();
        state.wake_waiters();
        remove_dir(&self.dir)
    }
}

impl State {
    fn log_end(&self) -> i64 {
        self.segments.last().map_or(self.log_start, Segment::next_offset).max(self.log_start)
    }

    /// The segment that takes a batch of this size and time, a new one if the active one is full or old.
    fn segment_for(
        &mut self,
        dir: &Path,
        size: u64,
        base_offset: i64,
        timestamp_ms: i64,
        settings: &LogSettings,
    ) -> io::Result<&mut Segment> {
        let fits = self.segments.last().is_some_and(|s| s.takes(size, base_offset, timestamp_ms, settings));
        if !fits {
            self.roll(dir)?;
        }
        self.segments.last_mut().ok_or_else(|| io::Error::other("no active segment"))
    }

    /// Closes the active segment and starts one at the log end.
    fn roll(&mut self, dir: &Path) -> io::Result<()> {
        let base = self.log_end();
        if self.segments.last().is_some_and(|s| s.is_empty() && s.base_offset == base) {
            return Ok(());
        }
        match self.segments.last() {
            Some(closed) => closed.sync()?,
            None => create_dir(dir)?,
        }
        self.segments.push(Segment::create(dir, base)?);
        Ok(())
    }

    fn remove_segments_before_start(&mut self) -> io::Result<()> {
        while self.segments.len() > 1 && self.segments[0].next_offset() <= self.log_start {
            self.segments[0].remove()?;
            self.segments.remove(0);
        }
        Ok(())
    }

    fn wake_waiters(&mut self) {
        for waiter in self.waiters.drain(..).filter_map(|w| w.upgrade()) {
            waiter.notify_one();
        }
    }
}

/// The batch with what the broker stamps on it. Offset and epoch are outside the CRC, the time is under it.
fn stamp(records: &Bytes, base_offset: i64, append_time_ms: Option<i64>) -> Result<Vec<u8>, AppendError> {
    let mut bytes = records.to_vec();
    let mut batch = BatchMut::parse_single(&mut bytes)?;
    batch.set_base_offset(base_offset);
    batch.set_partition_leader_epoch(LEADER_EPOCH);
    if let Some(time_ms) = append_time_ms {
        batch.set_log_append_time(time_ms);
    }
    Ok(bytes)
}

fn segment_bases(dir: &Path) -> io::Result<Vec<i64>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut bases = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        bases.extend(name.to_str().and_then(segment::base_of_name));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Creates the partition's folder but not the data directory above it, which may have been removed on purpose.
fn create_dir(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
