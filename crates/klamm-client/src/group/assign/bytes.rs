//! The consumer protocol: the bytes that members of a group leave for each other, as Java's `ConsumerProtocol` writes and reads them.
//!
//! They come from other clients, so no length in them is trusted. A newer version is read as the newest that is known: fields are only
//! ever added at the end.

use std::sync::Arc;

use ::bytes::{BufMut, Bytes, BytesMut};
use klamm_wire::reader::Reader;

use super::ConsumerSubscription;
use crate::TopicPartition;

/// The version that is written: the first with a rack.
pub(crate) const SUBSCRIPTION_VERSION: i16 = 3;
/// All versions of an assignment are the same, and every client reads the first.
const ASSIGNMENT_VERSION: i16 = 0;

impl ConsumerSubscription {
    /// What a member joins with. Older versions leave out what they do not have.
    pub(crate) fn encode(&self, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(version);
        let mut topics: Vec<&str> = self.topics.iter().map(AsRef::as_ref).collect();
        topics.sort_unstable();
        put_len(&mut out, topics.len());
        topics.into_iter().for_each(|topic| put_text(&mut out, topic));
        put_bytes(&mut out, self.user_data.as_deref());
        if version >= 1 {
            let mut owned = self.owned.clone();
            owned.sort();
            put_partitions(&mut out, &owned);
        }
        if version >= 2 {
            out.put_i32(self.generation.unwrap_or(-1));
        }
        if version >= 3 {
            match &self.rack {
                Some(rack) => put_text(&mut out, rack),
                None => out.put_i16(-1),
            }
        }
        out.freeze()
    }

    /// What another member joined with; `None` if it is something else.
    pub(crate) fn decode(bytes: &Bytes) -> Option<ConsumerSubscription> {
        let mut reader = Reader(bytes);
        let version = reader.i16().filter(|version| *version >= 0)?;
        let mut subscription = ConsumerSubscription {
            topics: reader.array(|reader| Some(reader.string()?.into()))?,
            user_data: reader.nullable_bytes()?.map(|data| bytes.slice_ref(data)),
            ..ConsumerSubscription::default()
        };
        if version >= 1 {
            subscription.owned = partitions(&mut reader)?;
        }
        if version >= 2 {
            subscription.generation = Some(reader.i32()?).filter(|generation| *generation >= 0);
        }
        if version >= 3 {
            subscription.rack = reader.nullable_string()?.filter(|rack| !rack.is_empty()).map(Into::into);
        }
        Some(subscription)
    }
}

/// What the member that leads sends for another.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(ASSIGNMENT_VERSION);
    put_partitions(&mut out, partitions);
    put_bytes(&mut out, None);
    out.freeze()
}

/// What the member that leads has decided; nothing at all means no partitions. `None` if it is something else.
pub(crate) fn decode_assignment(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = Reader(bytes);
    reader.i16().filter(|version| *version >= 0)?;
    let partitions = partitions(&mut reader)?;
    reader.nullable_bytes()?;
    Some(partitions)
}

/// What a sticky member had before, and since when: the user data of `sticky` and of `cooperative-sticky`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Previous {
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) generation: Option<i32>,
}

impl Previous {
    /// User data of `sticky`.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        put_partitions(&mut out, &self.partitions);
        out.put_i32(self.generation.unwrap_or(-1));
        out.freeze()
    }

    /// User data of `cooperative-sticky`.
    pub(crate) fn encode_generation(generation: Option<i32>) -> Bytes {
        Bytes::copy_from_slice(&generation.unwrap_or(-1).to_be_bytes())
    }

    /// What a member of `sticky` tells. The first version had no generation; what cannot be read counts as nothing.
    pub(super) fn of_sticky(subscription: &ConsumerSubscription) -> Previous {
        let Some(data) = subscription.user_data.as_deref().filter(|data| !data.is_empty()) else {
            return Previous::default();
        };
        let mut reader = Reader(data);
        match partitions(&mut reader) {
            Some(partitions) => Previous { partitions, generation: reader.i32() },
            None => Previous { partitions: Vec::new(), generation: Some(-1) },
        }
    }

    /// What a member of `cooperative-sticky` tells: before version 2 of the subscription, its generation was user data.
    pub(super) fn of_cooperative(subscription: &ConsumerSubscription) -> Previous {
        let in_user_data = || Some(Reader(subscription.user_data.as_deref()?).i32().unwrap_or(-1));
        Previous {
            partitions: subscription.owned.clone(),
            generation: subscription.generation.or_else(in_user_data),
        }
    }
}

fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

/// Names are far shorter than what fits; the rest of a longer one is left out.
fn put_text(out: &mut BytesMut, text: &str) {
    let len = text.len().min(usize::from(i16::MAX.unsigned_abs()));
    out.put_i16(i16::try_from(len).unwrap_or(i16::MAX));
    out.put_slice(text.as_bytes().get(..len).unwrap_or_default());
}

fn put_bytes(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_len(out, bytes.len());
            out.put_slice(bytes);
        }
        None => out.put_i32(-1),
    }
}

/// By topic, in the order in which the topics come.
fn put_partitions(out: &mut BytesMut, partitions: &[TopicPartition]) {
    let mut topics: Vec<(&Arc<str>, Vec<i32>)> = Vec::new();
    for partition in partitions {
        match topics.iter_mut().rev().find(|(topic, _)| **topic == partition.topic) {
            Some((_, numbers)) => numbers.push(partition.partition),
            None => topics.push((&partition.topic, vec![partition.partition])),
        }
    }
    put_len(out, topics.len());
    for (topic, numbers) in topics {
        put_text(out, topic);
        put_len(out, numbers.len());
        numbers.into_iter().for_each(|number| out.put_i32(number));
    }
}

fn partitions(reader: &mut Reader<'_>) -> Option<Vec<TopicPartition>> {
    let of_topic = |reader: &mut Reader<'_>| {
        let topic: Arc<str> = reader.string()?.into();
        reader.array(|reader| Some(TopicPartition::new(Arc::clone(&topic), reader.i32()?)))
    };
    Some(reader.array(of_topic)?.into_iter().flatten().collect())
}
