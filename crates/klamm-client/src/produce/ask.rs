//! What the machine asks of its shell.

use std::sync::Arc;

use bytes::Bytes;

use super::Slot;
use super::open::BatchId;

/// Names a produce request from its ask to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Open the connection to a broker; [`connected`](super::Producer::connected) or [`disconnected`](super::Producer::disconnected) end it.
    Connect(i32),
    /// Send a produce request on the connection to its broker.
    Send(Request),
    /// Send `InitProducerId` without a transactional id, to any broker; [`identified`](super::Producer::identified) or [`unidentified`](super::Producer::unidentified) end it.
    Identity,
    /// Learn the leaders of these topics and tell them by [`set_leader`](super::Producer::set_leader), even if they are the same.
    Metadata(Vec<Arc<str>>),
}

/// One produce request: one batch of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) broker: i32,
    pub(crate) parts: Vec<Part>,
}

/// One partition of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) slot: Slot,
    pub(crate) batch: BatchId,
    pub(crate) bytes: Bytes,
}
