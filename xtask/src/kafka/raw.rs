//! Just enough of Kafka's protocol, by hand: who is there, create and delete a topic, produce one record.
//!
//! This crate depends on no crate of ours, so that what it says about them it says from outside. The versions used
//! are old enough to be laid out plainly and new enough for brokers of 4.x (KIP-896).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// No answer to what is asked here is anywhere near this.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How long the controller may take to create many topics.
const CREATION_MS: i32 = 300_000;

const TOPIC_ALREADY_EXISTS: i16 = 36;

/// A connection to one broker on loopback.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects to a port of 127.0.0.1.
    pub fn connect(port: u16) -> Result<Raw> {
        Raw::connect_for(port, PATIENCE)
    }

    /// Connects, for requests that may take as long as `patience`.
    pub fn connect_for(port: u16, patience: Duration) -> Result<Raw> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Raw { stream })
    }

    /// The connection itself, to be held open.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The ids of the brokers that this one knows to be alive. A KRaft broker answers requests only after the
    /// controller has unfenced it, so any answer means that this one is registered and serving.
    pub fn live_brokers(&mut self) -> Result<Vec<i32>> {
        // Metadata 1: an empty list means no topics.
        let answer = self.call(3, 1, &Body::default().i32(0))?;
        brokers(&answer)
    }

    /// How many partitions of all topics have a leader, as metadata tells it.
    pub fn led_partitions(&mut self) -> Result<usize> {
        // Metadata 1: a null list means all topics.
        let answer = self.call(3, 1, &Body::default().i32(-1))?;
        led_partitions(&answer)
    }

    /// Creates topics in one request.
    pub fn create_topics(&mut self, names: &[String], partitions: i32, replicas: i16) -> Result<()> {
        // CreateTopics 2: no assignments, no settings; not only validated.
        let all = names.iter().fold(Body::default().i32(i32::try_from(names.len())?), |all, name| {
            all.string(name).i32(partitions).i16(replicas).i32(0).i32(0)
        });
        let answer = self.call(19, 2, &all.i32(CREATION_MS).i8(0))?;
        let mut rest = Answer(&answer);
        rest.i32()?; // throttle
        for _ in 0..rest.i32()? {
            rest.string()?;
            let code = rest.i16()?;
            ensure!(code == 0, "a topic was not created: error {code}");
            rest.string()?; // message
        }
        Ok(())
    }

    /// Creates a topic; one that exists already is left as it is.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        // CreateTopics 2: no assignments, 10 s, not only validated.
        let topic = Body::default().i32(1).string(name).i32(partitions).i16(replicas).i32(0);
        let topic = topic.i32(i32::try_from(configs.len())?);
        let topic = configs.iter().fold(topic, |topic, (name, value)| topic.string(name).string(value));
        let answer = self.call(19, 2, &topic.i32(10_000).i8(0))?;
        let mut rest = Answer(&answer);
        rest.i32()?; // throttle
        ensure!(rest.i32()? == 1, "an answer about another number of topics");
        rest.string()?;
        match rest.i16()? {
            0 | TOPIC_ALREADY_EXISTS => Ok(()),
            code => bail!("topic {name} was not created: error {code}"),
        }
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        // DeleteTopics 1.
        let answer = self.call(20, 1, &Body::default().i32(1).string(name).i32(10_000))?;
        let mut rest = Answer(&answer);
        rest.i32()?; // throttle
        ensure!(rest.i32()? == 1, "an answer about another number of topics");
        rest.string()?;
        let code = rest.i16()?;
        ensure!(code == 0, "topic {name} was not deleted: error {code}");
        Ok(())
    }

    /// Writes one record to partition 0 with acks=all and returns its offset.
    pub fn produce_one(&mut self, topic: &str, value: &[u8]) -> Result<i64> {
        self.produce_to(topic, 0, value)
    }

    /// Writes one record to a partition with acks=all and returns its offset.
    pub fn produce_to(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<i64> {
        // Of now: retention removes what is old.
        let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let batch = batch_of_one(value, now_ms);
        // Produce 3: no transaction, acks=all, 10 s.
        let head = Body::default().i16(-1).i16(-1).i32(10_000);
        let request = head.i32(1).string(topic).i32(1).i32(partition);
        let request = request.i32(i32::try_from(batch.len())?).bytes(&batch);
        let answer = self.call(0, 3, &request)?;
        let mut rest = Answer(&answer);
        rest.i32()?; // one topic
        rest.string()?;
        rest.i32()?; // one partition
        rest.i32()?; // its number
        match rest.i16()? {
            0 => rest.i64(),
            code => bail!("the record was not taken: error {code}"),
        }
    }

    fn call(&mut self, api_key: i16, version: i16, body: &Body) -> Result<Vec<u8>> {
        let header = Body::default().i16(api_key).i16(version).i32(0).string("xtask");
        let size = i32::try_from(header.0.len() + body.0.len())?;
        self.stream.write_all(&[&size.to_be_bytes()[..], &header.0, &body.0].concat())?;

        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).context("negative frame size")?;
        ensure!((4..=MAX_ANSWER_BYTES).contains(&size), "an answer of {size} bytes");
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.split_off(4)) // after the correlation id
    }
}

