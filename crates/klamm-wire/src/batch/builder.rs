//! Building a batch: records are encoded in place as they come, the header is filled in at the end.

use super::{
    BatchError, BatchErrorKind, Compression, HEADER_BYTES, Header, LENGTH_PREFIX_BYTES, NO_PRODUCER,
    ProducerStamp, at, bit, codec, put_header, varint,
};

/// Collects records into one batch.
///
/// ```
/// use klamm_wire::batch::{BatchBuilder, BatchView, Compression};
///
/// let mut builder = BatchBuilder::new(Compression::Lz4);
/// builder.append(1_700_000_000_000, Some(b"order-7"), Some(b"placed"), &[]);
/// let bytes = builder.finish().unwrap();
///
/// let (batch, mut scratch) = (BatchView::parse_single(&bytes).unwrap(), Vec::new());
/// let record = batch.records(&mut scratch, 1024).unwrap().next().unwrap().unwrap();
/// assert_eq!(record.key, Some(b"order-7".as_slice()));
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    attributes: i16,
    producer: ProducerStamp,
    base_offset: i64,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    last_offset_delta: i32,
    count: i32,
    /// The header's place, then the records, not yet compressed.
    buffer: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch that [`BatchBuilder::finish`] will compress with `compression`.
    pub fn new(compression: Compression) -> Self {
        Self::with_buffer(compression, Vec::new())
    }

    /// The same in memory of an earlier batch: what `buffer` holds is dropped, its capacity is used.
    pub fn with_buffer(compression: Compression, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        Self {
            compression,
            attributes: i16::from(compression.id()),
            producer: ProducerStamp { id: NO_PRODUCER, epoch: -1, base_sequence: -1 },
            base_offset: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: NO_PRODUCER,
            last_offset_delta: -1,
            count: 0,
            buffer,
        }
    }

    /// Sets the stamp of an idempotent producer.
    pub fn producer(mut self, stamp: ProducerStamp) -> Self {
        self.producer = stamp;
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.attributes |= bit::TRANSACTIONAL;
        self
    }

    /// Marks the batch as one that holds a transaction marker.
    pub fn control(mut self) -> Self {
        self.attributes |= bit::CONTROL;
        self
    }

    /// Makes this time that of all records, set by the broker.
    pub fn log_append_time(mut self, timestamp_ms: i64) -> Self {
        self.attributes |= bit::LOG_APPEND_TIME;
        self.max_timestamp_ms = timestamp_ms;
        self
    }

    /// Notes when compaction may drop the tombstones of this batch (KIP-534). It takes the place of the base timestamp, so it
    /// comes before the first record.
    pub fn delete_horizon(mut self, horizon_ms: i64) -> Self {
        self.attributes |= bit::DELETE_HORIZON;
        self.base_timestamp_ms = horizon_ms;
        self
    }

    /// Sets the base offset, which a produce request leaves at 0.
    pub fn base_offset(mut self, offset: i64) -> Self {
        self.base_offset = offset;
        self
    }

    /// Appends a record at the next offset.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        self.append_at(self.last_offset_delta + 1, timestamp_ms, key, value, headers);
    }

    /// Appends a record at `offset_delta`, which may leave a gap after the last one, as compaction does.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        self.append_fields(offset_delta, timestamp_ms, key, value, headers.iter().copied());
    }

    /// Appends a record at the next offset, with headers that need not stand in a slice.
    pub fn append_with<'h>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>> + Clone,
    ) {
        self.append_fields(self.last_offset_delta + 1, timestamp_ms, key, value, headers);
    }

    fn append_fields<'h>(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>> + Clone,
    ) {
        let set_by_broker = self.attributes & bit::LOG_APPEND_TIME != 0;
        if self.count == 0 {
            if self.attributes & bit::DELETE_HORIZON == 0 {
                self.base_timestamp_ms = timestamp_ms;
            }
            if !set_by_broker {
                self.max_timestamp_ms = timestamp_ms;
            }
        }
        let timestamp_delta = timestamp_ms.wrapping_sub(self.base_timestamp_ms);
        let (header_count, header_bytes) = headers_size(headers.clone());
        let fixed = body_size(offset_delta, timestamp_delta, key, value, header_count);
        let body = fixed + header_bytes;
        varint::put(&mut self.buffer, body as i64);
        self.buffer.push(0); // attributes, unused
        varint::put(&mut self.buffer, timestamp_delta);
        varint::put(&mut self.buffer, i64::from(offset_delta));
        put_bytes(&mut self.buffer, key);
        put_bytes(&mut self.buffer, value);
        varint::put(&mut self.buffer, header_count as i64);
        headers.for_each(|header| put_header(&mut self.buffer, &header));
        if !set_by_broker {
            self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        }
        self.last_offset_delta = self.last_offset_delta.max(offset_delta);
        self.count += 1;
    }

    /// Lets the batch end at `offset_delta`, though the last records are gone: compaction keeps where a batch ended. One that has no
    /// record left keeps the time of its newest.
    pub fn ends_at(&mut self, offset_delta: i32, max_timestamp_ms: i64) {
        self.last_offset_delta = self.last_offset_delta.max(offset_delta);
        if self.count == 0 {
            self.max_timestamp_ms = max_timestamp_ms;
        }
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    pub fn size_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that a record would add at most, before compression.
    pub fn record_bound(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
        Self::record_bound_with(key, value, headers.iter().copied())
    }

    /// The same, with headers that need not stand in a slice.
    pub fn record_bound_with<'h>(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> usize {
        let (header_count, header_bytes) = headers_size(headers);
        body_size(i32::MAX, i64::MIN, key, value, header_count) + header_bytes + 5
    }

    /// Compresses, fills in the header and gives the batch.
    ///
    /// # Errors
    /// `Compress` if the codec fails, `TooLarge` if the batch exceeds what its length field can say.
    pub fn finish(self) -> Result<Vec<u8>, BatchError> {
        let mut batch = self.finish_unstamped(Vec::new())?.batch;
        let crc = crc32c::crc32c(&batch[at::ATTRIBUTES..]);
        batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Ok(batch)
    }

    /// The same without the CRC, for a batch whose producer is not known yet: [`super::BatchMut::set_producer`] stamps it and computes
    /// the CRC then. A codec writes into `output`, whose capacity is used.
    ///
    /// # Errors
    /// As [`BatchBuilder::finish`].
    pub fn finish_unstamped(self, mut output: Vec<u8>) -> Result<Unstamped, BatchError> {
        output.clear();
        let (mut batch, spare) = match self.compression {
            Compression::None => (self.buffer, output),
            codec => {
                output.reserve(HEADER_BYTES + self.buffer.len() / 2);
                output.resize(HEADER_BYTES, 0);
                codec::compress(codec, &self.buffer[HEADER_BYTES..], &mut output)?;
                (output, self.buffer)
            }
        };
        let length = i32::try_from(batch.len() - LENGTH_PREFIX_BYTES)
            .map_err(|_| BatchErrorKind::TooLarge { limit_bytes: i32::MAX as usize })?;

        let mut put = |start: usize, field: &[u8]| batch[start..start + field.len()].copy_from_slice(field);
        put(at::BASE_OFFSET, &self.base_offset.to_be_bytes());
        put(at::LENGTH, &length.to_be_bytes());
        put(at::LEADER_EPOCH, &(-1_i32).to_be_bytes());
        put(at::MAGIC, &[2]);
        put(at::CRC, &[0; 4]);
        put(at::ATTRIBUTES, &self.attributes.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &self.last_offset_delta.max(0).to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp_ms.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp_ms.to_be_bytes());
        put(at::PRODUCER_ID, &self.producer.id.to_be_bytes());
        put(at::PRODUCER_EPOCH, &self.producer.epoch.to_be_bytes());
        put(at::BASE_SEQUENCE, &self.producer.base_sequence.to_be_bytes());
        put(at::COUNT, &self.count.to_be_bytes());
        Ok(Unstamped { batch, spare })
    }
}

/// What [`BatchBuilder::finish_unstamped`] gives.
#[derive(Debug)]
pub struct Unstamped {
    /// The batch, complete but for its CRC.
    pub batch: Vec<u8>,
    /// Memory that is left over, for the next batch.
    pub spare: Vec<u8>,
}

/// Bytes of a record after its length and before its headers' fields.
fn body_size(
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    header_count: usize,
) -> usize {
    1 + varint::size(timestamp_delta)
        + varint::size(i64::from(offset_delta))
        + field_size(key)
        + field_size(value)
        + varint::size(header_count as i64)
}

fn headers_size<'h>(headers: impl Iterator<Item = Header<'h>>) -> (usize, usize) {
    headers
        .fold((0, 0), |(count, bytes), h| (count + 1, bytes + field_size(Some(h.key)) + field_size(h.value)))
}

fn field_size(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varint::size(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

fn put_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::put(buffer, bytes.len() as i64);
            buffer.extend_from_slice(bytes);
        }
        None => varint::put(buffer, -1),
    }
}
