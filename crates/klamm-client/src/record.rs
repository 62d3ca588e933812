//! Records on their way out.

use std::sync::Arc;

use crate::RecordView;
use crate::packed::Packed;

/// More than the bookkeeping of a send costs beside the bytes of a record. It keeps the number of tiny records within the
/// memory bound.
const OVERHEAD_BYTES: usize = 256;

/// A record to send, borrowed from the caller.
///
/// ```
/// # use klamm_client::Record;
/// let record = Record::new("orders").key("4711").value(br#"{"state":"paid"}"#).header("source", "shop");
/// ```
#[derive(Debug, Clone)]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a str, Option<&'a [u8]>)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl<'a> Record<'a> {
    /// A record for `topic` with neither key nor value.
    pub fn new(topic: &'a str) -> Record<'a> {
        Record { topic, partition: None, key: None, value: None, headers: Vec::new(), timestamp_ms: None }
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        self.topic
    }

    /// Sets the key: records of one key go to one partition and keep their order.
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value; without it the record is a tombstone.
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        self.value = Some(value.as_ref());
        self
    }

    /// Adds a header; names may repeat.
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        self.headers.push((name, Some(value.as_ref())));
        self
    }

    /// Adds a header whose value is null.
    pub fn null_header(mut self, name: &'a str) -> Record<'a> {
        self.headers.push((name, None));
        self
    }

    /// Sets the partition, instead of the one that follows from the key.
    pub fn partition(mut self, partition: i32) -> Record<'a> {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp in milliseconds since the epoch, instead of the time of sending.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Record<'a> {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}

/// Records that are sent together, encoded back to back in one buffer. Reuse it with [`clear`](RecordSet::clear).
#[derive(Debug, Clone, Default)]
pub struct RecordSet {
    packed: Packed,
    places: Vec<Place>,
    /// Few and repeating: found by a search from the last one used.
    topics: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    topic: usize,
    partition: Option<i32>,
}

/// A record of a set, with where it goes.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) partition: Option<i32>,
    pub(crate) record: RecordView<'a>,
}

impl RecordSet {
    /// An empty set.
    pub fn new() -> RecordSet {
        RecordSet::default()
    }

    /// Copies `record` into the set.
    pub fn push(&mut self, record: &Record<'_>) {
        let topic = self.topic_index(record.topic);
        let index = i64::try_from(self.packed.len()).unwrap_or(i64::MAX);
        self.packed.push(index, record.timestamp_ms, record.key, record.value);
        for (name, value) in &record.headers {
            self.packed.header(name, *value);
        }
        self.places.push(Place { topic, partition: record.partition });
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    /// No records?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the set takes from a producer's buffer while it is on its way, in bytes.
    pub fn cost_bytes(&self) -> usize {
        self.packed.size_bytes() + self.len() * OVERHEAD_BYTES
    }

    /// Empties the set and keeps its memory.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.places.clear();
        self.topics.clear();
    }

    /// The topics that occur.
    pub fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Outgoing<'_>> {
        self.packed.iter().zip(&self.places).map(|(record, place)| Outgoing {
            topic: &self.topics[place.topic],
            partition: place.partition,
            record,
        })
    }

    fn topic_index(&mut self, topic: &str) -> usize {
        match self.topics.iter().rposition(|known| &**known == topic) {
            Some(index) => index,
            None => {
                self.topics.push(topic.into());
                self.topics.len() - 1
            }
        }
    }
}

impl<'a> From<&Record<'a>> for RecordSet {
    fn from(record: &Record<'a>) -> RecordSet {
        let mut set = RecordSet::new();
        set.push(record);
        set
    }
}

impl<'a> FromIterator<Record<'a>> for RecordSet {
    fn from_iter<I: IntoIterator<Item = Record<'a>>>(records: I) -> RecordSet {
        let mut set = RecordSet::new();
        records.into_iter().for_each(|record| set.push(&record));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_topic_partition_and_fields_of_each_record() {
        let set: RecordSet = [
            Record::new("a").key("k").value("v").header("h", "1").null_header("n").timestamp_ms(5),
            Record::new("b").partition(3).value(""),
            Record::new("a"),
        ]
        .into_iter()
        .collect();
        let seen: Vec<_> = set
            .iter()
            .map(|out| {
                (&**out.topic, out.partition, out.record.key, out.record.value, out.record.headers().count())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a", None, Some(&b"k"[..]), Some(&b"v"[..]), 2),
                ("b", Some(3), None, Some(&b""[..]), 0),
                ("a", None, None, None, 0)
            ]
        );
        assert_eq!(set.topics().len(), 2);
    }

    #[test]
    fn many_tiny_records_cost_memory() {
        let set: RecordSet = (0..100).map(|_| Record::new("t")).collect();
        assert!(set.cost_bytes() >= 100 * OVERHEAD_BYTES);
    }
}
