//! The "consumer" protocol that classic members embed in their joins: subscriptions and assignments of Java's consumer.
//!
//! A classic group relays both unread. They are read only to know which topics its offsets are in use for, and where a
//! group goes from one protocol to the other (KIP-848).

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use klamm_wire::protocol::messages::consumer_protocol_assignment::TopicPartition;
use klamm_wire::protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use klamm_wire::protocol::protocol::{Decodable, Encodable, StrBytes};

use super::assign::Assignment;
use super::image::TopicsImage;
use crate::api::shape::{BLOB, INT32, Shape, TEXT, plain, structs};

/// `protocol_type` of groups that embed it.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// The latest version of both messages; a later one is read as this, which begins it.
const LATEST: i16 = 3;

const PARTITIONS: &[crate::api::shape::Field] = &[TEXT, plain(&INT32)];
const SUBSCRIPTION: Shape = Shape {
    flexible: i16::MAX,
    fields: &[plain(&TEXT), BLOB, structs(PARTITIONS).since(1), INT32.since(2), TEXT.since(3)],
};
const ASSIGNMENT: Shape = Shape { flexible: i16::MAX, fields: &[structs(PARTITIONS), BLOB] };

/// What a member wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscription {
    pub topics: BTreeSet<String>,
    pub owned: Vec<(String, Vec<i32>)>,
    pub rack_id: Option<String>,
}

/// Reads a subscription; `None` if it is not one.
pub(crate) fn subscription(bytes: &Bytes) -> Option<Subscription> {
    let (version, mut bytes) = versioned(bytes, &SUBSCRIPTION)?;
    let read = ConsumerProtocolSubscription::decode(&mut bytes, version).ok()?;
    let owned = read.owned_partitions.into_iter().map(|one| (one.topic.to_string(), one.partitions));
    Some(Subscription {
        topics: read.topics.iter().map(|topic| topic.to_string()).collect(),
        owned: owned.collect(),
        rack_id: read.rack_id.map(|rack| rack.to_string()).filter(|rack| !rack.is_empty()),
    })
}

/// The topics of a subscription, read as version 0, which begins every other.
pub(crate) fn subscribed_topics(bytes: &Bytes) -> Option<BTreeSet<String>> {
    let mut oldest = BytesMut::from(&0_i16.to_be_bytes()[..]);
    oldest.extend_from_slice(bytes.get(2..)?);
    subscription(&oldest.freeze()).map(|subscription| subscription.topics)
}

/// An assignment, and whether something of a custom assignor comes with it.
pub(crate) fn assignment(bytes: &Bytes, image: &TopicsImage) -> Option<(Assignment, bool)> {
    let (version, mut bytes) = versioned(bytes, &ASSIGNMENT)?;
    let read = ConsumerProtocolAssignment::decode(&mut bytes, version).ok()?;
    let custom = read.user_data.is_some_and(|data| !data.is_empty());
    let topics = read.assigned_partitions.into_iter().map(|one| (one.topic.to_string(), one.partitions));
    Some((by_id(topics, image), custom))
}

/// Topic ids in place of names; what does not exist is left out.
pub(crate) fn by_id(topics: impl IntoIterator<Item = (String, Vec<i32>)>, image: &TopicsImage) -> Assignment {
    let known = topics.into_iter().filter_map(|(name, partitions)| {
        let (id, _) = image.topic(&name)?;
        Some((id, partitions.into_iter().collect()))
    });
    known.collect()
}

/// Writes an assignment in the version of `subscription`.
pub(crate) fn write_assignment(
    assignment: &Assignment,
    subscription: &Bytes,
    image: &TopicsImage,
) -> Option<Bytes> {
    let version = version(subscription)?;
    let topics = assignment.iter().filter_map(|(id, partitions)| {
        let name = TopicName(StrBytes::from_string(image.name(*id)?.to_owned()));
        let partitions = partitions.iter().copied().collect();
        Some(TopicPartition::default().with_topic(name).with_partitions(partitions))
    });
    let message =
        ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect()).with_user_data(None);
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    message.encode(&mut bytes, version).ok()?;
    Some(bytes.freeze())
}

fn version(bytes: &Bytes) -> Option<i16> {
    let version = i16::from_be_bytes(*bytes.first_chunk()?);
    (version >= 0).then_some(version.min(LATEST))
}

fn versioned(bytes: &Bytes, shape: &Shape) -> Option<(i16, Bytes)> {
    let version = version(bytes)?;
    let mut rest = bytes.clone();
    rest.advance(2);
    shape.check(&rest, version).ok()?;
    Some((version, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_wire::protocol::messages::consumer_protocol_subscription;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn image() -> TopicsImage {
        TopicsImage::new(1, [("t".to_owned(), Uuid::from_u128(1), 3)])
    }

    fn written(version: i16) -> Bytes {
        let owned = consumer_protocol_subscription::TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![0, 2]);
        let mut message =
            ConsumerProtocolSubscription::default().with_topics(vec![StrBytes::from_static_str("t")]);
        if version >= 1 {
            message = message.with_owned_partitions(vec![owned]);
        }
        if version >= 3 {
            message = message.with_rack_id(Some(StrBytes::from_static_str("r")));
        }
        let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
        message.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    #[test]
    fn subscriptions_of_every_version_are_read() {
        for version in 0..=LATEST {
            let bytes = written(version);
            let read = subscription(&bytes).unwrap();
            assert_eq!(read.topics, BTreeSet::from(["t".to_owned()]));
            assert_eq!(subscribed_topics(&bytes), Some(read.topics));
            assert_eq!(read.owned.len(), usize::from(version >= 1));
            assert_eq!(read.rack_id.is_some(), version >= 3);
        }
    }

    #[test]
    fn an_assignment_is_read_as_it_was_written() {
        let assigned = Assignment::from([(Uuid::from_u128(1), BTreeSet::from([0, 2]))]);
        let bytes = write_assignment(&assigned, &written(1), &image()).unwrap();
        assert_eq!(bytes[..2], [0, 1], "the version of the subscription");
        assert_eq!(assignment(&bytes, &image()), Some((assigned, false)));
    }

    proptest! {
        #[test]
        fn anything_else_is_not_read_and_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let bytes = Bytes::from(bytes);
            let _ = (subscription(&bytes), subscribed_topics(&bytes), assignment(&bytes, &image()));
        }
    }
}
