//! The coordinator of classic groups.
//!
//! [`state`] is the state machine of one group: pure, events and the time in, replies out. [`coordinator`] holds all
//! groups, keeps the connections that wait for a reply, and calls the machine when a deadline has come.

mod coordinator;
mod member;
mod messages;
mod state;

pub(crate) use coordinator::{Coordinator, GroupListing};
pub(crate) use messages::{Identity, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest};
