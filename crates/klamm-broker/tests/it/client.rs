//! A blocking client of a few lines, so that the broker is not tested with the client it was written beside.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use klamm_broker::{Broker, BrokerConfig, Clock};
use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp, batches};
use klamm_wire::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::fetch_response::PartitionData;
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::produce_response::PartitionProduceResponse;
use klamm_wire::protocol::messages::{
    ApiKey, CreateTopicsRequest, CreateTopicsResponse, FetchRequest, InitProducerIdRequest, ProduceRequest,
    RequestHeader, ResponseHeader, TopicName,
};
use klamm_wire::protocol::protocol::{Decodable, Encodable, Request, StrBytes};

pub const NOW: i64 = 1_700_000_000_000;

/// No answer takes longer, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    stream: TcpStream,
    client_id: &'static str,
    correlation_id: i32,
}

impl Client {
    pub fn connect(address: &str) -> Self {
        Self::named(address, "test")
    }

    pub fn named(address: &str, client_id: &'static str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, client_id, correlation_id: 0 }
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_call(version, request).unwrap()
    }

    pub fn try_call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// Sends all before it reads the first answer. Gives those that came before the connection ended.
    pub fn pipeline<R: Request>(&mut self, version: i16, requests: &[R]) -> io::Result<Vec<R::Response>> {
        let first = self.correlation_id + 1;
        for request in requests {
            self.send(version, request)?;
        }
        let last = self.correlation_id;
        let mut answers = Vec::new();
        for id in first..=last {
            self.correlation_id = id;
            answers.extend(self.receive::<R>(version).ok());
        }
        Ok(answers)
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str(self.client_id)));
        header.encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_raw(&frame)
    }

    pub fn send_raw(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(&[&(frame.len() as i32).to_be_bytes(), frame].concat())
    }

    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut frame = self.receive_raw()?;
        let key = ApiKey::try_from(R::KEY).unwrap();
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version)).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id, "answers come in order");
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "nothing follows the answer");
        Ok(response)
    }

    /// Sends bytes that are no whole frame.
    pub fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Everything until the broker closes the connection.
    pub fn read_to_end(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        self.stream.read_to_end(out)
    }

    /// Whether something has come that was not read.
    pub fn is_readable(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let readable = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        readable
    }

    pub fn receive_raw(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; i32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Nothing arrives within this time.
    pub fn has_nothing_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let nothing = self.stream.peek(&mut [0]).is_err();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        nothing
    }

    pub fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
        self.create_response(name, partitions, 1, configs).topics[0].error_code
    }

    pub fn create_response(
        &mut self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) -> CreateTopicsResponse {
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replication)
            .with_configs(configs.collect());
        self.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]))
    }

    /// A new id of an idempotent producer.
    pub fn producer_id(&mut self) -> i64 {
        let answer = self.call(4, &InitProducerIdRequest::default().with_transactional_id(None));
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        answer.producer_id.0
    }

    pub fn produce(&mut self, name: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        let request = produce_request(name, partition, records);
        self.call(9, &request).responses.remove(0).partition_responses.remove(0)
    }

    pub fn fetch(&mut self, name: &str, partition: i32, offset: i64, wait: Duration) -> PartitionData {
        let request = fetch_request(name, partition, offset, wait);
        self.call(12, &request).responses.remove(0).partitions.remove(0)
    }

    /// Every value from `offset` on that is there now.
    pub fn values(&mut self, name: &str, partition: i32, mut offset: i64) -> Vec<String> {
        let mut values = Vec::new();
        loop {
            let data = self.fetch(name, partition, offset, Duration::ZERO);
            assert_eq!(data.error_code, 0);
            let records = data.records.unwrap_or_default();
            if records.is_empty() {
                return values;
            }
            for batch in batches(&records) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                offset = batch.next_offset();
                let mut scratch = Vec::new();
                let records = batch.records(&mut scratch, 1 << 20).unwrap();
                let value = |record: klamm_wire::batch::RecordView<'_>| {
                    String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap()
                };
                values.extend(records.map(|record| value(record.unwrap())));
            }
        }
    }

    /// What a read_committed reader sees, as a client puts it together.
    pub fn committed_values(&mut self, name: &str, partition: i32) -> Vec<String> {
        let (mut values, mut next) = (Vec::new(), 0);
        loop {
            let request = fetch_request(name, partition, next, Duration::ZERO).with_isolation_level(1);
            let data = self.call(12, &request).responses.remove(0).partitions.remove(0);
            assert_eq!(data.error_code, 0);
            let records = data.records.unwrap_or_default();
            if records.is_empty() {
                assert_eq!(next, data.last_stable_offset);
                return values;
            }
            let mut aborted = data.aborted_transactions.unwrap();
            let mut skipping = Vec::new();
            for batch in batches(&records) {
                let batch = batch.unwrap();
                next = batch.next_offset();
                let id = batch.producer().map_or(-1, |stamp| stamp.id);
                aborted.retain(|aborted| {
                    let begins = aborted.first_offset <= batch.last_offset();
                    skipping.extend(begins.then_some(aborted.producer_id.0));
                    !begins
                });
                if batch.is_control() {
                    skipping.retain(|skipped| *skipped != id);
                    continue;
                }
                if batch.is_transactional() && skipping.contains(&id) {
                    continue;
                }
                let mut scratch = Vec::new();
                for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                    values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
                }
            }
        }
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

pub fn produce_request(name: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

pub fn fetch_request(name: &str, partition: i32, offset: i64, wait: Duration) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    FetchRequest::default()
        .with_max_wait_ms(wait.as_millis() as i32)
        .with_min_bytes(1)
        .with_max_bytes(1 << 24)
        .with_topics(vec![FetchTopic::default().with_topic(topic(name)).with_partitions(vec![partition])])
}

pub fn batch(values: &[&str]) -> Bytes {
    compressed(Compression::None, values)
}

pub fn compressed(codec: Compression, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        builder.append(NOW, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap().into()
}

pub fn idempotent(id: i64, epoch: i16, base_sequence: i32, value: &str) -> Bytes {
    let stamp = ProducerStamp { id, epoch, base_sequence };
    let mut builder = BatchBuilder::new(Compression::None).producer(stamp);
    builder.append(NOW, Some(b"key"), Some(value.as_bytes()), &[]);
    builder.finish().unwrap().into()
}

/// The defaults, and data that stays in `dir`.
pub fn kept_in(dir: &Path) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    config.data_dir = Some(dir.to_owned());
    config
}

/// The same with a clock that the test holds.
pub fn kept_and_held(dir: &Path, clock: &Clock) -> BrokerConfig {
    let mut config = kept_in(dir);
    config.clock = clock.clone();
    config
}

pub async fn start() -> Broker {
    Broker::start(BrokerConfig::default()).await.unwrap()
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// A number from the environment: a seed, or how long to go on.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
