//! One segment file and its sparse index, which is kept in memory and rebuilt by walking the headers at open.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klamm_wire::batch::{BatchView, HEADER_BYTES, batches};

use super::compact::Source;
use super::marker::Marker;
use crate::settings::LogSettings;

/// Decompressed bytes of one batch that are looked at when a record is searched by its time.
pub(super) const MAX_DECOMPRESSED_BYTES: usize = 256 * 1024 * 1024;

/// A file of batches, named by the offset it starts at.
#[derive(Debug)]
pub(super) struct Segment {
    pub base_offset: i64,
    path: PathBuf,
    file: Arc<File>,
    size: u64,
    next_offset: i64,
    first_timestamp_ms: Option<i64>,
    max_timestamp_ms: i64,
    index: Vec<IndexEntry>,
}

/// A batch that can be jumped to.
#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    base_offset: i64,
    position: u64,
    /// The largest timestamp of everything before `position`.
    max_timestamp_before_ms: i64,
}

/// A stretch of a segment, read without the log's lock.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl Segment {
    /// Creates an empty segment at `base_offset`.
    pub fn create(dir: &Path, base_offset: i64) -> io::Result<Self> {
        let path = dir.join(name_of_base(base_offset));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self::empty(path, file, base_offset))
    }

    /// Opens a segment and walks its batches, giving each header to `visit`, and what it says if it is a marker. The first batch that is cut off, out of
    /// place, or (if `verify`) does not fit its checksum ends the segment: the file is cut there.
    pub fn open(
        dir: &Path,
        base_offset: i64,
        verify: bool,
        visit: &mut dyn FnMut(&BatchView<'_>, Option<&Marker>),
    ) -> io::Result<Self> {
        let path = dir.join(name_of_base(base_offset));
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let file_size = file.metadata()?.len();
        let mut segment = Self::empty(path, file, base_offset);
        let mut reader = BufReader::with_capacity(64 * 1024, segment.file.try_clone()?);
        reader.seek(SeekFrom::Start(0))?;
        let mut batch = Vec::new();
        while let Some(size) = next_batch(&mut reader, file_size - segment.size, verify, &mut batch)? {
            let Ok((view, _)) = BatchView::parse_header(&batch) else { break };
            if view.base_offset() < segment.next_offset || view.last_offset() < view.base_offset() {
                break;
            }
            let marker = BatchView::parse(&batch).ok().and_then(|whole| Marker::decode(&whole));
            visit(&view, marker.as_ref());
            segment.note(&view, size, default_index_interval());
        }
        if segment.size < file_size {
            segment.file.set_len(segment.size)?;
        }
        Ok(segment)
    }

    fn empty(path: PathBuf, file: File, base_offset: i64) -> Self {
        Self {
            base_offset,
            path,
            file: Arc::new(file),
            size: 0,
            next_offset: base_offset,
            first_timestamp_ms: None,
            max_timestamp_ms: -1,
            index: Vec::new(),
        }
    }

    /// Whether a batch may be added, or needs a new segment.
    pub fn takes(&self, size: u64, base_offset: i64, timestamp_ms: i64, settings: &LogSettings) -> bool {
        if self.is_empty() {
            return true;
        }
        let aged = self
            .first_timestamp_ms
            .is_some_and(|first| timestamp_ms.saturating_sub(first) > settings.segment_ms);
        // Kafka's indexes keep offsets relative to the base in 32 bits.
        let in_reach = base_offset - self.base_offset < i64::from(i32::MAX);
        self.size + size <= settings.segment_bytes && !aged && in_reach
    }

    /// Appends a stamped batch. When this fails the segment is as it was: the bytes are written at their place, not at
    /// the end of the file, so that the next append overwrites what a failed one left.
    pub fn append(&mut self, bytes: &[u8], index_interval_bytes: u64) -> io::Result<()> {
        let (header, _) = BatchView::parse_header(bytes).map_err(io::Error::other)?;
        if let Err(error) = self.file.write_all_at(bytes, self.size) {
            // Best effort: recovery cuts the rest off if this fails too.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.note(&header, bytes.len() as u64, index_interval_bytes);
        Ok(())
    }

    fn note(&mut self, header: &BatchView<'_>, size: u64, index_interval_bytes: u64) {
        let indexed = self.index.last().is_some_and(|last| self.size - last.position < index_interval_bytes);
        if !indexed {
            self.index.push(IndexEntry {
                base_offset: header.base_offset(),
                position: self.size,
                max_timestamp_before_ms: self.max_timestamp_ms,
            });
        }
        self.size += size;
        self.next_offset = header.next_offset();
        self.max_timestamp_ms = self.max_timestamp_ms.max(header.max_timestamp_ms());
        self.first_timestamp_ms.get_or_insert(header.max_timestamp_ms());
    }

    /// Batches from the one that holds `offset` on, and none that begins at or after `end`.
    pub fn slice(
        &self,
        (offset, end): (i64, i64),
        max_bytes: usize,
        whole_first: bool,
    ) -> io::Result<Option<super::Slice>> {
        let limit = if end >= self.next_offset { self.size } else { self.position_of(end)? };
        let position = self.position_of(offset)?;
        if position >= limit {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, position)?;
        let (_, size) = BatchView::parse_header(&header).map_err(io::Error::other)?;
        let available = usize::try_from(limit - position).unwrap_or(usize::MAX);
        let most = if whole_first { max_bytes.max(size) } else { max_bytes };
        let len = available.min(most);
        let after = self.index.partition_point(|entry| entry.position < position + len as u64);
        let bound = self.index.get(after).map_or(self.next_offset, |entry| entry.base_offset).min(end);
        let slice = super::Slice { file: self.file.clone(), position, len, bound };
        // Less than one batch is of no use to anybody.
        Ok((len >= size).then_some(slice))
    }

    /// Where the batch begins that holds `offset`, or the next one after it; the size of the segment where there is none.
    fn position_of(&self, offset: i64) -> io::Result<u64> {
        let at = self.index.partition_point(|entry| entry.base_offset <= offset);
        let mut position = at.checked_sub(1).map_or(0, |at| self.index[at].position);
        let mut header = [0; HEADER_BYTES];
        while position < self.size {
            self.file.read_exact_at(&mut header, position)?;
            let (view, size) = BatchView::parse_header(&header).map_err(io::Error::other)?;
            if view.last_offset() >= offset {
                break;
            }
            position += size as u64;
        }
        Ok(position)
    }

    /// The part of the segment that holds the first record as young as `timestamp_ms`.
    pub fn after_timestamp(&self, timestamp_ms: i64) -> Stretch {
        let at = self.index.partition_point(|entry| entry.max_timestamp_before_ms < timestamp_ms);
        let position = at.checked_sub(1).map_or(0, |at| self.index[at].position);
        Stretch { file: self.file.clone(), position, end: self.size }
    }

    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// The segment as compaction reads it.
    pub fn source(&self) -> Source {
        let (base_offset, next_offset) = (self.base_offset, self.next_offset);
        Source { base_offset, next_offset, file: self.file.clone(), size: self.size }
    }

    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// The first record of `stretch` that `wanted` (offset, timestamp) accepts, as (timestamp, offset).
pub(super) fn first_record(
    stretch: &Stretch,
    wanted: impl Fn(i64, i64) -> bool,
) -> io::Result<Option<(i64, i64)>> {
    let mut position = stretch.position;
    let (mut header, mut bytes, mut scratch) = ([0; HEADER_BYTES], Vec::new(), Vec::new());
    while position < stretch.end {
        stretch.file.read_exact_at(&mut header, position)?;
        let (view, size) = BatchView::parse_header(&header).map_err(io::Error::other)?;
        // The header bounds what its records can be, so most batches are skipped unread.
        if wanted(view.last_offset(), view.max_timestamp_ms()) {
            bytes.resize(size, 0);
            stretch.file.read_exact_at(&mut bytes, position)?;
            for batch in batches(&bytes) {
                let batch = batch.map_err(io::Error::other)?;
                let records =
                    batch.records(&mut scratch, MAX_DECOMPRESSED_BYTES).map_err(io::Error::other)?;
                for record in records {
                    let record = record.map_err(io::Error::other)?;
                    if wanted(record.offset, record.timestamp_ms) {
                        return Ok(Some((record.timestamp_ms, record.offset)));
                    }
                }
            }
        }
        position += size as u64;
    }
    Ok(None)
}

/// Reads the next batch, or only its header if it holds records and is not to be verified. `None` where the sound part ends.
fn next_batch(
    reader: &mut BufReader<File>,
    left: u64,
    verify: bool,
    bytes: &mut Vec<u8>,
) -> io::Result<Option<u64>> {
    if left < HEADER_BYTES as u64 {
        return Ok(None);
    }
    bytes.resize(HEADER_BYTES, 0);
    reader.read_exact(bytes)?;
    let Ok((header, size)) = BatchView::parse_header(bytes) else { return Ok(None) };
    let is_control = header.is_control();
    if size as u64 > left {
        return Ok(None);
    }
    if verify || is_control {
        bytes.resize(size, 0);
        reader.read_exact(&mut bytes[HEADER_BYTES..])?;
        let sound = BatchView::parse(bytes).is_ok_and(|batch| !verify || batch.verify_crc().is_ok());
        return Ok(sound.then_some(size as u64));
    }
    reader.seek_relative(i64::try_from(size - HEADER_BYTES).unwrap_or(i64::MAX))?;
    Ok(Some(size as u64))
}

/// `index.interval.bytes` as Kafka has it by default; the setting itself applies to what is appended.
fn default_index_interval() -> u64 {
    4096
}

pub(super) fn name_of_base(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}

/// The base offset in a segment's file name.
pub(super) fn base_of_name(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".log")?;
    let sound = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| digits.parse().ok()).flatten()
}
