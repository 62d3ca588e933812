//! Compaction: of each key the newest record stays, after Kafka's `Cleaner`.
//!
//! Closed segments below the last stable offset are read twice: once to learn the newest offset of each key, once to write what stays into new
//! files. A batch keeps its header, its first and last offset and the stamp of its producer, whatever of it stays. A new file gets the name
//! `….swap` when it is on the disk, and only then the old ones go: a crash in between is finished at the next open.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klamm_wire::batch::{
    BatchBuilder, BatchView, HEADER_BYTES, Header, ProducerStamp, RecordView, TimestampType,
};

use super::marker::{Marker, Outcome};
use super::producers::{Aborted, LastOfProducer};
use super::segment::{MAX_DECOMPRESSED_BYTES, name_of_base};

/// Bytes of keys that are held at once; what does not fit is compacted in the next round.
const MAX_KEY_BYTES: usize = 64 * 1024 * 1024;

const CLEANED: &str = "cleaned";
pub(super) const SWAP: &str = "swap";

/// A closed segment that is compacted.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub base_offset: i64,
    pub next_offset: i64,
    pub file: Arc<File>,
    pub size: u64,
}

/// What is compacted, and by which rules.
#[derive(Debug)]
pub(super) struct Round {
    pub dir: PathBuf,
    pub sources: Vec<Source>,
    /// Records from here on have not been compacted yet.
    pub dirty_from: i64,
    pub aborted: Vec<Aborted>,
    pub last_of_producers: HashMap<i64, LastOfProducer>,
    pub segment_bytes: u64,
    /// `delete.retention.ms`.
    pub keep_tombstones_ms: i64,
    pub now_ms: i64,
}

/// A new file in place of some sources, named `.swap` already.
#[derive(Debug)]
pub(super) struct Replacement {
    pub base_offset: i64,
    pub replaces: Vec<i64>,
    pub swap: PathBuf,
}

/// What a round came to.
#[derive(Debug)]
pub(super) struct Outcomes {
    pub replacements: Vec<Replacement>,
    /// Records before this offset are compacted.
    pub clean_to: i64,
}

impl Round {
    /// Reads the sources and writes their replacements. Nothing of the log is changed.
    pub fn run(&self) -> io::Result<Outcomes> {
        let (newest, clean_to) = self.newest()?;
        let mut replacements = Vec::new();
        let mut transactions = Transactions::new(&self.aborted);
        for group in self.groups() {
            replacements.push(self.write(group, &newest, clean_to, &mut transactions)?);
        }
        Ok(Outcomes { replacements, clean_to })
    }

    /// The newest offset of each key of what is dirty, and up to where it was read.
    fn newest(&self) -> io::Result<(Newest, i64)> {
        let mut newest = Newest::new();
        let mut transactions = Transactions::new(&self.aborted);
        let (mut held, mut read_to) = (0, self.dirty_from);
        let mut scratch = Vec::new();
        for source in self.sources.iter().filter(|source| source.next_offset > self.dirty_from) {
            let whole = each_batch(source, |batch| {
                if batch.is_control() {
                    transactions.marker(batch);
                    return Ok(true);
                }
                let discarded = transactions.data(batch);
                if !discarded && batch.last_offset() >= self.dirty_from {
                    for record in records(batch, &mut scratch)? {
                        let record = record.map_err(io::Error::other)?;
                        let Some(key) = record.key else { continue };
                        if let Some(offset) = newest.get_mut(key) {
                            *offset = record.offset;
                        } else {
                            held += key.len();
                            newest.insert(key.into(), record.offset);
                        }
                    }
                }
                read_to = batch.next_offset();
                Ok(held < MAX_KEY_BYTES)
            })?;
            if !whole {
                return Ok((newest, read_to));
            }
            read_to = source.next_offset;
        }
        Ok((newest, read_to))
    }

    /// Neighbours that fit into one segment together.
    fn groups(&self) -> Vec<&[Source]> {
        let (mut groups, mut from, mut bytes) = (Vec::new(), 0, 0);
        for (index, source) in self.sources.iter().enumerate() {
            let reach = source.next_offset - self.sources[from].base_offset;
            if index > from && (bytes + source.size > self.segment_bytes || reach > i64::from(i32::MAX)) {
                groups.push(&self.sources[from..index]);
                (from, bytes) = (index, 0);
            }
            bytes += source.size;
        }
        if from < self.sources.len() {
            groups.push(&self.sources[from..]);
        }
        groups
    }

