//! Records of `__consumer_offsets`, the only place that tells when an offset was committed.

use klamm_wire::reader::Reader;

/// Kafka's own topic for the offsets of groups.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// An offset as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetCommit {
    /// `group.id`.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset, and when it was committed, in milliseconds since 1970; `None` when it was deleted.
    pub committed: Option<(i64, i64)>,
}

impl OffsetCommit {
    /// Reads a record of `__consumer_offsets`; `None` when it is about something else (members of a group), or of a form
    /// that is not known.
    pub fn read(key: &[u8], value: Option<&[u8]>) -> Option<OffsetCommit> {
        let mut reader = Reader(key);
        if !(0..=1).contains(&reader.i16()?) {
            return None;
        }
        let (group, topic, partition) = (reader.string()?, reader.string()?, reader.i32()?);
        let committed = match value {
            None => None,
            Some(value) => Some(read_value(value)?),
        };
        Some(OffsetCommit { group, topic, partition, committed })
    }
}

/// Offset and time of a value of version 0 to 4.
fn read_value(value: &[u8]) -> Option<(i64, i64)> {
    let mut reader = Reader(value);
    let version = reader.i16()?;
    if !(0..=4).contains(&version) {
        return None;
    }
    let offset = reader.i64()?;
    if version >= 3 {
        let _leader_epoch = reader.i32()?;
    }
    match version {
        4.. => reader.compact_string()?,
        _ => reader.string()?,
    };
    Some((offset, reader.i64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(version: i16) -> Vec<u8> {
        let mut key = version.to_be_bytes().to_vec();
        key.extend(b"\0\x01g\0\x06orders\0\0\0\x07");
        key
    }

    #[test]
    fn every_version_of_a_value_tells_the_offset_and_when_it_was_committed() {
        for version in 0..=4_i16 {
            let mut value = version.to_be_bytes().to_vec();
            value.extend(42_i64.to_be_bytes());
            if version >= 3 {
                value.extend((-1_i32).to_be_bytes());
            }
            value.extend(if version == 4 { &b"\x03ab"[..] } else { &b"\0\x02ab"[..] });
            value.extend(1_700_000_000_000_i64.to_be_bytes());
            if version == 1 {
                value.extend((-1_i64).to_be_bytes());
            }
            let read = OffsetCommit::read(&key(1), Some(&value)).expect("an offset");
            assert_eq!((read.group.as_str(), read.topic.as_str(), read.partition), ("g", "orders", 7));
            assert_eq!(read.committed, Some((42, 1_700_000_000_000)), "version {version}");
        }
    }

    #[test]
    fn tombstones_are_told_from_what_is_about_members_or_not_known() {
        assert_eq!(OffsetCommit::read(&key(0), None).map(|read| read.committed), Some(None));
        assert_eq!(OffsetCommit::read(&key(2), None), None);
        assert_eq!(OffsetCommit::read(&key(1), Some(&[0, 9])), None);
        assert_eq!(OffsetCommit::read(&[0, 1, 0x7f, 0xff], None), None);
    }
}
