//! What tests wait with. Clusters as a test's parameter (`cluster.rs`, `scenario.rs`) join when the embedded broker starts.

mod wait;

pub use anyhow;
pub use wait::{Settles, eventually};
pub use xtask::kafka::{Controller, Kafka, KafkaOptions, Listeners};