    fn write(
        &self,
        group: &[Source],
        newest: &Newest,
        clean_to: i64,
        transactions: &mut Transactions,
    ) -> io::Result<Replacement> {
        let base_offset = group.first().map_or(0, |source| source.base_offset);
        let cleaned = self.dir.join(name_of_base(base_offset)).with_extension(CLEANED);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&cleaned)?;
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        let upper = self.sources.last().map_or(0, |source| source.next_offset);
        let mut scratch = Vec::new();
        for source in group {
            each_batch(source, |batch| {
                let is_last = batch.next_offset() == upper;
                let rules = Rules { round: self, newest, clean_to, is_last };
                if let Some(bytes) = rules.kept(batch, transactions, &mut scratch)? {
                    out.write_all(&bytes)?;
                }
                Ok(true)
            })?;
        }
        let file = out.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        file.sync_all()?;
        let swap = cleaned.with_extension(SWAP);
        fs::rename(&cleaned, &swap)?;
        let replaces = group.iter().map(|source| source.base_offset).collect();
        Ok(Replacement { base_offset, replaces, swap })
    }
}

/// The newest offset of each key.
type Newest = HashMap<Box<[u8]>, i64>;

/// What decides about one batch.
struct Rules<'a> {
    round: &'a Round,
    newest: &'a Newest,
    clean_to: i64,
    /// The last batch of all: it stays, if need be without records, so that the end of what was compacted is known.
    is_last: bool,
}

impl Rules<'_> {
    /// The batch with what stays of it; `None` if nothing does.
    fn kept(
        &self,
        batch: &BatchView<'_>,
        transactions: &mut Transactions,
        scratch: &mut Vec<u8>,
    ) -> io::Result<Option<Vec<u8>>> {
        let (now_ms, horizon) = (self.round.now_ms, batch.delete_horizon_ms());
        let over = horizon.is_some_and(|horizon| horizon <= now_ms);
        let must_stay = self.is_last || self.is_last_of_producer(batch);
        if batch.is_control() {
            let empty = transactions.marker(batch);
            return Ok(match (empty, horizon) {
                (true, _) if over && !must_stay => None,
                (true, None) => Some(rebuilt(batch, scratch, self.new_horizon(), |_| true)?),
                _ => Some(batch.as_bytes().to_vec()),
            });
        }
        if transactions.data(batch) {
            return if must_stay { rebuilt(batch, scratch, None, |_| false).map(Some) } else { Ok(None) };
        }
        let stays = |record: &RecordView<'_>| {
            if record.offset >= self.clean_to {
                return true;
            }
            let Some(key) = record.key else { return false };
            let is_newest = self.newest.get(key).is_none_or(|newest| record.offset >= *newest);
            is_newest && (record.value.is_some() || !over)
        };
        let (mut all, mut kept, mut tombstones) = (0, 0, false);
        for record in records(batch, scratch)? {
            let record = record.map_err(io::Error::other)?;
            all += 1;
            if stays(&record) {
                kept += 1;
                tombstones |= record.value.is_none();
            }
        }
        // Tombstones go so long after they were first seen here.
        let sets_horizon = tombstones && horizon.is_none() && batch.last_offset() < self.clean_to;
        if kept == all && !sets_horizon {
            return Ok(Some(batch.as_bytes().to_vec()));
        }
        if kept == 0 && !must_stay {
            return Ok(None);
        }
        let horizon = if sets_horizon { self.new_horizon() } else { horizon };
        rebuilt(batch, scratch, horizon, stays).map(Some)
    }

    fn new_horizon(&self) -> Option<i64> {
        Some(self.round.now_ms.saturating_add(self.round.keep_tombstones_ms))
    }

    /// What tells the sequence or the epoch that a producer is at.
    fn is_last_of_producer(&self, batch: &BatchView<'_>) -> bool {
        let Some(stamp) = batch.producer() else { return false };
        self.round.last_of_producers.get(&stamp.id).is_some_and(|last| match last.data_offset {
            Some(offset) => batch.last_offset() == offset,
            None => batch.is_control() && stamp.epoch == last.epoch,
        })
    }
}

