//! Record batches (magic 2, KIP-98): views over bytes as they travel, and a builder for what is produced.
//!
//! The unit that moves is the batch. [`BatchView`] reads the header in place and checks the CRC; records are
//! borrowed from the batch, or from a scratch buffer of the caller if the batch is compressed. Nothing here trusts a
//! length: malformed bytes give a [`BatchError`], never a panic, and decompression stops at the caller's limit.

mod aborted;
mod builder;
mod codec;
mod error;
mod patch;
mod record;
mod varint;

pub use aborted::{AbortedTransaction, AbortedTransactions};
pub use builder::{BatchBuilder, Unstamped};
pub use codec::Compression;
pub use error::{BatchError, BatchErrorKind};
pub use patch::BatchMut;
pub use record::{Header, Headers, RecordBase, RecordView, Records, put_header};

/// Bytes before the first record: the fixed header of a batch.
pub const HEADER_BYTES: usize = 61;

/// Bytes that `batchLength` does not count: base offset and the length itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;

/// What a producer id, epoch or sequence is when the producer is not idempotent.
pub const NO_PRODUCER: i64 = -1;

/// Where each header field starts.
mod at {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const COUNT: usize = 57;
}

/// Bits of the attributes field.
mod bit {
    pub const CODEC: i16 = 0x07;
    pub const LOG_APPEND_TIME: i16 = 0x08;
    pub const TRANSACTIONAL: i16 = 0x10;
    pub const CONTROL: i16 = 0x20;
    pub const DELETE_HORIZON: i16 = 0x40;
}

/// Who set a batch's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, one for the whole batch, at append.
    LogAppendTime,
}

/// The stamp of an idempotent producer on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The id that `InitProducerId` gave.
    pub id: i64,
    /// The epoch that fences older owners of the id.
    pub epoch: i16,
    /// The sequence of the batch's first record, counted per partition.
    pub base_sequence: i32,
}

/// One record batch, read in place.
///
/// [`BatchView::parse`] has checked the magic and that the bytes are all there; it has not checked the CRC.
#[derive(Clone, Copy)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Reads the batch at the start of `bytes`; more batches may follow it.
    ///
    /// # Errors
    /// `Truncated` if the batch goes on beyond `bytes`, `Magic` for the formats before Kafka 0.11, `Length` if the
    /// length cannot be one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let total = batch_len(bytes)?;
        match bytes.get(..total) {
            Some(bytes) => Ok(Self { bytes }),
            None => Err(BatchErrorKind::Truncated { needed: total, available: bytes.len() }.into()),
        }
    }

    /// Reads `bytes` as exactly one batch: what a produce request holds for a partition.
    ///
    /// # Errors
    /// As [`BatchView::parse`], and `NotOneBatch` if anything follows. A broker answers that with
    /// `INVALID_RECORD` (87).
    pub fn parse_single(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let view = Self::parse(bytes)?;
        match bytes.len() - view.bytes.len() {
            0 => Ok(view),
            trailing_bytes => Err(BatchErrorKind::NotOneBatch { trailing_bytes }.into()),
        }
    }

    /// Reads only the header at the start of `bytes`, and gives the size of the whole batch with it. The view has
    /// no records and cannot check the CRC; it is for walking a log without reading all of it.
    ///
    /// # Errors
    /// As [`BatchView::parse`], if the header itself is not there.
    pub fn parse_header(bytes: &'a [u8]) -> Result<(Self, usize), BatchError> {
        let total = batch_len(bytes)?;
        match bytes.get(..HEADER_BYTES) {
            Some(header) => Ok((Self { bytes: header }, total)),
            None => Err(BatchErrorKind::Truncated { needed: HEADER_BYTES, available: bytes.len() }.into()),
        }
    }

    /// The whole batch, header included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the whole batch, header included.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record (of the first that was written, if compaction removed some).
    pub fn base_offset(&self) -> i64 {
        self.i64_at(at::BASE_OFFSET)
    }

    /// Offset of the last record that was written. Wraps on malformed input.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
    }

    /// The offset after this batch: where a reader goes on.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// Epoch of the leader that appended the batch.
    pub fn partition_leader_epoch(&self) -> i32 {
        self.i32_at(at::LEADER_EPOCH)
    }

    /// CRC32C as stored.
    pub fn crc(&self) -> u32 {
        self.i32_at(at::CRC).cast_unsigned()
    }

    /// Last offset minus base offset.
    pub fn last_offset_delta(&self) -> i32 {
        self.i32_at(at::LAST_OFFSET_DELTA)
    }

    /// Timestamp of the first record.
    pub fn base_timestamp_ms(&self) -> i64 {
        self.i64_at(at::BASE_TIMESTAMP)
    }

    /// The largest timestamp; with [`TimestampType::LogAppendTime`] that of all records.
    pub fn max_timestamp_ms(&self) -> i64 {
        self.i64_at(at::MAX_TIMESTAMP)
    }

    /// The producer's stamp, if the producer was idempotent.
    pub fn producer(&self) -> Option<ProducerStamp> {
        let id = self.i64_at(at::PRODUCER_ID);
        (id > NO_PRODUCER).then(|| ProducerStamp {
            id,
            epoch: self.i16_at(at::PRODUCER_EPOCH),
            base_sequence: self.i32_at(at::BASE_SEQUENCE),
        })
    }

    /// Records in the batch as its header says. Negative in malformed input.
    pub fn record_count(&self) -> i32 {
        self.i32_at(at::COUNT)
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// `Codec` if the bits name none that exists.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        // The mask leaves three bits.
        let id = (self.attributes() & bit::CODEC) as u8;
        Compression::from_id(id).ok_or_else(|| BatchErrorKind::Codec { id }.into())
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes() & bit::LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & bit::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a transaction marker and no data.
    pub fn is_control(&self) -> bool {
        self.attributes() & bit::CONTROL != 0
    }

    /// Whether the base timestamp is the delete horizon that compaction wrote (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes() & bit::DELETE_HORIZON != 0
    }

    /// From when on compaction may drop the tombstones of this batch (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.has_delete_horizon().then(|| self.base_timestamp_ms())
    }

    /// Compares the stored CRC32C with that of the bytes it covers: all from the attributes on.
    ///
    /// # Errors
    /// `Crc` if they differ.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(&self.bytes[at::ATTRIBUTES..]);
        match self.crc() {
            stored if stored == computed => Ok(()),
            stored => Err(BatchErrorKind::Crc { stored, computed }.into()),
        }
    }

    /// The records as stored, possibly compressed.
    pub fn record_bytes(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Iterates over the records. A compressed batch is decompressed into `scratch` (cleared first, its capacity is
    /// reused), of which at most `limit_bytes` are written.
    ///
    /// # Errors
    /// `Decompress` if the codec refuses the bytes, `TooLarge` if more than `limit_bytes` would come out. The
    /// iterator itself gives an error and ends where a record is malformed.
    pub fn records<'s>(&self, scratch: &'s mut Vec<u8>, limit_bytes: usize) -> Result<Records<'s>, BatchError>
    where
        'a: 's,
    {
        let body = match self.compression()? {
            Compression::None => self.record_bytes(),
            codec => {
                codec::decompress(codec, self.record_bytes(), scratch, limit_bytes)?;
                scratch.as_slice()
            }
        };
        Records::new(self, body)
    }

    /// What its records count from.
    pub fn record_base(&self) -> RecordBase {
        RecordBase::of(self)
    }

    pub(crate) fn attributes(&self) -> i16 {
        self.i16_at(at::ATTRIBUTES)
    }

    fn i16_at(&self, start: usize) -> i16 {
        i16::from_be_bytes(array_at(self.bytes, start))
    }

    fn i32_at(&self, start: usize) -> i32 {
        i32::from_be_bytes(array_at(self.bytes, start))
    }

    fn i64_at(&self, start: usize) -> i64 {
        i64::from_be_bytes(array_at(self.bytes, start))
    }
}

