//! The log of one partition: segment files of batches as they came, and what is known about them in memory.
//!
//! Appends and reads are synchronous. A write into the page cache takes microseconds, less than handing it to another
//! thread would; only `fsync` waits for the disk, and its caller moves that off the async threads. Reads lock only to
//! find the place: bytes below the end never change, so they are read from the file without the lock.

mod compact;
mod marker;
mod producers;
mod segment;
mod validate;

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchMut, ProducerStamp, TimestampType};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::settings::LogSettings;
use crate::sync::lock;
use compact::{Replacement, Round};
pub(crate) use marker::{Marker, Outcome};
pub(crate) use producers::{Aborted, ActiveProducer, Verified};
use producers::{Producers, Sequence};
use segment::Segment;
pub(crate) use validate::AppendError;

/// Epoch of the only leader that a partition ever has here.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// How a producer's transactions work: what `transaction.version` and the versions of its requests come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransactionVersion {
    /// TV 0 and 1: markers carry the epoch that wrote the records.
    Classic,
    /// TV 2 (KIP-890): each end raises the epoch, and the marker carries the new one.
    Two,
}

/// How far a reader sees (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

impl Isolation {
    /// As the protocol codes it: 1 is read_committed.
    pub fn from_code(code: i8) -> Self {
        if code == 1 { Self::ReadCommitted } else { Self::ReadUncommitted }
    }
}

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
    /// Records before this offset are compacted.
    clean_to: i64,
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
    /// High watermark and log end at once: there is one replica.
    pub high_watermark: i64,
    /// Where the earliest open transaction begins, else the high watermark.
    pub last_stable: i64,
}

impl Bounds {
    /// Where a reader's view ends.
    pub fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable,
        }
    }
}

/// A place in a segment file, to be read without the lock.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    file: Arc<File>,
    position: u64,
    len: usize,
    /// No record in it is at or after this offset.
    bound: i64,
}

impl Slice {
    /// The first bytes of a file.
    #[cfg(test)]
    pub fn of_file(file: File, len: usize) -> Self {
        Self { file: Arc::new(file), position: 0, len, bound: i64::MAX }
    }

    /// Bytes that [`Slice::read`] gives.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.len];
        self.read_at(&mut bytes, 0)?;
        Ok(bytes.into())
    }

    /// Fills `part` with what begins `from` bytes after the start.
    pub fn read_at(&self, part: &mut [u8], from: usize) -> io::Result<()> {
        self.file.read_exact_at(part, self.position + from as u64)
    }

    /// Sends what begins `from` bytes after the start, as much as `out` takes now, without reading it.
    #[cfg(target_os = "linux")]
    pub fn send_to(&self, out: &impl AsFd, from: usize) -> io::Result<usize> {
        let mut position = self.position + from as u64;
        Ok(rustix::fs::sendfile(out, &*self.file, Some(&mut position), self.len.saturating_sub(from))?)
    }
}

impl PartitionLog {
    /// Opens the log in `dir`, which need not exist: an empty log has no folder. `trusted` says that the broker was
    /// stopped cleanly, so that the checksums of the last segment need not be verified.
    pub fn open(dir: PathBuf, log_start: i64, trusted: bool, now_ms: i64) -> io::Result<Self> {
        compact::recover(&dir)?;
        let mut producers = Producers::default();
        let bases = segment_bases(&dir)?;
        let mut segments = Vec::<Segment>::with_capacity(bases.len());
        for (index, &base) in bases.iter().enumerate() {
            // Older segments were flushed when they were closed: only the last one can be torn.
            let last = index + 1 == bases.len();
            let segment = Segment::open(&dir, base, !trusted && last, &mut |batch, marker| {
                producers.replay(batch, marker, now_ms);
            })?;
            if segment.is_empty() && !last {
                segment.remove()?;
                continue;
            }
            segments.push(segment);
        }
        let log_start = log_start.max(segments.first().map_or(0, |s| s.base_offset));
        let clean_to = 0;
        let state = State { segments, log_start, producers, clean_to, waiters: Vec::new(), deleted: false };
        Ok(Self { dir, state: Mutex::new(state) })
    }

