//! Transaction markers: control batches of one record that end what a producer has open in a partition (KIP-98).

use klamm_wire::batch::{BatchBuilder, BatchError, BatchView, Compression, ProducerStamp};
use serde::{Deserialize, Serialize};

/// Layout version of a marker's key and value; the only one there is.
const VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;
/// A marker's record is a few bytes and never compressed.
const MAX_BYTES: usize = 1024;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

/// What a control batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub producer_id: i64,
    /// Since KIP-890 (TV 2) one more than the epoch that wrote the records.
    pub epoch: i16,
    pub outcome: Outcome,
    pub coordinator_epoch: i32,
}

impl Marker {
    /// The control batch, at offset 0.
    pub fn encode(&self, timestamp_ms: i64) -> Result<Vec<u8>, BatchError> {
        let kind = match self.outcome {
            Outcome::Abort => ABORT,
            Outcome::Commit => COMMIT,
        };
        let key = [VERSION.to_be_bytes(), kind.to_be_bytes()].concat();
        let value = [&VERSION.to_be_bytes()[..], &self.coordinator_epoch.to_be_bytes()].concat();
        let stamp = ProducerStamp { id: self.producer_id, epoch: self.epoch, base_sequence: -1 };
        let mut builder = BatchBuilder::new(Compression::None).producer(stamp).transactional().control();
        builder.append(timestamp_ms, Some(&key), Some(&value), &[]);
        builder.finish()
    }

    /// What a whole control batch says; `None` of a batch without records (compaction took them), and of kinds that are no marker.
    pub fn decode(batch: &BatchView<'_>) -> Option<Self> {
        if !batch.is_control() {
            return None;
        }
        let stamp = batch.producer()?;
        let mut scratch = Vec::new();
        let record = batch.records(&mut scratch, MAX_BYTES).ok()?.next()?.ok()?;
        let [_, _, k0, k1, ..] = *record.key? else { return None };
        let outcome = match i16::from_be_bytes([k0, k1]) {
            ABORT => Outcome::Abort,
            COMMIT => Outcome::Commit,
            _ => return None,
        };
        let [_, _, e0, e1, e2, e3, ..] = *record.value? else { return None };
        let coordinator_epoch = i32::from_be_bytes([e0, e1, e2, e3]);
        Some(Self { producer_id: stamp.id, epoch: stamp.epoch, outcome, coordinator_epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_marker_is_read_as_it_was_written(
            producer_id in 0_i64.., epoch in 0_i16.., commit: bool, coordinator_epoch: i32, time in 0_i64..1 << 41,
        ) {
            let outcome = if commit { Outcome::Commit } else { Outcome::Abort };
            let marker = Marker { producer_id, epoch, outcome, coordinator_epoch };
            let bytes = marker.encode(time).unwrap();
            let batch = BatchView::parse_single(&bytes).unwrap();
            batch.verify_crc().unwrap();
            prop_assert!(batch.is_control() && batch.is_transactional());
            prop_assert_eq!(batch.max_timestamp_ms(), time);
            prop_assert_eq!(Marker::decode(&batch), Some(marker));
        }
    }

    #[test]
    fn a_batch_of_records_is_no_marker() {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(0, Some(&[0, 0, 0, 1]), Some(&[0; 6]), &[]);
        let bytes = builder.finish().unwrap();
        assert_eq!(Marker::decode(&BatchView::parse(&bytes).unwrap()), None);
    }
}
