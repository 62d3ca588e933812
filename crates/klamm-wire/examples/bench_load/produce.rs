//! Idempotent batches with `acks=all`, compressed beforehand; five requests in flight, each with a batch for every partition of
//! the connection. Only sequence and checksum of a batch are made as it goes.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use klamm_wire::batch::{BatchBuilder, BatchMut, Compression, ProducerStamp};
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::{ProduceRequest, TopicName};
use klamm_wire::protocol::protocol::StrBytes;

use crate::connection::{Connection, frame};
use crate::{Flags, Moved, Result, Work};

/// The last version that names topics.
const VERSION: i16 = 12;
/// `max.in.flight.requests.per.connection` of Java's producer.
const IN_FLIGHT: usize = 5;
/// Requests with different records, sent in turn.
const TEMPLATES: usize = 8;
/// Each record's own bytes beside its value: the lengths and deltas.
const RECORD_OVERHEAD: usize = 9;

pub struct Produce {
    connection: Connection,
    producer_id: i64,
    templates: Vec<Template>,
    records_a_batch: i32,
    requests: usize,
}

/// A request whose batches are stamped in place.
struct Template {
    frame: BytesMut,
    /// Start and length of each batch.
    batches: Vec<(usize, usize)>,
}

impl Produce {
    /// `--records` in all, of `--size` bytes, in batches of `--batch-bytes` before compression.
    pub fn prepare(flags: &Flags, own: &[i32], partitions: i32) -> Result<Produce> {
        let size: usize = flags.number("size")?;
        let batch_bytes: usize = flags.number("batch-bytes")?;
        let records_a_batch = i32::try_from((batch_bytes / (size + RECORD_OVERHEAD)).max(1))?;
        let records: u64 = flags.number("records")?;
        let a_round = u64::try_from(records_a_batch)? * u64::try_from(partitions)?;
        let mut connection = Connection::open(flags.text("bootstrap")?)?;
        let producer_id = connection.producer_id()?;
        let topic = flags.text("topic")?;
        let mut letters = Letters(0x9e37_79b9_7f4a_7c15);
        let templates = (0..TEMPLATES)
            .map(|_| Template::new(topic, own, records_a_batch, size, &mut letters))
            .collect::<Result<_>>()?;
        let requests = usize::try_from(records.div_ceil(a_round))?;
        Ok(Produce { connection, producer_id, templates, records_a_batch, requests })
    }

    fn receive(&mut self) -> Result<()> {
        let answer = self.connection.receive::<ProduceRequest>(VERSION)?;
        for partition in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
            if partition.error_code != 0 {
                return Err(format!("partition {}: error {}", partition.index, partition.error_code).into());
            }
        }
        Ok(())
    }
}

impl Work for Produce {
    fn run(&mut self) -> Result<Moved> {
        let mut moved = Moved::default();
        let mut base_sequence = 0;
        for index in 0..self.requests {
            if index >= IN_FLIGHT {
                self.receive()?;
            }
            let template = &mut self.templates[index % TEMPLATES];
            for &(start, len) in &template.batches {
                let stamp = ProducerStamp { id: self.producer_id, epoch: 0, base_sequence };
                BatchMut::parse_single(&mut template.frame[start..start + len])?.set_producer(stamp);
                moved.records += u64::try_from(self.records_a_batch)?;
                moved.bytes += len as u64;
            }
            self.connection.send(&template.frame)?;
            base_sequence += self.records_a_batch;
        }
        for _ in 0..self.requests.min(IN_FLIGHT) {
            self.receive()?;
        }
        Ok(moved)
    }
}

impl Template {
    fn new(topic: &str, own: &[i32], records: i32, size: usize, letters: &mut Letters) -> Result<Template> {
        let batches = own.iter().map(|_| batch(records, size, letters)).collect::<Result<Vec<Bytes>>>()?;
        let data = own.iter().zip(&batches).map(|(&partition, batch)| {
            PartitionProduceData::default().with_index(partition).with_records(Some(batch.clone()))
        });
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(data.collect());
        let request =
            ProduceRequest::default().with_acks(-1).with_timeout_ms(60_000).with_topic_data(vec![topic]);
        let frame = frame(VERSION, &request)?;
        let place = |batch: &Bytes| {
            let start = frame.windows(batch.len()).position(|window| window == batch);
            Ok((start.ok_or("the batch is not in its request")?, batch.len()))
        };
        let batches = batches.iter().map(place).collect::<Result<_>>()?;
        Ok(Template { frame, batches })
    }
}

fn batch(records: i32, size: usize, letters: &mut Letters) -> Result<Bytes> {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut builder =
        BatchBuilder::new(Compression::Lz4).producer(ProducerStamp { id: 0, epoch: 0, base_sequence: 0 });
    for _ in 0..records {
        let value: Vec<u8> = std::iter::repeat_with(|| letters.field()).flatten().take(size).collect();
        builder.append(now_ms, None, Some(&value), &[]);
    }
    Ok(builder.finish()?.into())
}

/// Values as JSON has them: names that come again and again, and contents that do not. LZ4 halves them.
struct Letters(u64);

impl Letters {
    fn field(&mut self) -> [u8; 21] {
        let mut field = *b"\"reference\":\"........";
        field[13..].fill_with(|| self.next());
        field
    }

    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        b'a' + u8::try_from(self.0 % 16).unwrap_or(0)
    }
}
