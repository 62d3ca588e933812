//! What members of classic groups tell each other through the coordinator, which does not read it (KIP-62, KIP-429).

use klamm_wire::reader::Reader;

/// Partitions by topic.
pub type Assignment = Vec<(String, Vec<i32>)>;

/// What the leader of a group gave a member; `None` when that cannot be read. A member without partitions may be given no
/// bytes at all.
pub(crate) fn assignment(bytes: &[u8]) -> Option<Assignment> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = Reader(bytes);
    // All versions begin alike.
    let _version = reader.i16()?;
    reader.array(|reader| Some((reader.string()?, reader.array(Reader::i32)?)))
}

/// Topics that a member subscribes to; `None` when that cannot be read.
pub(crate) fn subscription(bytes: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader(bytes);
    let _version = reader.i16()?;
    reader.array(Reader::string)
}

#[cfg(test)]
mod tests {
    use klamm_wire::protocol::messages::consumer_protocol_assignment::TopicPartition;
    use klamm_wire::protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
    use klamm_wire::protocol::protocol::{Encodable, StrBytes};

    use super::*;
    use crate::metadata::topic_name;

    fn encoded(version: i16, message: &impl Encodable) -> Vec<u8> {
        let mut bytes = version.to_be_bytes().to_vec();
        message.encode(&mut bytes, version).expect("it fits");
        bytes
    }

    #[test]
    fn every_version_of_an_assignment_and_a_subscription_is_read() {
        for version in 0..=3 {
            let at = TopicPartition::default().with_topic(topic_name("orders")).with_partitions(vec![0, 7]);
            let told = ConsumerProtocolAssignment::default()
                .with_assigned_partitions(vec![at])
                .with_user_data(Some(vec![1, 2, 3].into()));
            assert_eq!(assignment(&encoded(version, &told)), Some(vec![("orders".to_owned(), vec![0, 7])]));
            let told = ConsumerProtocolSubscription::default()
                .with_topics(vec![StrBytes::from_static_str("a"), StrBytes::from_static_str("b")]);
            assert_eq!(subscription(&encoded(version, &told)), Some(vec!["a".to_owned(), "b".to_owned()]));
        }
    }

    #[test]
    fn other_bytes_are_not_read_as_an_assignment() {
        assert_eq!(assignment(&[]), Some(vec![]));
        assert_eq!(assignment(b"\0\0{\"connector\": \"config\"}"), None);
        assert_eq!(subscription(&[0]), None);
    }
}