impl std::fmt::Debug for BatchView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchView")
            .field("base_offset", &self.base_offset())
            .field("last_offset", &self.last_offset())
            .field("record_count", &self.record_count())
            .field("size_bytes", &self.size_bytes())
            .field("producer", &self.producer())
            .finish_non_exhaustive()
    }
}

/// The batches in `bytes`, one after another. Ends cleanly before a batch that is cut off at the end, as a fetch
/// response may be (the broker cuts at a byte limit). After an error it ends.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// Iterator of [`batches`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// What has not been read: after the end, the batch that is cut off, or nothing.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match BatchView::parse(self.rest) {
            Ok(view) => {
                self.rest = &self.rest[view.size_bytes()..];
                Some(Ok(view))
            }
            Err(error) if matches!(error.kind(), BatchErrorKind::Truncated { .. }) => None,
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// Bytes of the batch at the start of `bytes`, of which only the beginning need be there.
///
/// # Errors
/// `Truncated` if not even the magic byte is there; else as [`BatchView::parse`].
pub fn batch_len(bytes: &[u8]) -> Result<usize, BatchError> {
    if bytes.len() <= at::MAGIC {
        return Err(BatchErrorKind::Truncated { needed: HEADER_BYTES, available: bytes.len() }.into());
    }
    let magic = bytes[at::MAGIC].cast_signed();
    if magic != 2 {
        return Err(BatchErrorKind::Magic { found: magic }.into());
    }
    let length = i32::from_be_bytes(array_at(bytes, at::LENGTH));
    match usize::try_from(length) {
        Ok(length) if length >= HEADER_BYTES - LENGTH_PREFIX_BYTES => Ok(length + LENGTH_PREFIX_BYTES),
        _ => Err(BatchErrorKind::Length { found: length }.into()),
    }
}

/// The `N` bytes from `start`. Callers have checked that the header is there.
fn array_at<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[start..start + N]);
    array
}

#[cfg(test)]
mod tests;
