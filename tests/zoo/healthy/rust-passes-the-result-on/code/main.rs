use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};

pub async fn pay(producer: &FutureProducer, id: &str, body: &str) -> Result<(), KafkaError> {
    let record = FutureRecord::to("payments").key(id).payload(body);
    producer.send(record, Duration::from_secs(5)).await.map(|_| ()).map_err(|(error, _)| error)
}

pub fn producer(brokers: &str) -> Result<FutureProducer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .create()
}
