//! An append-only file of checksummed entries: what topics exist, what groups have committed.
//!
//! The file starts with [`MAGIC`] and a format version. Each entry is `length u32, crc32c u32, JSON`. An entry that
//! was being written when the process died fails its checksum and is cut off at the next open; it was not acknowledged.
//! When the file has grown well beyond what it says, its owner gives a snapshot that replaces it by rename.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::Disk;
use crate::error::{BrokerError, BrokerErrorKind};

const MAGIC: &[u8; 6] = b"KLAMMJ";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 8;
const ENTRY_PREFIX_BYTES: usize = 8;
/// A journal below this size is never rewritten.
const SMALLEST_REWRITE_BYTES: u64 = 1024 * 1024;

/// Whether an entry is on the disk, or only with the operating system, when [`Journal::append`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Survives the death of the process.
    PageCache,
    /// Survives power loss.
    Disk,
}

/// A journal that is open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    /// Size after the last rewrite: growth beyond a multiple of it asks for the next one.
    rewritten_size: u64,
    durability: Durability,
    disk: Disk,
}

impl Journal {
    /// From now on writes fail while `disk` is full.
    pub fn attach(&mut self, disk: &Disk) {
        self.disk = disk.clone();
    }

    /// Opens or creates the journal at `path` and gives its entries to `replay`, in order.
    pub fn open<E: DeserializeOwned>(
        path: &Path,
        durability: Durability,
        mut replay: impl FnMut(E),
    ) -> Result<Self, BrokerError> {
        let failed = |error| BrokerError::io("opening", path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;

        let header = header();
        if (bytes.len() as u64) < HEADER_BYTES && header.starts_with(&bytes) {
            // New, or killed while it was created.
            file.write_all_at(&header, 0).map_err(failed)?;
            bytes = header.to_vec();
        }
        check_header(path, &bytes)?;

        let mut valid = HEADER_BYTES as usize;
        while let Some((entry, size)) = read_entry(&bytes[valid..]) {
            let entry = serde_json::from_slice(entry).map_err(|error| BrokerErrorKind::Corrupt {
                path: path.to_owned(),
                what: format!("entry at byte {valid}: {error}"),
            })?;
            replay(entry);
            valid += size;
        }
        let size = valid as u64;
        file.set_len(size).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            rewritten_size: size,
            durability,
            disk: Disk::default(),
        })
    }

    /// Appends an entry. When this fails the journal is as it was.
    pub fn append<E: Serialize>(&mut self, entry: &E) -> io::Result<()> {
        let bytes = encode(entry)?;
        let _writing = self.disk.begin()?;
        // Written at its place rather than at the end: what a failed write left there is overwritten.
        self.file.write_all_at(&bytes, self.size)?;
        if self.durability == Durability::Disk {
            self.file.sync_data()?;
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Whether the journal has outgrown what it says by far enough that a rewrite pays.
    pub fn wants_rewrite(&self) -> bool {
        self.size > SMALLEST_REWRITE_BYTES.max(self.rewritten_size.saturating_mul(4))
    }

    /// Replaces the journal by `entries`, which say the same in fewer words. A crash leaves the old or the new one.
    pub fn rewrite<E: Serialize>(&mut self, entries: impl Iterator<Item = E>) -> io::Result<()> {
        let temporary = self.path.with_extension("rewrite");
        let mut bytes = header().to_vec();
        for entry in entries {
            bytes.extend(encode(&entry)?);
        }
        let _writing = self.disk.begin()?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        std::fs::rename(&temporary, &self.path)?;
        sync_parent(&self.path)?;
        self.file = file;
        self.size = bytes.len() as u64;
        self.rewritten_size = self.size;
        Ok(())
    }

    /// Flushes to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Makes a rename or creation in the folder of `path` survive power loss.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn header() -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&VERSION.to_be_bytes());
    header
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<(), BrokerError> {
    let corrupt = |what: &str| BrokerErrorKind::Corrupt { path: path.to_owned(), what: what.to_owned() };
    let version = bytes.strip_prefix(MAGIC.as_slice()).ok_or_else(|| corrupt("it is not a journal"))?;
    let version = version.first_chunk().ok_or_else(|| corrupt("it has no version"))?;
    match u16::from_be_bytes(*version) {
        VERSION => Ok(()),
        other => Err(BrokerErrorKind::DataDirVersion {
            path: path.to_owned(),
            found: format!("journal format {other}, this version reads {VERSION}"),
        }
        .into()),
    }
}

fn encode<E: Serialize>(entry: &E) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; ENTRY_PREFIX_BYTES];
    serde_json::to_writer(&mut bytes, entry).map_err(io::Error::other)?;
    let payload = &bytes[ENTRY_PREFIX_BYTES..];
    let length = u32::try_from(payload.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "journal entry exceeds 4 GiB"))?;
    let crc = crc32c::crc32c(payload);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..ENTRY_PREFIX_BYTES].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes)
}

/// The entry at the start of `bytes` and its size; `None` at the end or where it is torn.
fn read_entry(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let payload = rest.get(..length)?;
    // A run of zeros, as a file system may leave after power loss, has length 0 and CRC 0: not an entry.
    let sound = length > 0 && crc32c::crc32c(payload) == u32::from_be_bytes(*crc);
    sound.then_some((payload, ENTRY_PREFIX_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Vec<String> {
        let mut entries = Vec::new();
        Journal::open(path, Durability::PageCache, |entry| entries.push(entry)).unwrap();
        entries
    }

    fn write(path: &Path, entries: &[&str]) -> Journal {
        let mut journal = Journal::open(path, Durability::Disk, |_: String| {}).unwrap();
        for entry in entries {
            journal.append(entry).unwrap();
        }
        journal
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_a_prefix_of_its_entries() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.journal");
        let all = ["one", "two", "three"];
        write(&path, &all);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let entries = read(&path);
            assert_eq!(entries, all[..entries.len()], "cut at {cut}");
            write(&path, &["after"]);
            assert_eq!(read(&path).last().map(String::as_str), Some("after"), "cut at {cut}");
        }
        assert_eq!(read(&path).len(), 4);
    }

    #[test]
    fn a_rewrite_replaces_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.journal");
        let mut journal = write(&path, &["one", "two"]);
        journal.rewrite(["both"].into_iter()).unwrap();
        journal.append(&"three").unwrap();
        assert_eq!(read(&path), ["both", "three"]);
    }

    #[test]
    fn a_journal_of_a_later_format_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.journal");
        std::fs::write(&path, b"KLAMMJ\x00\x09rest").unwrap();
        let error = Journal::open(&path, Durability::PageCache, |_: String| {}).unwrap_err();
        assert!(matches!(error.kind(), BrokerErrorKind::DataDirVersion { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"KLAMMJ\x00\x09rest");
    }
}
