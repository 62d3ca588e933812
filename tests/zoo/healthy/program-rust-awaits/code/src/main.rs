use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};

async fn run(brokers: &str) -> anyhow::Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("security.protocol", "ssl")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "zstd")
        .create()?;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("security.protocol", "ssl")
        .set("group.id", "shipping")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&["orders"])?;
    loop {
        let message = consumer.recv().await?;
        let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
        let record = FutureRecord::to("shipments").key(key).payload(value);
        producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
        consumer.commit_message(&message, CommitMode::Sync)?;
    }
}
