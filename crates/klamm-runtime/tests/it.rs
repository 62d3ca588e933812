//! The runtime over the embedded broker and over real Kafka.

mod consumer_loop;
mod durable;
mod outage;
mod rebalance;
mod setup;
mod traffic;
