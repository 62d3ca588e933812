//! klamm: from requirements to proven production on Apache Kafka.
fn main() {}
