//! Changes to a batch in place: what a broker stamps on append, and what a producer stamps before a send.

use super::{BatchError, BatchView, ProducerStamp, at, bit};

/// One record batch that may be changed in place. Fields under the CRC recompute it.
#[derive(Debug)]
pub struct BatchMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> BatchMut<'a> {
    /// Takes `bytes` as exactly one batch.
    ///
    /// # Errors
    /// As [`BatchView::parse_single`].
    pub fn parse_single(bytes: &'a mut [u8]) -> Result<Self, BatchError> {
        BatchView::parse_single(bytes)?;
        Ok(Self { bytes })
    }

    /// Reads the batch.
    pub fn view(&self) -> BatchView<'_> {
        BatchView { bytes: self.bytes }
    }

    /// Sets the offset of the first record. Not under the CRC.
    pub fn set_base_offset(&mut self, offset: i64) {
        self.put(at::BASE_OFFSET, offset.to_be_bytes());
    }

    /// Sets the epoch of the appending leader. Not under the CRC.
    pub fn set_partition_leader_epoch(&mut self, epoch: i32) {
        self.put(at::LEADER_EPOCH, epoch.to_be_bytes());
    }

    /// Makes the broker's time that of all records (`message.timestamp.type=LogAppendTime`).
    pub fn set_log_append_time(&mut self, timestamp_ms: i64) {
        let attributes = self.view().attributes() | bit::LOG_APPEND_TIME;
        self.put(at::ATTRIBUTES, attributes.to_be_bytes());
        self.put(at::MAX_TIMESTAMP, timestamp_ms.to_be_bytes());
        self.update_crc();
    }

    /// Sets the stamp of an idempotent producer.
    pub fn set_producer(&mut self, stamp: ProducerStamp) {
        self.put(at::PRODUCER_ID, stamp.id.to_be_bytes());
        self.put(at::PRODUCER_EPOCH, stamp.epoch.to_be_bytes());
        self.put(at::BASE_SEQUENCE, stamp.base_sequence.to_be_bytes());
        self.update_crc();
    }

    fn update_crc(&mut self) {
        let crc = crc32c::crc32c(&self.bytes[at::ATTRIBUTES..]);
        self.put(at::CRC, crc.to_be_bytes());
    }

    fn put<const N: usize>(&mut self, start: usize, value: [u8; N]) {
        self.bytes[start..start + N].copy_from_slice(&value);
    }
}
