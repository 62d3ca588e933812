//! StreamsGroupDescribe (KIP-1071), which the codec does not have: version 0, since Kafka 4.1.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use klamm_wire::protocol::protocol::buf::{ByteBuf, ByteBufMut};
use klamm_wire::protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, VersionRange};
use klamm_wire::reader::Reader;

use crate::consumer_protocol::Assignment;

const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

/// Asks for groups by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamsGroupDescribeRequest {
    pub(crate) groups: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct StreamsGroupDescribeResponse {
    pub(crate) groups: Vec<StreamsGroup>,
}

/// What is used here of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamsGroup {
    pub(crate) error_code: i16,
    pub(crate) error_message: Option<String>,
    pub(crate) group: String,
    pub(crate) state: String,
    pub(crate) epoch: i32,
    /// Topics that each subtopology reads, those that Streams makes itself among them.
    pub(crate) sources: BTreeMap<String, Vec<String>>,
    pub(crate) members: Vec<StreamsMember>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamsMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// Active tasks: partitions by subtopology.
    pub(crate) active: Assignment,
}

impl StreamsGroup {
    /// Partitions of topics that a member's active tasks read. A task has the same partition of every topic; of a topic
    /// that has fewer partitions the surplus does not exist.
    pub(crate) fn assigned(&self, member: &StreamsMember) -> Assignment {
        let mut assigned = BTreeMap::<String, Vec<i32>>::new();
        for (subtopology, partitions) in &member.active {
            for topic in self.sources.get(subtopology).into_iter().flatten() {
                assigned.entry(topic.clone()).or_default().extend(partitions);
            }
        }
        assigned.into_iter().collect()
    }

    /// Topics that the group reads.
    pub(crate) fn subscribed(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.sources.values().flatten().cloned().collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    fn read(reader: &mut Reader<'_>) -> Option<StreamsGroup> {
        let mut group = StreamsGroup {
            error_code: reader.i16()?,
            error_message: reader.compact_nullable_string()?,
            group: reader.compact_string()?,
            state: reader.compact_string()?,
            epoch: reader.i32()?,
            ..StreamsGroup::default()
        };
        let _assignment_epoch = reader.i32()?;
        // A structure that may be null begins with a byte: -1 for null.
        if reader.u8()? == 1 {
            let _topology_epoch = reader.i32()?;
            group.sources = reader.compact_array(subtopology)?.into_iter().collect();
            reader.tags()?;
        }
        group.members = reader.compact_array(member)?;
        let _authorized_operations = reader.i32()?;
        reader.tags()?;
        Some(group)
    }
}

fn subtopology(reader: &mut Reader<'_>) -> Option<(String, Vec<String>)> {
    let id = reader.compact_string()?;
    let mut sources = reader.compact_array(Reader::compact_string)?;
    let _repartition_sinks = reader.compact_array(Reader::compact_string)?;
    let _changelogs = reader.compact_array(topic_info)?;
    sources.extend(reader.compact_array(topic_info)?);
    reader.tags()?;
    Some((id, sources))
}

fn topic_info(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.compact_string()?;
    let (_partitions, _replication_factor) = (reader.i32()?, reader.i16()?);
    reader.compact_array(key_value)?;
    reader.tags()?;
    Some(name)
}

fn key_value(reader: &mut Reader<'_>) -> Option<()> {
    reader.compact_string()?;
    reader.compact_string()?;
    reader.tags()
}

fn member(reader: &mut Reader<'_>) -> Option<StreamsMember> {
    let member_id = reader.compact_string()?;
    let _epoch = reader.i32()?;
    let instance_id = reader.compact_nullable_string()?;
    let _rack = reader.compact_nullable_string()?;
    let client_id = reader.compact_string()?;
    let host = reader.compact_string()?;
    let _topology_epoch = reader.i32()?;
    let _process_id = reader.compact_string()?;
    if reader.u8()? == 1 {
        let (_host, _port) = (reader.compact_string()?, reader.i16()?);
        reader.tags()?;
    }
    reader.compact_array(key_value)?;
    reader.compact_array(task_offset)?;
    reader.compact_array(task_offset)?;
    let active = tasks(reader)?;
    let _target = tasks(reader)?;
    let _is_classic = reader.u8()?;
    reader.tags()?;
    Some(StreamsMember { member_id, instance_id, client_id, host, active })
}

fn task_offset(reader: &mut Reader<'_>) -> Option<()> {
    reader.compact_string()?;
    let (_partition, _offset) = (reader.i32()?, reader.i64()?);
    reader.tags()
}

/// The active tasks; those on standby and those that warm up are passed over.
fn tasks(reader: &mut Reader<'_>) -> Option<Assignment> {
    let active = reader.compact_array(task_ids)?;
    reader.compact_array(task_ids)?;
    reader.compact_array(task_ids)?;
    reader.tags()?;
    Some(active)
}

fn task_ids(reader: &mut Reader<'_>) -> Option<(String, Vec<i32>)> {
    let ids = (reader.compact_string()?, reader.compact_array(Reader::i32)?);
    reader.tags()?;
    Some(ids)
}

impl Request for StreamsGroupDescribeRequest {
    const KEY: i16 = 89;
    type Response = StreamsGroupDescribeResponse;
}

impl Message for StreamsGroupDescribeRequest {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for StreamsGroupDescribeRequest {
    fn header_version(_: i16) -> i16 {
        2
    }
}

impl Encodable for StreamsGroupDescribeRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, _: i16) -> Result<()> {
        put_varint(buf, self.groups.len() + 1)?;
        for group in &self.groups {
            put_varint(buf, group.len() + 1)?;
            buf.put_slice(group.as_bytes());
        }
        // No authorized operations, no tagged fields.
        buf.put_slice(&[0, 0]);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes, version)?;
        Ok(bytes.len())
    }
}

