//! What can be wrong with the bytes of a batch.

use super::Compression;

/// Bytes that are not a sound record batch, or more than the caller's limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    kind: BatchErrorKind,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchErrorKind {
    /// The batch needs more bytes than there are.
    Truncated {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A message format other than 2.
    Magic {
        /// The magic byte.
        found: i8,
    },
    /// `batchLength` is smaller than a header.
    Length {
        /// The length as read.
        found: i32,
    },
    /// A produce request must hold exactly one batch for a partition.
    NotOneBatch {
        /// Bytes after the first batch.
        trailing_bytes: usize,
    },
    /// The checksum does not fit the bytes.
    Crc {
        /// As stored.
        stored: u32,
        /// Over the bytes that are there.
        computed: u32,
    },
    /// A compression codec that does not exist.
    Codec {
        /// The codec bits.
        id: u8,
    },
    /// The codec refused the bytes.
    Decompress {
        /// The codec.
        codec: Compression,
        /// What it said.
        message: String,
    },
    /// The codec could not compress.
    Compress {
        /// The codec.
        codec: Compression,
        /// What it said.
        message: String,
    },
    /// The records, decompressed, exceed the caller's limit.
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The record count is negative, or is not the number of records.
    Count {
        /// The count as read.
        found: i32,
    },
    /// A record's lengths contradict each other or its varints are not ones.
    Record {
        /// Index of the record in the batch.
        index: i32,
        /// What about it.
        what: &'static str,
    },
}

impl BatchError {
    /// What was wrong.
    pub fn kind(&self) -> &BatchErrorKind {
        &self.kind
    }
}

impl From<BatchErrorKind> for BatchError {
    fn from(kind: BatchErrorKind) -> Self {
        Self { kind }
    }
}

impl std::error::Error for BatchError {}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            BatchErrorKind::Truncated { needed, available } => {
                write!(f, "record batch is cut off: {available} of {needed} bytes")
            }
            BatchErrorKind::Magic { found } => write!(f, "record batch has message format {found}, not 2"),
            BatchErrorKind::Length { found } => write!(f, "record batch has impossible length {found}"),
            BatchErrorKind::NotOneBatch { trailing_bytes } => {
                write!(f, "exactly one record batch expected, {trailing_bytes} bytes follow it")
            }
            BatchErrorKind::Crc { stored, computed } => {
                write!(f, "record batch is corrupt: stored CRC {stored:08x}, computed {computed:08x}")
            }
            BatchErrorKind::Codec { id } => write!(f, "unknown compression codec {id}"),
            BatchErrorKind::Decompress { codec, message } => {
                write!(f, "{codec} records do not decompress: {message}")
            }
            BatchErrorKind::Compress { codec, message } => {
                write!(f, "records do not compress with {codec}: {message}")
            }
            BatchErrorKind::TooLarge { limit_bytes } => {
                write!(f, "records exceed {limit_bytes} bytes when decompressed")
            }
            BatchErrorKind::Count { found } => {
                write!(f, "record batch says it has {found} records, which it has not")
            }
            BatchErrorKind::Record { index, what } => {
                write!(f, "record {index} of the batch is malformed: {what}")
            }
        }
    }
}
