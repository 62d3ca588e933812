//! Version 10 of `OffsetCommit` and `OffsetFetch`: topics by id instead of by name (KIP-848).
//!
//! The generated messages end at version 9, whose structures version 10 shares but for the topics.

use anyhow::Result;
use bytes::BytesMut;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use klamm_wire::protocol::protocol::buf::{ByteBuf, ByteBufMut};
use klamm_wire::protocol::protocol::{Decodable, Encodable, StrBytes};
use uuid::Uuid;

/// The first version with topic ids.
pub(super) const TOPIC_IDS: i16 = 10;

/// The version whose structures are shared.
const BEFORE: i16 = TOPIC_IDS - 1;

/// `OffsetCommitRequest`, up to version 10.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitRequest(pub OffsetCommitRequest);

/// `OffsetCommitResponse`, up to version 10.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitResponse(pub OffsetCommitResponse);

/// `OffsetFetchRequest`, up to version 10.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchRequest(pub OffsetFetchRequest);

/// `OffsetFetchResponse`, up to version 10.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchResponse(pub OffsetFetchResponse);

impl Decodable for CommitRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TOPIC_IDS {
            return OffsetCommitRequest::decode(buf, version).map(Self);
        }
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(buf)?.unwrap_or_default()))
            .with_generation_id_or_member_epoch(buf.try_get_i32()?)
            .with_member_id(text(buf)?.unwrap_or_default())
            .with_group_instance_id(text(buf)?);
        let topics = array(buf, |buf| {
            let topic = OffsetCommitRequestTopic::default().with_topic_id(uuid(buf)?).with_partitions(
                array(buf, |buf| OffsetCommitRequestPartition::decode(buf, BEFORE))?.unwrap_or_default(),
            );
            skip_tagged_fields(buf)?;
            Ok(topic)
        })?;
        skip_tagged_fields(buf)?;
        Ok(Self(request.with_topics(topics.unwrap_or_default())))
    }
}

impl Decodable for FetchRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TOPIC_IDS {
            return OffsetFetchRequest::decode(buf, version).map(Self);
        }
        let groups = array(buf, |buf| {
            let group = OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text(buf)?.unwrap_or_default()))
                .with_member_id(text(buf)?)
                .with_member_epoch(buf.try_get_i32()?);
            let topics = array(buf, |buf| {
                let topic = OffsetFetchRequestTopics::default()
                    .with_topic_id(uuid(buf)?)
                    .with_partition_indexes(array(buf, |buf| Ok(buf.try_get_i32()?))?.unwrap_or_default());
                skip_tagged_fields(buf)?;
                Ok(topic)
            })?;
            skip_tagged_fields(buf)?;
            Ok(group.with_topics(topics))
        })?;
        let stable = buf.try_get_u8()? != 0;
        skip_tagged_fields(buf)?;
        let groups = groups.unwrap_or_default();
        Ok(Self(OffsetFetchRequest::default().with_groups(groups).with_require_stable(stable)))
    }
}

impl Encodable for CommitResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TOPIC_IDS {
            return self.0.encode(buf, version);
        }
        buf.put_i32(self.0.throttle_time_ms);
        count(buf, self.0.topics.len())?;
        for topic in &self.0.topics {
            buf.put_slice(topic.topic_id.as_bytes());
            count(buf, topic.partitions.len())?;
            topic.partitions.iter().try_for_each(|partition| partition.encode(buf, BEFORE))?;
            no_tagged_fields(buf);
        }
        no_tagged_fields(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size(self, version)
    }
}

impl Encodable for FetchResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TOPIC_IDS {
            return self.0.encode(buf, version);
        }
        buf.put_i32(self.0.throttle_time_ms);
        count(buf, self.0.groups.len())?;
        for group in &self.0.groups {
            count(buf, group.group_id.len())?;
            buf.put_slice(group.group_id.as_bytes());
            count(buf, group.topics.len())?;
            for topic in &group.topics {
                buf.put_slice(topic.topic_id.as_bytes());
                count(buf, topic.partitions.len())?;
                topic.partitions.iter().try_for_each(|partition| partition.encode(buf, BEFORE))?;
                no_tagged_fields(buf);
            }
            buf.put_i16(group.error_code);
            no_tagged_fields(buf);
        }
        no_tagged_fields(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size(self, version)
    }
}

/// A compact array; `None` is null. The shape of the request was checked, so its length is sound.
fn array<B: ByteBuf, T>(buf: &mut B, mut element: impl FnMut(&mut B) -> Result<T>) -> Result<Option<Vec<T>>> {
    let Some(length) = varint(buf)?.checked_sub(1) else { return Ok(None) };
    (0..length).map(|_| element(buf)).collect::<Result<Vec<_>>>().map(Some)
}

/// A compact string; `None` is null.
fn text<B: ByteBuf>(buf: &mut B) -> Result<Option<StrBytes>> {
    let Some(length) = varint(buf)?.checked_sub(1) else { return Ok(None) };
    Ok(Some(StrBytes::try_from(buf.try_get_bytes(length as usize)?)?))
}

fn uuid<B: ByteBuf>(buf: &mut B) -> Result<Uuid> {
    Ok(Uuid::from_slice(&buf.try_get_bytes(16)?)?)
}

fn varint<B: ByteBuf>(buf: &mut B) -> Result<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = u32::from(buf.try_get_u8()?);
        value |= (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(value)
}

fn skip_tagged_fields<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..varint(buf)? {
        varint(buf)?;
        let size = varint(buf)?;
        buf.try_get_bytes(size as usize)?;
    }
    Ok(())
}

/// The length of a compact array or string, which is one higher.
fn count<B: ByteBufMut>(buf: &mut B, length: usize) -> Result<()> {
    let mut rest = u32::try_from(length)?.saturating_add(1);
    while rest >= 0x80 {
        buf.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buf.put_u8(rest as u8);
    Ok(())
}

fn no_tagged_fields<B: ByteBufMut>(buf: &mut B) {
    buf.put_u8(0);
}

fn size<T: Encodable>(message: &T, version: i16) -> Result<usize> {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version)?;
    Ok(bytes.len())
}

/// A topic id is told only where topics are named by it.
pub(super) fn told_id(version: i16, id: Uuid) -> Uuid {
    if version < TOPIC_IDS { Uuid::nil() } else { id }
}