impl Decodable for StreamsGroupDescribeRequest {
    fn decode<B: ByteBuf>(_: &mut B, _: i16) -> Result<Self> {
        bail!("requests are only written")
    }
}

impl Message for StreamsGroupDescribeResponse {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for StreamsGroupDescribeResponse {
    fn header_version(_: i16) -> i16 {
        1
    }
}

impl Encodable for StreamsGroupDescribeResponse {
    fn encode<B: ByteBufMut>(&self, _: &mut B, _: i16) -> Result<()> {
        bail!("answers are only read")
    }

    fn compute_size(&self, _: i16) -> Result<usize> {
        bail!("answers are only read")
    }
}

impl Decodable for StreamsGroupDescribeResponse {
    fn decode<B: ByteBuf>(buf: &mut B, _: i16) -> Result<Self> {
        let bytes = buf.try_get_bytes(buf.remaining())?;
        let mut reader = Reader(&bytes);
        let mut read = || {
            let _throttle_ms = reader.i32()?;
            let groups = reader.compact_array(StreamsGroup::read)?;
            reader.tags()?;
            Some(groups)
        };
        let groups = read().context("it does not follow its schema")?;
        Ok(StreamsGroupDescribeResponse { groups })
    }
}

fn put_varint<B: ByteBufMut>(buf: &mut B, value: usize) -> Result<()> {
    let mut value = u32::try_from(value)?;
    while value >= 0x80 {
        buf.put_slice(&[value as u8 | 0x80]);
        value >>= 7;
    }
    buf.put_slice(&[value as u8]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of one subtopology and one member, byte by byte as the schema has it.
    fn answer() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, 2];
        bytes.extend([0, 0, 0]);
        bytes.extend(b"\x04app\x07Stable");
        bytes.extend([0, 0, 0, 5, 0, 0, 0, 5]);
        bytes.extend([1, 0, 0, 0, 1, 2]);
        bytes.extend(b"\x020\x02\x07orders\x01");
        bytes.extend(b"\x02\x04log\0\0\0\0\0\x03\x02\x02k\x02v\0\0");
        bytes.extend(b"\x02\x04rep\0\0\0\x02\0\0\x01\0");
        bytes.extend([0, 0]);
        bytes.extend(b"\x02\x02m\0\0\0\x05\0\0\x02c\x02h\0\0\0\x01\x02p");
        bytes.extend([1, 2, b'e', 0, 9, 0]);
        bytes.extend([1, 1, 1]);
        bytes.extend(b"\x02\x020\x03\0\0\0\0\0\0\0\x02\0\x01\x01\0");
        bytes.extend([1, 1, 1, 0]);
        bytes.extend([0, 0]);
        bytes.extend([0x80, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn an_answer_is_read_and_tasks_become_partitions_of_topics() {
        let mut bytes = bytes::Bytes::from(answer());
        let answer = StreamsGroupDescribeResponse::decode(&mut bytes, 0).expect("sound");
        let [group] = &answer.groups[..] else { panic!("{answer:?}") };
        assert_eq!((group.group.as_str(), group.state.as_str(), group.epoch), ("app", "Stable", 5));
        assert_eq!(group.subscribed(), ["orders", "rep"]);
        let expected = vec![("orders".to_owned(), vec![0, 2]), ("rep".to_owned(), vec![0, 2])];
        assert_eq!(group.assigned(&group.members[0]), expected);
        assert_eq!((group.members[0].client_id.as_str(), group.members[0].host.as_str()), ("c", "h"));
    }

    #[test]
    fn a_cut_off_answer_is_an_error_wherever_it_ends() {
        let whole = answer();
        for end in 0..whole.len() {
            let mut bytes = bytes::Bytes::copy_from_slice(&whole[..end]);
            assert!(StreamsGroupDescribeResponse::decode(&mut bytes, 0).is_err(), "{end}");
        }
    }
}