/// Kafka's big-endian encoding.
#[derive(Debug, Default)]
struct Body(Vec<u8>);

impl Body {
    fn bytes(mut self, bytes: &[u8]) -> Body {
        self.0.extend_from_slice(bytes);
        self
    }

    fn i8(self, value: i8) -> Body {
        self.bytes(&value.to_be_bytes())
    }

    fn i16(self, value: i16) -> Body {
        self.bytes(&value.to_be_bytes())
    }

    fn i32(self, value: i32) -> Body {
        self.bytes(&value.to_be_bytes())
    }

    fn i64(self, value: i64) -> Body {
        self.bytes(&value.to_be_bytes())
    }

    fn string(self, text: &str) -> Body {
        // Names here are ours and short.
        self.i16(text.len() as i16).bytes(text.as_bytes())
    }

    fn varint(self, value: i32) -> Body {
        let mut rest = ((value << 1) ^ (value >> 31)) as u32;
        let mut body = self;
        while rest >= 0x80 {
            body = body.bytes(&[(rest & 0x7f) as u8 | 0x80]);
            rest >>= 7;
        }
        body.bytes(&[rest as u8])
    }
}

/// A record batch of format 2 with one record: no key, no headers, no producer id.
fn batch_of_one(value: &[u8], timestamp_ms: i64) -> Vec<u8> {
    let length = value.len() as i32;
    // Attributes, timestamp delta, offset delta, no key; the value; no headers.
    let record = Body::default().i8(0).varint(0).varint(0).varint(-1).varint(length).bytes(value).varint(0);
    let checked = Body::default()
        .i16(0) // attributes
        .i32(0) // last offset delta
        .i64(timestamp_ms) // base timestamp
        .i64(timestamp_ms) // max timestamp
        .i64(-1) // producer id
        .i16(-1) // producer epoch
        .i32(-1) // base sequence
        .i32(1) // records
        .varint(record.0.len() as i32)
        .bytes(&record.0);
    let checksum = crc32c::crc32c(&checked.0) as i32;
    let after_length = Body::default().i32(-1).i8(2).i32(checksum).bytes(&checked.0);
    Body::default().i64(0).i32(after_length.0.len() as i32).bytes(&after_length.0).0
}

struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().context("the answer ends early")?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.take().map(i64::from_be_bytes)
    }

    /// Skips a string; a null one has the length -1.
    fn string(&mut self) -> Result<()> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        self.0 = self.0.get(length..).context("the answer ends early")?;
        Ok(())
    }
}

fn brokers(answer: &[u8]) -> Result<Vec<i32>> {
    let mut rest = Answer(answer);
    let count = rest.i32()?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(rest.i32()?);
        rest.string()?; // host
        rest.i32()?; // port
        rest.string()?; // rack
    }
    Ok(ids)
}

/// Partitions with a leader in an answer to Metadata 1.
fn led_partitions(answer: &[u8]) -> Result<usize> {
    let mut rest = Answer(answer);
    for _ in 0..rest.i32()? {
        rest.i32()?; // id
        rest.string()?; // host
        rest.i32()?; // port
        rest.string()?; // rack
    }
    rest.i32()?; // controller
    let mut led = 0;
    for _ in 0..rest.i32()? {
        rest.i16()?; // error
        rest.string()?;
        rest.take::<1>()?; // internal
        for _ in 0..rest.i32()? {
            rest.i16()?; // error
            rest.i32()?; // number
            led += usize::from(rest.i32()? >= 0);
            for _ in ["replicas", "in sync"] {
                for _ in 0..rest.i32()? {
                    rest.i32()?;
                }
            }
        }
    }
    Ok(led)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_without_a_leader_do_not_count() -> Result<()> {
        let partition = |body: Body, leader| body.i16(0).i32(0).i32(leader).i32(1).i32(1).i32(1).i32(1);
        let head = Body::default().i32(1).i32(1).string("h").i32(9092).i16(-1).i32(1);
        let topic = head.i32(1).i16(0).string("t").i8(0).i32(3);
        let answer = partition(partition(partition(topic, 1), -1), 1);
        assert_eq!(led_partitions(&answer.0)?, 2);
        assert!(led_partitions(&answer.0[..answer.0.len() - 1]).is_err());
        Ok(())
    }

    #[test]
    fn brokers_are_read_from_an_answer_with_and_without_rack() -> Result<()> {
        let mut answer = vec![0, 0, 0, 2];
        answer.extend([0, 0, 0, 1, 0, 1, b'h', 0, 0, 35, 40, 0, 1, b'a']);
        answer.extend([0, 0, 0, 7, 0, 1, b'h', 0, 0, 35, 41, 255, 255]);
        assert_eq!(brokers(&answer)?, [1, 7]);
        Ok(())
    }

    #[test]
    fn a_truncated_answer_is_an_error() {
        assert!(brokers(&[0, 0, 0, 2, 0]).is_err());
        assert!(brokers(&[]).is_err());
    }

    #[test]
    fn a_batch_is_as_long_as_it_says() {
        let batch = batch_of_one(b"hello", 1);
        let length = i32::from_be_bytes([batch[8], batch[9], batch[10], batch[11]]);
        assert_eq!(batch.len(), 12 + length as usize);
    }
}
