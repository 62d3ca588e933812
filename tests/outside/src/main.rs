//! Sends one record: `outside BOOTSTRAP TOPIC`.

use klamm::{ClientOptions, DurableProducer, Record, TopicContract};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [bootstrap, topic] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "outside BOOTSTRAP TOPIC")?;
    let producer =
        DurableProducer::connect(&ClientOptions::new([bootstrap]), TopicContract::strong(&topic)).await?;
    let receipt = producer.send(Record::new(&topic).key("4711").value("paid")).await?.await?;
    println!("stored in {topic}, partition {}, offset {}", receipt.partition, receipt.offset);
    Ok(())
}