    /// Appends one batch as a producer sent it. Every check comes first: an error means that nothing was written.
    pub fn append(
        &self,
        records: &Bytes,
        settings: &LogSettings,
        now_ms: i64,
        verified: Verified,
    ) -> Result<Appended, AppendError> {
        let batch = validate::check_batch(records, settings, now_ms)?;
        let size = records.len() as u64;

        let mut state = lock(&self.state);
        if state.deleted {
            return Err(AppendError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the topic was deleted"));
        }
        match state.producers.check(&batch, verified)? {
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
        let _writing = settings.disk.begin()?;
        let segment = state.segment_for(&self.dir, size, base_offset, max_timestamp_ms, settings)?;
        let stamped = stamp(records, base_offset, append_time)?;
        segment.append(&stamped, settings.index_interval_bytes)?;

        state.producers.appended(&batch, base_offset, now_ms);
        state.wake_waiters();
        let log_append_time_ms = append_time.unwrap_or(-1);
        Ok(Appended { base_offset, log_append_time_ms, log_start: state.log_start })
    }

    /// Ends a producer's transaction in this partition.
    ///
    /// # Errors
    /// As for `WriteTxnMarkers`: the marker is late, or its coordinator was replaced.
    pub fn append_marker(
        &self,
        marker: &Marker,
        version: TransactionVersion,
        settings: &LogSettings,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let records = marker.encode(now_ms)?.into();
        let mut state = lock(&self.state);
        if state.deleted {
            return Err(AppendError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the topic was deleted"));
        }
        state.producers.check_marker(marker, version)?;
        let offset = state.log_end();
        let stamped = stamp(&records, offset, None)?;
        let _writing = settings.disk.begin()?;
        let segment = state.segment_for(&self.dir, stamped.len() as u64, offset, now_ms, settings)?;
        segment.append(&stamped, settings.index_interval_bytes)?;
        state.producers.ended(marker, offset, now_ms, now_ms);
        state.wake_waiters();
        Ok(())
    }

    /// Notes that a batch asks to open a transaction here, and gives whether its coordinator must be asked: not when it is open.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` from a producer that was fenced.
    pub fn wants_verification(
        &self,
        stamp: ProducerStamp,
        version: TransactionVersion,
        now_ms: i64,
    ) -> Result<bool, AppendError> {
        lock(&self.state).producers.attempt(stamp, version, now_ms)
    }

    /// Whether this producer has a transaction open here.
    pub fn is_open_for(&self, producer_id: i64) -> bool {
        lock(&self.state).producers.is_open_for(producer_id)
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.active_file().map_or(Ok(()), |file| file.sync_data())
    }

    /// The producers that this partition remembers, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        lock(&self.state).producers.active()
    }

    /// Aborted transactions that a reader of `slice` from `offset` on must leave out.
    pub fn aborted(&self, offset: i64, slice: &Slice) -> Vec<Aborted> {
        lock(&self.state).producers.aborted(offset, slice.bound)
    }

    /// The batches from the one that holds `offset`, at most `max_bytes` of them; the first one is given whole
    /// if `whole_first`, even if it is larger. `None` at the end.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` before the start or beyond the end.
    pub fn slice(
        &self,
        offset: i64,
        isolation: Isolation,
        max_bytes: usize,
        whole_first: bool,
    ) -> Result<Option<Slice>, ErrorCode> {
        let state = lock(&self.state);
        let end = state.bounds().end(isolation);
        if offset < state.log_start || offset > state.log_end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        // A gap before the next segment (records were removed) is skipped.
        let Some(segment) = state.segments.iter().find(|s| s.next_offset() > offset) else { return Ok(None) };
        let slice = segment
            .slice((offset, end), max_bytes, whole_first)
            .map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
        Ok(slice)
    }

    /// What can be read at present.
    pub fn bounds(&self) -> Bounds {
        lock(&self.state).bounds()
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

    /// Removes superseded records, as `cleanup.policy=compact` says, when enough of the log is dirty; whether it did. Takes as long as
    /// reading and writing the closed segments does, and holds the lock only to begin and to end.
    pub fn compact(&self, settings: &LogSettings, now_ms: i64) -> io::Result<bool> {
        let Some(round) = self.begin_compaction(settings, now_ms)? else { return Ok(false) };
        let outcomes = round.run()?;
        let mut state = lock(&self.state);
        let present: Vec<i64> = state.segments.iter().map(|segment| segment.base_offset).collect();
        for replacement in outcomes.replacements {
            // Retention or a deletion was faster.
            if state.deleted || !replacement.replaces.iter().all(|base| present.contains(base)) {
                std::fs::remove_file(&replacement.swap)?;
                continue;
            }
            state.replace(&self.dir, &replacement)?;
        }
        state.clean_to = outcomes.clean_to;
        Ok(true)
    }

    fn begin_compaction(&self, settings: &LogSettings, now_ms: i64) -> io::Result<Option<Round>> {
        if !settings.compact {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        let age = |segment: &Segment| now_ms.saturating_sub(segment.max_timestamp_ms());
        let due = |segment: &Segment| !segment.is_empty() && age(segment) > settings.max_compaction_lag_ms;
        if state.segments.last().is_some_and(due) {
            state.roll(&self.dir)?;
        }
        let stable = state.bounds().last_stable;
        let closed = &state.segments[..state.segments.len().saturating_sub(1)];
        let settled = |segment: &&Segment| {
            segment.next_offset() <= stable && age(segment) >= settings.min_compaction_lag_ms
        };
        let sources: Vec<_> = closed.iter().take_while(settled).map(Segment::source).collect();
        let dirty_from = state.clean_to.max(state.log_start);
        let is_dirty = |source: &&compact::Source| source.next_offset > dirty_from;
        let bytes = |all: &mut dyn Iterator<Item = u64>| all.sum::<u64>();
        let total = bytes(&mut sources.iter().map(|source| source.size));
        let dirty = bytes(&mut sources.iter().filter(is_dirty).map(|source| source.size));
        let overdue = closed.iter().take(sources.len()).any(|s| s.next_offset() > dirty_from && due(s));
        let enough = dirty as f64 >= settings.min_dirty_ratio * total as f64;
        if dirty == 0 || !(enough || overdue) {
            return Ok(None);
        }
        Ok(Some(Round {
            dir: self.dir.clone(),
            sources,
            dirty_from,
            aborted: state.producers.aborted(0, stable),
            last_of_producers: state.producers.last_of_each(),
            segment_bytes: settings.segment_bytes,
            keep_tombstones_ms: settings.delete_retention_ms,
            now_ms,
        }))
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
    fn bounds(&self) -> Bounds {
        let end = self.log_end();
        let last_stable = self.producers.first_open().map_or(end, |first| first.clamp(self.log_start, end));
        Bounds { log_start: self.log_start, high_watermark: end, last_stable }
    }

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

    /// Puts a compacted file in place of the segments that it was made of.
    fn replace(&mut self, dir: &Path, replacement: &Replacement) -> io::Result<()> {
        let at = self.segments.iter().position(|segment| segment.base_offset == replacement.base_offset);
        let at = at.ok_or_else(|| io::Error::other("the compacted segment is gone"))?;
        let count = replacement.replaces.len();
        for old in &self.segments[at + 1..at + count] {
            old.remove()?;
        }
        std::fs::rename(&replacement.swap, replacement.swap.with_extension("log"))?;
        let new = Segment::open(dir, replacement.base_offset, false, &mut |_, _| {})?;
        let new = match new.is_empty() {
            true => new.remove().map(|()| None)?,
            false => Some(new),
        };
        self.segments.splice(at..at + count, new);
        Ok(())
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
        self.producers.log_starts_at(self.log_start);
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

/// Checks a batch that nobody vouches for.
#[cfg(feature = "fuzzing")]
pub(crate) fn check_untrusted(records: &Bytes, settings: &LogSettings) {
    let _ = validate::check_batch(records, settings, 0);
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
