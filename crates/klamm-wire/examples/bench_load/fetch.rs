//! Whole partitions, from their beginning to their end and again, in large fetches. Of the records only the batches' headers are read,
//! to know where to go on.

use std::io::Read;

use klamm_wire::batch::{BatchView, HEADER_BYTES};
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::{FetchRequest, TopicName};
use klamm_wire::protocol::protocol::StrBytes;

use crate::connection::{Connection, frame};
use crate::{Flags, Moved, Result, Work};

/// The last version with a layout of fixed sizes.
const VERSION: i16 = 11;
/// What is read at once: it stays in the processor's cache.
const CHUNK_BYTES: usize = 256 << 10;
/// How long the broker may wait for data: it has it.
const MAX_WAIT_MS: i32 = 500;

pub struct Fetch {
    connection: Connection,
    topic: String,
    partitions: Vec<i32>,
    fetch_bytes: i32,
    /// How much is fetched before the work ends.
    bytes: u64,
    chunk: Vec<u8>,
}

/// An answer up to its records.
struct Head {
    error: i16,
    high_watermark: i64,
    record_bytes: usize,
}

impl Fetch {
    /// `--bytes` of records in all, at most `--fetch-bytes` an answer.
    pub fn prepare(flags: &Flags, partitions: Vec<i32>, connections: i32) -> Result<Fetch> {
        let bytes: u64 = flags.number("bytes")?;
        Ok(Fetch {
            connection: Connection::open(flags.text("bootstrap")?)?,
            topic: flags.text("topic")?.to_owned(),
            partitions,
            fetch_bytes: flags.number("fetch-bytes")?,
            bytes: bytes / u64::try_from(connections)?,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// Fetches once; gives where to go on and the end of the partition.
    fn fetch(&mut self, partition: i32, offset: i64, moved: &mut Moved) -> Result<(i64, i64)> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(self.fetch_bytes);
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(self.topic.clone())))
            .with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(MAX_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(self.fetch_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        self.connection.send(&frame(VERSION, &request)?)?;

        let size = self.connection.length()?;
        let head = self.head(size)?;
        if head.error != 0 {
            return Err(format!("partition {partition} from {offset}: error {}", head.error).into());
        }
        let mut walk = Walk::from(offset);
        let mut left = head.record_bytes;
        while left > 0 {
            let most = left.min(CHUNK_BYTES);
            let read = self.connection.0.read(&mut self.chunk[..most])?;
            if read == 0 {
                return Err("the broker ended the connection".into());
            }
            walk.over(&self.chunk[..read])?;
            left -= read;
        }
        if head.record_bytes > 0 && walk.next_offset == offset {
            return Err("the answer has no whole batch".into());
        }
        moved.bytes += head.record_bytes as u64;
        moved.records += u64::try_from(walk.next_offset - offset)?;
        Ok((walk.next_offset, head.high_watermark))
    }

    /// Reads the answer up to its records; it has one partition, and nothing follows its records.
    fn head(&mut self, size: usize) -> Result<Head> {
        // Correlation id, throttle, error, session, one topic; its name's length.
        const BEFORE_NAME: usize = 4 + 4 + 2 + 4 + 4 + 2;
        // One partition, its number; error, three offsets, no aborted transactions, preferred replica, length of records.
        const AFTER_NAME: usize = 4 + 4 + 2 + 8 * 3 + 4 + 4 + 4;
        let mut bytes = vec![0; BEFORE_NAME + self.topic.len() + AFTER_NAME];
        self.connection.0.read_exact(&mut bytes)?;
        let (_, rest) = bytes.split_at(BEFORE_NAME + self.topic.len() + 8);
        let [e0, e1, h0, h1, h2, h3, h4, h5, h6, h7, ..] = *rest else { return Err("a short answer".into()) };
        let record_bytes = rest.last_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let record_bytes = usize::try_from(record_bytes)?;
        if bytes.len() + record_bytes != size {
            return Err("an answer of another layout".into());
        }
        let high_watermark = i64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7]);
        Ok(Head { error: i16::from_be_bytes([e0, e1]), high_watermark, record_bytes })
    }
}

impl Work for Fetch {
    fn run(&mut self) -> Result<Moved> {
        let mut moved = Moved::default();
        loop {
            for index in 0..self.partitions.len() {
                let (mut offset, mut end) = (0, 1);
                while offset < end {
                    (offset, end) = self.fetch(self.partitions[index], offset, &mut moved)?;
                    if moved.bytes >= self.bytes {
                        return Ok(moved);
                    }
                }
            }
            if moved.bytes == 0 {
                return Err("the partitions are empty".into());
            }
        }
    }
}

/// Where a walk over batches that come in pieces has got to. The last one may be cut off.
struct Walk {
    header: Vec<u8>,
    /// Bytes of the present batch that are still to come.
    skip: usize,
    /// The offset after it.
    after: Option<i64>,
    next_offset: i64,
}

impl Walk {
    fn from(offset: i64) -> Walk {
        Walk { header: Vec::with_capacity(HEADER_BYTES), skip: 0, after: None, next_offset: offset }
    }

    fn over(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip == 0
                && let Some(after) = self.after.take()
            {
                self.next_offset = after;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let (new, rest) = bytes.split_at((HEADER_BYTES - self.header.len()).min(bytes.len()));
            self.header.extend_from_slice(new);
            bytes = rest;
            if self.header.len() == HEADER_BYTES {
                let (batch, size) = BatchView::parse_header(&self.header)?;
                (self.skip, self.after) = (size - HEADER_BYTES, Some(batch.next_offset()));
                self.header.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_wire::batch::{BatchBuilder, Compression};

    #[test]
    fn a_walk_in_pieces_of_any_size_ends_after_the_last_whole_batch() -> Result<()> {
        let mut bytes = Vec::new();
        for index in 0..3 {
            let mut builder = BatchBuilder::new(Compression::None).base_offset(index * 2);
            (0..2).for_each(|_| builder.append(0, None, Some(b"value"), &[]));
            bytes.extend(builder.finish()?);
        }
        let cut = bytes.len() - 1;
        for piece in 1..bytes.len() {
            let (mut whole, mut short) = (Walk::from(0), Walk::from(0));
            bytes.chunks(piece).try_for_each(|chunk| whole.over(chunk))?;
            bytes[..cut].chunks(piece).try_for_each(|chunk| short.over(chunk))?;
            assert_eq!((whole.next_offset, short.next_offset), (6, 4), "pieces of {piece}");
        }
        Ok(())
    }
}
