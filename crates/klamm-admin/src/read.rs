//! Reading a partition back, record by record, exactly as it is stored.

use std::time::Duration;

use klamm_kafka::ErrorCode;
use klamm_wire::CallOptions;
use klamm_wire::batch::{
    AbortedTransaction, AbortedTransactions, BatchError, BatchView, RecordView, batches,
};
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::{BrokerId, FetchRequest};
use tokio::time::{Instant, sleep};

use crate::Admin;
use crate::error::{AdminError, AdminErrorKind};
use crate::metadata::topic_name;
use crate::pace::Peer;
use crate::retry::{Repeat, backoff};

/// Bytes of one fetch. A larger batch still comes whole (KIP-74).
const FETCH_BYTES: i32 = 8 << 20;
/// How long a broker may wait for records before it answers with none.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// Most bytes that one batch may become when it is decompressed.
const BATCH_LIMIT_BYTES: usize = 256 << 20;
/// The same for [`Admin::fetch_batches`]: who looks around in foreign topics must not be made to hold so much.
const FOREIGN_BATCH_LIMIT_BYTES: usize = 64 << 20;

/// From version 13 on topics are named by id, which buys nothing here; 12 is spoken by every broker since 2.7, and
/// older ones speak less.
pub(crate) const FETCH_VERSION: i16 = 12;

/// Which records of transactions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    ReadUncommitted = 0,
    ReadCommitted = 1,
}

/// Where in a partition reading is.
struct Place<'a> {
    topic: &'a str,
    partition: i32,
    next: i64,
    until: i64,
    isolation: Isolation,
    fetch_bytes: i32,
    batch_limit_bytes: usize,
}

/// What [`Admin::fetch_batches`] reads.
#[derive(Debug, Clone, Copy)]
pub struct BatchFetch<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Its leader, when that is known; it is looked up when not, or when another broker leads by now.
    pub leader: Option<i32>,
    /// First offset that is wanted.
    pub from: i64,
    /// Offset after the last that is wanted.
    pub until: i64,
    /// Bytes of the fetch as stored; at least one batch comes.
    pub fetch_bytes: i32,
}

/// What became of an [`Admin::fetch_batches`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchesRead {
    /// Where the next fetch goes on.
    pub next: i64,
    /// Bytes that came over the wire, those beyond `until` included.
    pub bytes: u64,
}

/// What one fetch brought.
struct Fetched {
    records: bytes::Bytes,
    /// Producer ids of aborted transactions, each with the transaction's first offset.
    aborted: Vec<AbortedTransaction>,
}

