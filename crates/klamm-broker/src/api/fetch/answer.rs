//! The answer to a fetch, encoded around the stored batches instead of over a copy of them.

use bytes::{BufMut, BytesMut};
use klamm_wire::protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use klamm_wire::protocol::messages::{FetchResponse, TopicName};
use klamm_wire::protocol::protocol::Encodable;
use uuid::Uuid;

use crate::api::frame::{Frame, Reply};
use crate::log::Slice;

/// The first version with an error and a session for the whole answer.
const SESSIONS: i16 = 7;
/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;

/// `FetchResponse`, with records that are still in the log.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub topics: Vec<FetchedTopic>,
}

#[derive(Debug)]
pub(crate) struct FetchedTopic {
    pub name: TopicName,
    pub id: Uuid,
    pub partitions: Vec<FetchedPartition>,
}

#[derive(Debug)]
pub(crate) struct FetchedPartition {
    /// Everything but stored records: its own are empty where there are such.
    pub data: PartitionData,
    pub stored: Option<Slice>,
}

impl Reply for Fetched {
    /// As the largest version has it, to a few bytes.
    fn bytes(&self, version: i16) -> Option<usize> {
        let partition = |partition: &FetchedPartition| {
            let stored = partition.stored.as_ref().map_or(0, Slice::len);
            partition.data.compute_size(version).ok().map(|size| size + stored)
        };
        let topic = |topic: &FetchedTopic| {
            let partitions = topic.partitions.iter().map(partition).sum::<Option<usize>>()?;
            Some(topic.name.len().max(size_of::<Uuid>()) + size_of::<u32>() + partitions)
        };
        let head = size_of_val(&self.throttle_time_ms) + size_of_val(&self.error_code) + 2 * size_of::<u32>();
        Some(head + self.topics.iter().map(topic).sum::<Option<usize>>()?)
    }

    fn put(self, frame: &mut Frame, version: i16) -> anyhow::Result<()> {
        let head = FetchResponse::default()
            .with_throttle_time_ms(self.throttle_time_ms)
            .with_error_code(if version >= SESSIONS { self.error_code } else { 0 });
        put_but_the_last(frame.bytes(), version, &head)?;
        put_length(frame.bytes(), version, self.topics.len());
        for topic in self.topics {
            put_topic(frame, version, topic)?;
        }
        put_end(frame.bytes(), version);
        Ok(())
    }
}

fn put_topic(frame: &mut Frame, version: i16, topic: FetchedTopic) -> anyhow::Result<()> {
    let head = FetchableTopicResponse::default().with_topic(topic.name).with_topic_id(topic.id);
    put_but_the_last(frame.bytes(), version, &head)?;
    put_length(frame.bytes(), version, topic.partitions.len());
    for partition in topic.partitions {
        put_partition(frame, version, partition)?;
    }
    put_end(frame.bytes(), version);
    Ok(())
}

fn put_partition(frame: &mut Frame, version: i16, partition: FetchedPartition) -> anyhow::Result<()> {
    let Some(slice) = partition.stored else { return partition.data.encode(frame.bytes(), version) };
    put_but_the_last(frame.bytes(), version, &partition.data)?;
    put_length(frame.bytes(), version, slice.len());
    frame.push_stored(slice);
    put_end(frame.bytes(), version);
    Ok(())
}

/// A structure without its last field, which is empty: what would be written of it is a length and the end.
fn put_but_the_last(bytes: &mut BytesMut, version: i16, structure: &impl Encodable) -> anyhow::Result<()> {
    structure.encode(bytes, version)?;
    let mut nothing = BytesMut::new();
    put_length(&mut nothing, version, 0);
    put_end(&mut nothing, version);
    bytes.truncate(bytes.len() - nothing.len());
    Ok(())
}

/// The length of an array or of bytes.
fn put_length(bytes: &mut BytesMut, version: i16, length: usize) {
    if version < FLEXIBLE {
        // `Reply::bytes` has kept the whole answer below 2^30.
        return bytes.put_i32(length as i32);
    }
    let mut rest = length + 1;
    while rest >= 0x80 {
        bytes.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.put_u8(rest as u8);
}

/// The end of a structure: no tagged fields.
fn put_end(bytes: &mut BytesMut, version: i16) {
    if version >= FLEXIBLE {
        bytes.put_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;
    use klamm_wire::protocol::protocol::StrBytes;
    use proptest::prelude::*;

    use super::*;

    /// Records of a partition, and whether they are stored or copied.
    type Records = (Vec<u8>, bool);

    fn stored(records: &[u8]) -> Slice {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(records).unwrap();
        Slice::of_file(file, records.len())
    }

    fn answers(topics: &[(String, Vec<Records>)], version: i16) -> (Fetched, FetchResponse) {
        let (mut ours, mut theirs) = (Fetched::default(), FetchResponse::default());
        (ours.throttle_time_ms, theirs.throttle_time_ms) = (7, 7);
        if version >= SESSIONS {
            (ours.error_code, theirs.error_code) = (70, 70);
        }
        for (index, (name, partitions)) in topics.iter().enumerate() {
            let name = TopicName(StrBytes::from_string(name.clone()));
            let id = Uuid::from_u128(index as u128 + 1);
            let data = |records: &[u8]| {
                PartitionData::default()
                    .with_partition_index(3)
                    .with_high_watermark(11)
                    .with_records(Some(Bytes::copy_from_slice(records)))
            };
            let partition = |(records, is_stored): &Records| match is_stored {
                true => FetchedPartition { data: data(&[]), stored: Some(stored(records)) },
                false => FetchedPartition { data: data(records), stored: None },
            };
            let whole = partitions.iter().map(|(records, _)| data(records)).collect();
            theirs.responses.push(
                FetchableTopicResponse::default()
                    .with_topic(name.clone())
                    .with_topic_id(id)
                    .with_partitions(whole),
            );
            ours.topics.push(FetchedTopic {
                name,
                id,
                partitions: partitions.iter().map(partition).collect(),
            });
        }
        (ours, theirs)
    }

    proptest! {
        #[test]
        fn the_encoding_is_the_protocols_whether_records_are_stored_or_copied(
            version in 4_i16..=17,
            topics in prop::collection::vec(
                ("[a-z]{1,200}", prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 0..4)),
                0..4,
            ),
        ) {
            let (ours, theirs) = answers(&topics, version);
            let mut expected = Frame::new();
            let size = theirs.compute_size(version).unwrap();
            theirs.encode(expected.bytes(), version).unwrap();
            let estimate = Reply::bytes(&ours, version).unwrap();
            prop_assert!(estimate + 8 >= size, "{} for {}", estimate, size);
            let mut frame = Frame::new();
            ours.put(&mut frame, version).unwrap();
            prop_assert_eq!(frame.into_bytes().unwrap(), expected.into_bytes().unwrap());
        }
    }
}
