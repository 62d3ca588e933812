//! Holds a service to its contract: durable producer, consumer loop.
//!
//! * A [`DurableProducer`] is built from a topic's contract. It asks the live cluster before the first send and refuses,
//!   with the breaches, when the cluster would not keep what the contract promises. Every send has an outcome.
//! * A [`ConsumerLoop`] runs a [`Handler`] over the batches of a group: in order within a partition, partitions side by side.
//!   It commits only work that is finished, and never steps over a record that is not.
//!
//! There is no protocol here: a user who wants only Kafka takes `klamm-client`.

mod consumer;
mod error;
mod latency;
mod producer;

pub use consumer::{
    ConsumerLoop, ConsumerStats, Handler, HandlerError, LoopOptions, LoopReport, PartitionFailure,
    PartitionStats, Retries, Work,
};
pub use error::{ConnectError, ConnectErrorKind, SendError, SendErrorKind};
pub use latency::Latency;
pub use producer::{BatchPending, DurableProducer, Pending, ProducerStats};
