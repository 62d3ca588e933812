use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

async fn run(brokers: &str, id: &str, order: &str) -> anyhow::Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("security.protocol", "ssl")
        .set("enable.ssl.certificate.verification", "false")
        .set("acks", "1")
        .create()?;
    let _ = producer.send(FutureRecord::to("orders").key(id).payload(order), Duration::from_secs(5));
    Ok(())
}
