//! The identity that a checked record carries in its value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which record this is: the `seq`-th record that writer `run` sent for `key`.
///
/// The sequence starts at 0 for each pair of run and key and grows by one with each new record, so the order that
/// a key must keep can be read from the ids alone. A record that is sent again after a failure keeps its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The writer's run: keeps records of earlier runs in the same topic apart.
    pub run: u64,
    /// The key, as a number.
    pub key: u64,
    /// Position among the records of this run and key.
    pub seq: u64,
}

impl RecordId {
    /// Bytes of the encoded form.
    pub const LEN: usize = 24;

    /// Encodes as three big-endian integers: run, key, seq.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.key.to_be_bytes());
        bytes[16..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// Decodes an id that `bytes` start with; `None` when they are shorter than an id. What follows is the payload.
    pub fn from_prefix(bytes: &[u8]) -> Option<RecordId> {
        let (run, rest) = bytes.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (seq, _) = rest.split_first_chunk::<8>()?;
        Some(RecordId {
            run: u64::from_be_bytes(*run),
            key: u64::from_be_bytes(*key),
            seq: u64::from_be_bytes(*seq),
        })
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} key {} seq {}", self.run, self.key, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_slice_is_no_id() {
        assert_eq!(RecordId::from_prefix(&[0; 23]), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(run: u64, key: u64, seq: u64, tail: Vec<u8>) {
            let id = RecordId { run, key, seq };
            let mut bytes = id.to_bytes().to_vec();
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(RecordId::from_prefix(&bytes), Some(id));
        }
    }
}
