//! Records back to back in one buffer: what goes out and what comes in.

use klamm_wire::batch::{self, Header, put_header};

/// Records encoded one after another in one allocation, with an index of where each begins.
///
/// A record is its key, its value and its headers, these in Kafka's own form. Lengths sit in the index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    /// `None` is null.
    key_len: Option<usize>,
    value_len: Option<usize>,
    headers_len: usize,
    header_count: usize,
    offset: i64,
    timestamp_ms: Option<i64>,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Offset in its partition; the index in the set for records that are not sent yet.
    pub offset: i64,
    /// Milliseconds since the epoch: the producer's clock, or the broker's for `message.timestamp.type=LogAppendTime`.
    pub timestamp_ms: Option<i64>,
    /// Key; `None` is Kafka's null, which differs from an empty key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is Kafka's null, the tombstone of a compacted topic.
    pub value: Option<&'a [u8]>,
    header_count: usize,
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Headers in the order in which they were written; names may repeat.
    pub fn headers(&self) -> Headers<'a> {
        Headers { headers: batch::Headers::of(self.header_count, self.header_bytes) }
    }
}

impl<'a> From<batch::RecordView<'a>> for RecordView<'a> {
    fn from(record: batch::RecordView<'a>) -> RecordView<'a> {
        let batch::RecordView { offset, timestamp_ms, key, value, .. } = record;
        let timestamp_ms = Some(timestamp_ms).filter(|ms| *ms >= 0);
        let (header_count, header_bytes) = (record.header_count(), record.header_bytes());
        RecordView { offset, timestamp_ms, key, value, header_count, header_bytes }
    }
}

/// One header, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// Name.
    pub name: &'a str,
    /// Value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}

/// Iterates over the headers of a record.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    headers: batch::Headers<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        let Header { key, value } = self.headers.next()?;
        // Names were checked when the record came in.
        Some(HeaderView { name: str::from_utf8(key).ok()?, value })
    }
}

impl Packed {
    /// Starts a record; its headers follow by `header` until the next record starts.
    pub(crate) fn push(
        &mut self,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.entries.push(Entry {
            start,
            key_len: key.map(<[u8]>::len),
            value_len: value.map(<[u8]>::len),
            headers_len: 0,
            header_count: 0,
            offset,
            timestamp_ms,
        });
    }

    /// Adds a header to the last record.
    pub(crate) fn header(&mut self, name: &str, value: Option<&[u8]>) {
        let before = self.bytes.len();
        put_header(&mut self.bytes, &Header { key: name.as_bytes(), value });
        if let Some(entry) = self.entries.last_mut() {
            entry.headers_len += self.bytes.len() - before;
            entry.header_count += 1;
        }
    }

    /// Takes the last record away again.
    pub(crate) fn pop(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.bytes.truncate(entry.start);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Memory that the records take, the index included.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(crate) fn get(&self, index: usize) -> Option<RecordView<'_>> {
        self.entries.get(index).map(|entry| self.view(entry))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = RecordView<'_>> + DoubleEndedIterator {
        self.entries.iter().map(|entry| self.view(entry))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    fn view(&self, entry: &Entry) -> RecordView<'_> {
        let field = |start: usize, len: Option<usize>| len.map(|len| &self.bytes[start..start + len]);
        let value_start = entry.start + entry.key_len.unwrap_or(0);
        let headers_start = value_start + entry.value_len.unwrap_or(0);
        RecordView {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: field(entry.start, entry.key_len),
            value: field(value_start, entry.value_len),
            header_count: entry.header_count,
            header_bytes: &self.bytes[headers_start..headers_start + entry.headers_len],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    proptest! {
        #[test]
        fn what_is_packed_is_viewed(records in prop::collection::vec(any::<Fields>(), 0..8)) {
            let mut packed = Packed::default();
            for (index, (key, value, headers)) in records.iter().enumerate() {
                packed.push(index as i64, Some(7), key.as_deref(), value.as_deref());
                headers.iter().for_each(|(name, value)| packed.header(name, value.as_deref()));
            }
            prop_assert_eq!(packed.len(), records.len());
            for (view, (key, value, headers)) in packed.iter().zip(&records) {
                prop_assert_eq!(view.key, key.as_deref());
                prop_assert_eq!(view.value, value.as_deref());
                let ours: Vec<_> =
                    view.headers().map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec))).collect();
                prop_assert_eq!(&ours, headers);
            }
        }
    }

    #[test]
    fn a_record_that_is_taken_away_leaves_the_others() {
        let mut packed = Packed::default();
        packed.push(0, None, Some(b"a"), None);
        packed.push(1, None, Some(b"b"), Some(b"c"));
        packed.header("h", Some(b"x"));
        packed.pop();
        packed.push(2, None, None, Some(b""));
        let views: Vec<_> = packed.iter().map(|view| (view.key, view.value)).collect();
        assert_eq!(views, [(Some(&b"a"[..]), None), (None, Some(&b""[..]))]);
    }
}
