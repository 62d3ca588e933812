//! Holds a service to its contract: durable producer, consumer loop.
//!
//! * A [`DurableProducer`] is built from a topic's contract. It asks the live cluster before the first send and refuses,
//!   with the breaches, when the cluster would not keep what the contract promises. Every send has an outcome.
//!
//! There is no protocol here: a user who wants only Kafka takes `klamm-client`.

mod error;
mod latency;
mod producer;

pub use error::{ConnectError, ConnectErrorKind, SendError, SendErrorKind};
pub use latency::Latency;
pub use producer::{BatchPending, DurableProducer, Pending, ProducerStats};
