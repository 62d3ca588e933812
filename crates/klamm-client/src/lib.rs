//! The Kafka client: batches in, batches out.
//!
//! * A [`Producer`] takes a [`Record`] or a whole [`RecordSet`] and resolves each record to a [`Receipt`] or to a
//!   [`ProduceError`] that says whether the record may be in the log all the same.
//! * A [`Consumer`] of a group hands over [`FetchedBatch`]es, whose records are borrowed views, and tells what happens
//!   to its partitions as [`Event`]s. Nothing is committed unless it is asked to.
//!
//! The unit that moves is the batch. Memory is bounded on both paths: a producer makes its caller wait, a consumer
//! stops fetching a partition while too many of its bytes are held.
//!
//! Members of groups read through librdkafka for now, in one private module; no type of it appears here. All else speaks to brokers
//! itself. See `docs/client.md`.

mod acks;
mod backoff;
mod consumer;
#[cfg(test)]
mod docs_tests;
mod error;
mod fetch;
#[allow(dead_code, reason = "the group machines wait for their shell")]
mod group;
mod options;
mod packed;
mod partitioner;
mod produce;
mod producer;
mod random;
mod rdkafka_backend;
mod record;

pub use klamm_admin::ClientOptions;
pub use klamm_wire::{ClientCertificate, Effect, Mechanism, Sasl, Security, Tls};

pub use acks::{Acks, BatchPending, Pending, Receipt};
pub use consumer::{
    Committer, Consumer, Event, FetchedBatch, PartitionReader, Position, ReadOptions, Revoking, Start,
    TopicPartition,
};
pub use error::{
    ClientError, ClientErrorKind, CommitError, CommitErrorKind, ConsumeError, ConsumeErrorKind, FlushError,
    ProduceError, ProduceErrorKind,
};
pub use options::{
    Assignor, Compression, ConsumerOptions, GroupProtocol, Isolation, OffsetReset, ProducerOptions,
};
pub use packed::{HeaderView, Headers, RecordView};
pub use producer::{InFlight, Producer};
pub use record::{Record, RecordSet};
