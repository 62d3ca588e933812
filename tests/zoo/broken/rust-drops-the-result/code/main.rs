use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

pub async fn pay(producer: &FutureProducer, id: &str, body: &str) {
    let _ = producer.send(FutureRecord::to("payments").key(id).payload(body), Duration::from_secs(5)).await;
}

pub fn producer(brokers: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .create()
        .expect("a valid configuration")
}