impl Admin {
    /// Gives every record with an offset in `from..until` to `each`, in order, and returns the next offset.
    ///
    /// What is read is the committed log (up to the high watermark), including records of transactions that are open
    /// or were aborted; control records are left out. `until` is at most the partition's latest offset
    /// ([`OffsetSpec::Latest`](crate::OffsetSpec::Latest)): reading waits for no new records. CRCs are checked.
    ///
    /// # Errors
    /// `Timeout` when nothing arrives within `api_timeout`; `Corrupt` names the offset; OFFSET_OUT_OF_RANGE when
    /// `from` is not stored any more. Records up to there have been given to `each`.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        until: i64,
        each: &mut (impl FnMut(RecordView<'_>) + Send),
    ) -> Result<i64, AdminError> {
        let isolation = Isolation::ReadUncommitted;
        let (fetch_bytes, batch_limit_bytes) = (FETCH_BYTES, BATCH_LIMIT_BYTES);
        let mut place =
            Place { topic, partition, next: from, until, isolation, fetch_bytes, batch_limit_bytes };
        while place.next < until {
            self.advance(&mut place, None, &mut |_, record| each(record)).await?;
        }
        Ok(place.next)
    }

    /// [`read`](Self::read) without the records of aborted transactions, in fetches of about `fetch_bytes` as stored.
    /// `until` is at most the partition's last stable offset
    /// ([`OffsetSpec::LatestStable`](crate::OffsetSpec::LatestStable)).
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn read_committed(
        &self,
        topic: &str,
        partition: i32,
        (from, until): (i64, i64),
        fetch_bytes: i32,
        each: &mut (impl FnMut(RecordView<'_>) + Send),
    ) -> Result<i64, AdminError> {
        let mut next = from;
        while next < until {
            next = self.fetch_committed(topic, partition, (next, until), fetch_bytes, each).await?;
        }
        Ok(next)
    }

    /// Gives the records with offsets in `from..until` of one fetch of about `fetch_bytes` (as stored; at least one
    /// batch) to `each`, in order, and returns the next offset. Otherwise as [`read_committed`](Self::read_committed).
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn fetch_committed(
        &self,
        topic: &str,
        partition: i32,
        (from, until): (i64, i64),
        fetch_bytes: i32,
        each: &mut (impl FnMut(RecordView<'_>) + Send),
    ) -> Result<i64, AdminError> {
        let isolation = Isolation::ReadCommitted;
        let batch_limit_bytes = BATCH_LIMIT_BYTES;
        let mut place =
            Place { topic, partition, next: from, until, isolation, fetch_bytes, batch_limit_bytes };
        if from < until {
            self.advance(&mut place, None, &mut |_, record| each(record)).await?;
        }
        Ok(place.next)
    }

    /// Gives the records of one fetch to `each`, each with the batch that it is stored in: its codec, who set its
    /// timestamps, whether it belongs to a transaction. Otherwise as [`fetch_committed`](Self::fetch_committed); with a
    /// `leader` that is right the fetch is the only request.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn fetch_batches(
        &self,
        wanted: BatchFetch<'_>,
        each: &mut (impl FnMut(&BatchView<'_>, RecordView<'_>) + Send),
    ) -> Result<BatchesRead, AdminError> {
        let BatchFetch { topic, partition, leader, from, until, fetch_bytes } = wanted;
        let (isolation, batch_limit_bytes) = (Isolation::ReadCommitted, FOREIGN_BATCH_LIMIT_BYTES);
        let mut place =
            Place { topic, partition, next: from, until, isolation, fetch_bytes, batch_limit_bytes };
        let mut bytes = 0;
        if from < until {
            bytes = self.advance(&mut place, leader, each).await?;
        }
        Ok(BatchesRead { next: place.next, bytes })
    }

    /// One fetch, tried again until it has brought something; and the bytes that came.
    async fn advance(
        &self,
        place: &mut Place<'_>,
        leader: Option<i32>,
        each: &mut (impl FnMut(&BatchView<'_>, RecordView<'_>) + Send),
    ) -> Result<u64, AdminError> {
        let (topic, partition, before) = (place.topic, place.partition, place.next);
        let named = match leader {
            Some(leader) => self.cluster.broker(leader).await.ok(),
            None => None,
        };
        let mut leader = match named {
            Some(leader) => leader,
            None => self.likely_leader(topic, partition).await?,
        };
        let (started, mut tries, mut bytes) = (Instant::now(), 0, 0);
        loop {
            let failed = match fetch(&leader, place).await {
                Ok(fetched) => {
                    bytes += fetched.records.len() as u64;
                    place.take(&fetched, each)?;
                    None
                }
                Err(error) if error.is_retryable() => Some(error),
                Err(error) => return Err(error),
            };
            if place.next > before {
                return Ok(bytes);
            }
            let limit = self.api_timeout;
            if started.elapsed() >= limit {
                let what = format!("read topic {topic} partition {partition} at offset {before}");
                return Err(AdminError::timeout(&what, limit, failed.as_ref()));
            }
            if failed.is_some() {
                sleep(backoff(tries, 0.5)).await;
                tries += 1;
                leader = self.leader(topic, partition).await?;
            }
        }
    }

    /// Whoever led when metadata was last asked: when that has changed, the broker says so.
    async fn likely_leader(&self, topic: &str, partition: i32) -> Result<Peer, AdminError> {
        if let Some(leader) = self.cluster.last_leader(topic, partition)
            && let Ok(peer) = self.cluster.broker(leader).await
        {
            return Ok(peer);
        }
        self.leader(topic, partition).await
    }

    async fn leader(&self, topic: &str, partition: i32) -> Result<Peer, AdminError> {
        self.retry(
            &format!("find the leader of topic {topic} partition {partition}"),
            Repeat::Always,
            || async {
                let leader = self.cluster.topic(topic).await?.leader_of(partition)?;
                self.cluster.broker(leader).await
            },
        )
        .await
    }
}

async fn fetch(leader: &Peer, place: &Place<'_>) -> Result<Fetched, AdminError> {
    let partition = FetchPartition::default()
        .with_partition(place.partition)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_fetch_offset(place.next)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(place.fetch_bytes);
    let topic = FetchTopic::default().with_topic(topic_name(place.topic)).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(FETCH_WAIT.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(place.fetch_bytes)
        .with_isolation_level(place.isolation as i8)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let options = CallOptions { max_version: Some(FETCH_VERSION), timeout: None };
    let answer = leader.call_with(&request, options).await?;
    let resource = format!("topic {} partition {}", place.topic, place.partition);
    let refused = |code, at: &str| AdminError::kafka(code, None, "read", &format!("{resource}{at}"));
    ErrorCode::from(answer.error_code).ok().map_err(|code| refused(code, ""))?;
    let told = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
    let told =
        told.ok_or_else(|| AdminError::unexpected(format!("the answer says nothing about {resource}")))?;
    let at = format!(" offset {}", place.next);
    ErrorCode::from(told.error_code).ok().map_err(|code| refused(code, &at))?;
    let aborted = told.aborted_transactions.unwrap_or_default();
    let aborted = aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id.0,
        first_offset: aborted.first_offset,
    });
    let aborted = aborted.collect();
    Ok(Fetched { records: told.records.unwrap_or_default(), aborted })
}

impl Place<'_> {
    fn take(
        &mut self,
        fetched: &Fetched,
        each: &mut impl FnMut(&BatchView<'_>, RecordView<'_>),
    ) -> Result<(), AdminError> {
        let (from, mut scratch) = (self.next, Vec::new());
        let mut aborted = AbortedTransactions::new(fetched.aborted.clone());
        for batch in batches(&fetched.records) {
            let batch = batch.map_err(|error| self.corrupt(error))?;
            // Before anything of the header is believed: a batch that is passed over by mistake is lost.
            batch.verify_crc().map_err(|error| self.corrupt(error))?;
            let skipped = aborted.hide(&batch) || batch.is_control();
            if batch.next_offset() <= self.next {
                continue;
            }
            if batch.base_offset() >= self.until {
                self.next = self.until;
                return Ok(());
            }
            if !skipped {
                let records = batch.records(&mut scratch, self.batch_limit_bytes);
                let records = records.map_err(|error| self.corrupt(error))?;
                for record in records {
                    let record = record.map_err(|error| self.corrupt(error))?;
                    // A fetch starts with the whole batch that holds the offset, and may go beyond what is wanted.
                    if (from..self.until).contains(&record.offset) {
                        each(&batch, record);
                    }
                }
            }
            // Compaction and markers leave gaps: the batch, not its last record, says where the next one starts.
            self.next = batch.next_offset().min(self.until);
        }
        Ok(())
    }

    fn corrupt(&self, source: BatchError) -> AdminError {
        let (topic, partition, offset) = (self.topic.to_owned(), self.partition, self.next);
        AdminError::new(AdminErrorKind::Corrupt { topic, partition, offset, source })
    }
}

#[cfg(test)]
mod tests {
    use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp};

    use super::*;

    fn batch(base: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::Lz4).base_offset(base);
        for value in values {
            builder.append(1, None, Some(value), &[]);
        }
        builder.finish().expect("not empty")
    }

