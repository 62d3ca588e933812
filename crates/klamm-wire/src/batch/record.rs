//! Records of a batch, borrowed.

use super::{BatchError, BatchErrorKind, BatchView, TimestampType, varint};

/// One record, borrowed from its batch or from the scratch buffer it was decompressed into.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, set by whom [`BatchView::timestamp_type`] says.
    pub timestamp_ms: i64,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null: a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    header_count: i32,
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The headers, in order. They were checked when the record was read.
    pub fn headers(&self) -> Headers<'a> {
        Headers { left: self.header_count, rest: self.header_bytes }
    }

    /// The headers as [`put_header`] writes them.
    pub fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    /// Number of headers.
    pub fn header_count(&self) -> usize {
        usize::try_from(self.header_count).unwrap_or(0)
    }
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name: UTF-8 in sound records, not checked here.
    pub key: &'a [u8],
    /// The value; may be null.
    pub value: Option<&'a [u8]>,
}

/// Iterator over the headers of a record.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    left: i32,
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// `count` headers as [`put_header`] writes them one after another. Malformed bytes end them early.
    pub fn of(count: usize, bytes: &'a [u8]) -> Self {
        Headers { left: i32::try_from(count).unwrap_or(i32::MAX), rest: bytes }
    }
}

/// Appends a header in the form that it has in a record.
pub fn put_header(buffer: &mut Vec<u8>, header: &Header<'_>) {
    for field in [Some(header.key), header.value] {
        varint::put(buffer, field.map_or(-1, |bytes| bytes.len() as i64));
        buffer.extend_from_slice(field.unwrap_or_default());
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let key = take_bytes(&mut self.rest).flatten()?;
        let value = take_bytes(&mut self.rest)?;
        Some(Header { key, value })
    }
}

/// What the records of one batch count from: enough to read a single one of them later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordBase {
    base_offset: i64,
    base_timestamp_ms: i64,
    /// Set if the broker's timestamp stands for all records.
    append_time_ms: Option<i64>,
}

impl RecordBase {
    /// That of a batch.
    pub fn of(batch: &BatchView<'_>) -> Self {
        Self {
            base_offset: batch.base_offset(),
            base_timestamp_ms: batch.base_timestamp_ms(),
            append_time_ms: match batch.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(batch.max_timestamp_ms()),
            },
        }
    }

    /// The record that `bytes` begin with; `None` where none does. Its headers are not checked: read it with [`Records`] once
    /// before, and this as often as you like.
    pub fn record<'a>(&self, mut bytes: &'a [u8]) -> Option<RecordView<'a>> {
        self.read(&mut bytes).ok()
    }

    fn read<'a>(&self, bytes: &mut &'a [u8]) -> Result<RecordView<'a>, &'static str> {
        let length = varint::take_i32(bytes).ok_or("its length is not a varint")?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        if length > bytes.len() {
            return Err("it is longer than the batch");
        }
        let (mut record, rest) = bytes.split_at(length);
        *bytes = rest;

        // The attributes byte of a record is unused in magic 2.
        record = record.get(1..).ok_or("it is empty")?;
        let timestamp_delta = varint::take_i64(&mut record).ok_or("its timestamp is not a varint")?;
        let offset_delta = varint::take_i32(&mut record).ok_or("its offset is not a varint")?;
        let key = take_bytes(&mut record).ok_or("its key does not fit")?;
        let value = take_bytes(&mut record).ok_or("its value does not fit")?;
        let header_count = varint::take_i32(&mut record).ok_or("its header count is not a varint")?;
        Ok(RecordView {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp_ms: self
                .append_time_ms
                .unwrap_or_else(|| self.base_timestamp_ms.wrapping_add(timestamp_delta)),
            key,
            value,
            header_count,
            header_bytes: record,
        })
    }
}

/// Iterator over the records of a batch. After an error it ends.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    base: RecordBase,
    count: i32,
    index: i32,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(super) fn new(batch: &BatchView<'_>, body: &'a [u8]) -> Result<Self, BatchError> {
        let count = batch.record_count();
        // Each record has at least seven bytes: its length, attributes, two deltas, three lengths.
        if count < 0 || count as usize > body.len() / 7 {
            return Err(BatchErrorKind::Count { found: count }.into());
        }
        Ok(Self { base: RecordBase::of(batch), count, index: 0, rest: body })
    }

    /// Bytes of the batch that have not been read: what the next record begins with.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self) -> Result<RecordView<'a>, &'static str> {
        let record = self.base.read(&mut self.rest)?;
        check_headers(record.header_count, record.header_bytes)?;
        Ok(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(BatchErrorKind::Count { found: self.count }.into()));
        }
        let index = self.index;
        self.index += 1;
        Some(self.read().map_err(|what| {
            self.index = self.count;
            self.rest = &[];
            BatchErrorKind::Record { index, what }.into()
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.count - self.index).ok())
    }
}

/// Checks all headers once, so that [`Headers`] needs no error, and that nothing follows them.
fn check_headers(count: i32, mut rest: &[u8]) -> Result<(), &'static str> {
    if count < 0 {
        return Err("its header count is negative");
    }
    for _ in 0..count {
        take_bytes(&mut rest).flatten().ok_or("a header key does not fit")?;
        take_bytes(&mut rest).ok_or("a header value does not fit")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("it is longer than its parts") }
}

/// Takes a length-prefixed field: `Some(None)` is null (length -1), `None` is malformed.
fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::take_i32(bytes)?;
    if length == -1 {
        return Some(None);
    }
    let length = usize::try_from(length).ok()?;
    if length > bytes.len() {
        return None;
    }
    let (field, rest) = bytes.split_at(length);
    *bytes = rest;
    Some(Some(field))
}
