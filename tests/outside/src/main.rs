//! Sends one record: `outside BOOTSTRAP TOPIC`.

mod contracts;

use klamm::{ClientOptions, DurableProducer, Record, TopicContract};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [bootstrap, topic] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "outside BOOTSTRAP TOPIC")?;
    // The exported contract of the orders example, on a topic of this program's own.
    let contract = TopicContract { topic: topic.clone(), ..contracts::topic_orders_events() };
    let producer = DurableProducer::connect(&ClientOptions::new([bootstrap]), contract).await?;
    println!("group {} would read it", contracts::group_order_view().group);
    let receipt = producer.send(Record::new(&topic).key("4711").value("paid")).await?.await?;
    println!("stored in {topic}, partition {}, offset {}", receipt.partition, receipt.offset);
    Ok(())
}
