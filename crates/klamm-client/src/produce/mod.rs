//! The producing half of the wire-native client: machines without sockets, tasks or clocks.
//!
//! # Border to the shell
//!
//! A record takes three steps, each a plain value:
//!
//! 1. [`Accumulator`]: [`append`](Accumulator::append) encodes it into the open batch of its partition and says at which [`Place`] it
//!    is. A batch that is full is sealed. One that has waited for `linger.ms` ([`seal_due`](Accumulator::seal_due)) is sealed when its
//!    partition has no other waiting, and that of an idle partition at once: the shell offers it after an append
//!    ([`offer`](Accumulator::offer) with [`Producer::appetite`]) and for each of [`Producer::hungry`]. While somebody waits for memory
//!    or for outcomes nothing lingers ([`hurry`](Accumulator::hurry)). Sealed batches come out of [`take_sealed`](Accumulator::take_sealed).
//! 2. [`Raw::encode`](open::Raw::encode) compresses: at once if it is small, else on a thread for blocking work. The batch joins its
//!    partition before that ([`Producer::sealed`]), so that order does not depend on when it ends ([`Producer::compressed`]).
//! 3. [`Producer`]: the shell calls [`ask`](Producer::ask) until it gives nothing, does what each [`Ask`] says, and brings back what
//!    came of it: [`connected`](Producer::connected) and [`disconnected`](Producer::disconnected), [`answered`](Producer::answered),
//!    [`failed`](Producer::failed), [`identified`](Producer::identified) and
//!    [`unidentified`](Producer::unidentified), [`set_leader`](Producer::set_leader). After each of these it takes [`outcomes`](Producer::outcomes), asks again, and sleeps until [`wake_at`](Producer::wake_at).
//!
//! What the shell owes: every request that it was given ends in exactly one of `answered` and `failed`, within
//! `request.timeout.ms`; a connection on which a request failed is closed, all requests on it fail, and `disconnected` says so;
//! requests to one broker go out in the order of the asks, on one connection. Memory is the shell's: a semaphore of bytes in front of `append`, whose permits a
//! batch gives back with its last outcome.
//!
//! Receipt of a record: [`Stored::offset`] of its batch's outcome and its index; its timestamp is the one it was sent with, unless
//! `append_time_ms` is set.

mod accumulate;
mod answer;
mod ask;
mod dispatch;
mod ids;
mod open;
mod partition;
mod producer;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use {
    accumulate::Accumulator,
    answer::{Answer, Failure, refusal},
    ask::{Ask, Part, Request, RequestId},
    ids::Identity,
    open::{BatchId, Place, Raw},
    producer::Producer,
};

use crate::{ProduceErrorKind, ProducerOptions};

/// Names a partition that this producer writes to. Dense: the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the machines take from the producer's options.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) idempotent: bool,
    /// Of a broker in requests, and of a partition in batches.
    pub(crate) max_in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) max_request_bytes: usize,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
}

impl Settings {
    pub(crate) fn from_options(options: &ProducerOptions) -> Settings {
        Settings {
            idempotent: options.idempotence,
            max_in_flight: usize::try_from(options.max_in_flight).unwrap_or(usize::MAX).max(1),
            delivery_timeout: options.delivery_timeout,
            max_request_bytes: options.max_request_bytes,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
        }
    }
}

/// The outcome of records of one batch. A batch has one, or several that together name each record once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) slot: Slot,
    pub(crate) batch: BatchId,
    /// Indexes in the batch.
    pub(crate) records: Range<u32>,
    /// The error says by its effect whether the records may be in the log.
    pub(crate) result: Result<Stored, ProduceErrorKind>,
    /// The batch's memory, for [`Pool::reclaim`](open::Pool::reclaim).
    pub(crate) bytes: Option<Bytes>,
}

/// Where the records of an outcome are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Offset of the first of them; -1 if the broker only said that it has them already, or was not asked.
    pub(crate) base_offset: i64,
    /// The broker's time, if it is the topic's.
    pub(crate) append_time_ms: Option<i64>,
}

impl Stored {
    /// Offset of the record at `index`, which is one of `records`.
    pub(crate) fn offset(&self, records: &Range<u32>, index: u32) -> i64 {
        match self.base_offset {
            -1 => -1,
            base => base + i64::from(index - records.start),
        }
    }
}
