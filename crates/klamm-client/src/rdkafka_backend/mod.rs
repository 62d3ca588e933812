//! The consumer of groups for now: librdkafka through `rdkafka`. Nothing outside this module knows of it.
//!
//! What [`ConsumerPath`] promises to the rest of the crate is what the wire-native path will promise too: events in order over one
//! channel; batches hold memory credit until they are dropped; a revoke waits for the application within its budget.
//!
//! librdkafka is polled on threads of its own and never from an async task. The traps that this module works around
//! are in `docs/client.md`.

mod config;
mod consumer;
mod errors;

pub(crate) use consumer::{Commit, ConsumerPath, Credit, RevokeReply};