/// The batch again, with the records that `stays` accepts.
fn rebuilt(
    batch: &BatchView<'_>,
    scratch: &mut Vec<u8>,
    horizon: Option<i64>,
    stays: impl Fn(&RecordView<'_>) -> bool,
) -> io::Result<Vec<u8>> {
    let stamp = batch.producer().unwrap_or(ProducerStamp { id: -1, epoch: -1, base_sequence: -1 });
    let codec = batch.compression().map_err(io::Error::other)?;
    let mut builder = BatchBuilder::new(codec).base_offset(batch.base_offset()).producer(stamp);
    if batch.is_transactional() {
        builder = builder.transactional();
    }
    if batch.is_control() {
        builder = builder.control();
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        builder = builder.log_append_time(batch.max_timestamp_ms());
    }
    if let Some(horizon) = horizon.or(batch.delete_horizon_ms()) {
        builder = builder.delete_horizon(horizon);
    }
    for record in records(batch, scratch)? {
        let record = record.map_err(io::Error::other)?;
        if stays(&record) {
            let delta = i32::try_from(record.offset - batch.base_offset()).map_err(io::Error::other)?;
            let headers: Vec<Header<'_>> = record.headers().collect();
            builder.append_at(delta, record.timestamp_ms, record.key, record.value, &headers);
        }
    }
    builder.ends_at(batch.last_offset_delta(), batch.max_timestamp_ms());
    builder.finish().map_err(io::Error::other)
}

fn records<'s>(
    batch: &BatchView<'s>,
    scratch: &'s mut Vec<u8>,
) -> io::Result<klamm_wire::batch::Records<'s>> {
    batch.records(scratch, MAX_DECOMPRESSED_BYTES).map_err(io::Error::other)
}

/// Gives each batch to `visit` until it answers `false`; whether it never did.
fn each_batch(
    source: &Source,
    mut visit: impl FnMut(&BatchView<'_>) -> io::Result<bool>,
) -> io::Result<bool> {
    let (mut position, mut header, mut bytes) = (0, [0; HEADER_BYTES], Vec::new());
    while position < source.size {
        source.file.read_exact_at(&mut header, position)?;
        let (_, size) = BatchView::parse_header(&header).map_err(io::Error::other)?;
        bytes.resize(size, 0);
        source.file.read_exact_at(&mut bytes, position)?;
        let batch = BatchView::parse_single(&bytes).map_err(io::Error::other)?;
        if !visit(&batch)? {
            return Ok(false);
        }
        position += size as u64;
    }
    Ok(true)
}

/// Which transactions the batches belong to, as they are read from the start.
struct Transactions {
    /// By first offset, the last one first.
    aborted: Vec<Aborted>,
    /// Producers in an aborted transaction, and whether a batch of it was seen.
    aborting: HashMap<i64, bool>,
    committing: HashSet<i64>,
}

impl Transactions {
    fn new(aborted: &[Aborted]) -> Self {
        let mut aborted = aborted.to_vec();
        aborted.sort_unstable_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self { aborted, aborting: HashMap::new(), committing: HashSet::new() }
    }

    fn reach(&mut self, offset: i64) {
        while let Some(aborted) = self.aborted.pop_if(|aborted| aborted.first_offset <= offset) {
            self.aborting.entry(aborted.producer_id).or_insert(false);
        }
    }

    /// Whether the records of this batch were aborted.
    fn data(&mut self, batch: &BatchView<'_>) -> bool {
        self.reach(batch.last_offset());
        let Some(stamp) = batch.producer().filter(|_| batch.is_transactional()) else { return false };
        if let Some(seen) = self.aborting.get_mut(&stamp.id) {
            *seen = true;
            return true;
        }
        self.committing.insert(stamp.id);
        false
    }

    /// Whether nothing is left of the transaction that this marker ends.
    fn marker(&mut self, batch: &BatchView<'_>) -> bool {
        self.reach(batch.last_offset());
        let Some(marker) = Marker::decode(batch) else { return false };
        match marker.outcome {
            Outcome::Abort => !self.aborting.remove(&marker.producer_id).unwrap_or(false),
            Outcome::Commit => !self.committing.remove(&marker.producer_id),
        }
    }
}

/// Finishes what a crash interrupted: files that were being written go, files that were ready take their place.
pub(super) fn recover(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let has = |path: &&PathBuf, extension: &str| path.extension().is_some_and(|found| found == extension);
    for path in paths.iter().filter(|path| has(path, CLEANED)) {
        fs::remove_file(path)?;
    }
    for swap in paths.iter().filter(|path| has(path, SWAP)) {
        let log = swap.with_extension("log");
        let base =
            |path: &Path| path.file_name().and_then(|name| super::segment::base_of_name(name.to_str()?));
        let Some(from) = base(&log) else { continue };
        let to = end_of(swap)?;
        for old in paths.iter().filter(|path| has(path, "log")) {
            if base(old).is_some_and(|base| base > from && base < to) {
                fs::remove_file(old)?;
            }
        }
        fs::rename(swap, &log)?;
    }
    Ok(())
}

/// Where the batches of a file end.
fn end_of(path: &Path) -> io::Result<i64> {
    let file = Arc::new(File::open(path)?);
    let size = file.metadata()?.len();
    let source = Source { base_offset: 0, next_offset: 0, file, size };
    let mut end = 0;
    each_batch(&source, |batch| {
        end = batch.next_offset();
        Ok(true)
    })?;
    Ok(end)
}