    fn place(next: i64, until: i64) -> Place<'static> {
        let isolation = Isolation::ReadCommitted;
        let (fetch_bytes, batch_limit_bytes) = (FETCH_BYTES, BATCH_LIMIT_BYTES);
        Place { topic: "t", partition: 0, next, until, isolation, fetch_bytes, batch_limit_bytes }
    }

    fn fetched(records: &[u8], aborted: &[(i64, i64)]) -> Fetched {
        let one = |(producer_id, first_offset): &(i64, i64)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
        };
        let aborted = aborted.iter().map(one).collect();
        Fetched { records: bytes::Bytes::copy_from_slice(records), aborted }
    }

    fn offsets(place: &mut Place<'_>, bytes: &[u8]) -> Vec<i64> {
        let mut seen = Vec::new();
        place.take(&fetched(bytes, &[]), &mut |_, record| seen.push(record.offset)).expect("sound");
        seen
    }

    #[test]
    fn records_outside_the_range_are_left_out_and_gaps_are_stepped_over() {
        let log = [batch(0, &[b"a", b"b", b"c"]), batch(10, &[b"d", b"e"])].concat();
        let mut reading = place(1, 11);
        assert_eq!(offsets(&mut reading, &log), [1, 2, 10]);
        assert_eq!(reading.next, 11);
        let mut gap = place(3, 8);
        assert_eq!(offsets(&mut gap, &log), [0_i64; 0]);
        assert_eq!(gap.next, 8);
    }

    #[test]
    fn a_batch_that_is_cut_off_is_left_for_the_next_fetch() {
        let log = [batch(0, &[b"a"]), batch(1, &[b"b"])].concat();
        let mut reading = place(0, 2);
        assert_eq!(offsets(&mut reading, &log[..log.len() - 1]), [0]);
        assert_eq!(reading.next, 1);
    }

    #[test]
    fn damage_in_a_header_passes_nothing_over() {
        for at in 16..61 {
            let mut log = batch(7, &[b"a", b"b"]);
            log[at] ^= 0x80;
            let mut place = place(7, 9);
            assert!(place.take(&fetched(&log, &[]), &mut |_, _| ()).is_err() && place.next == 7, "byte {at}");
        }
    }

    #[test]
    fn damage_names_the_offset() {
        let mut log = batch(7, &[b"a"]);
        let last = log.len() - 1;
        log[last] ^= 1;
        let error = place(7, 8).take(&fetched(&log, &[]), &mut |_, _| ()).expect_err("damaged");
        assert!(error.to_string().starts_with("topic t partition 0 at offset 7: "), "{error}");
    }

    #[test]
    fn records_of_aborted_transactions_are_left_out_until_their_marker() {
        let stamp = |id| ProducerStamp { id, epoch: 0, base_sequence: 0 };
        let write = |base, id, value: &[u8]| {
            let mut builder =
                BatchBuilder::new(Compression::None).base_offset(base).producer(stamp(id)).transactional();
            builder.append(1, None, Some(value), &[]);
            builder.finish().expect("not empty")
        };
        let marker = |base, id| {
            let mut builder = BatchBuilder::new(Compression::None)
                .base_offset(base)
                .producer(stamp(id))
                .transactional()
                .control();
            builder.append(1, Some(&[0, 0, 0, 0]), Some(&[0; 6]), &[]);
            builder.finish().expect("not empty")
        };
        let log = [
            write(0, 7, b"aborted"),
            write(1, 8, b"committed"),
            marker(2, 7),
            write(3, 7, b"of the next"),
            marker(4, 7),
            write(5, 7, b"aborted, too"),
            batch(6, &[b"of no transaction"]),
        ]
        .concat();
        let (mut place, mut seen) = (place(0, 7), Vec::new());
        let fetched = fetched(&log, &[(7, 0), (7, 5)]);
        place.take(&fetched, &mut |_, record| seen.push(record.offset)).expect("sound");
        assert_eq!((seen, place.next), (vec![1, 3, 6], 7));
    }
}
