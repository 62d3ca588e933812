//! The coordinator of groups, classic and of the `consumer` protocol (KIP-848).
//!
//! [`state`] is the machine of one classic group: events and the time in, replies out. [`consumer`] is that of one
//! `consumer` group: a value that events change, with the assignors of [`assign`] and the topics of [`image`]. Both are
//! pure. [`coordinator`] holds all groups, keeps the requests that wait for a reply, writes what a restart must know to
//! [`ledger`], and calls the machines when a deadline has come.

mod assign;
mod classic_state;
mod consumer;
mod coordinator;
mod embedded;
mod hex;
mod image;
mod ledger;
mod member;
mod messages;
mod settings;
mod state;

pub(crate) use assign::{Assignment, Assignor};
pub(crate) use consumer::{Beat, BeatAnswer, LEFT_FOR_NOW};
pub(crate) use coordinator::{Committer, Coordinator, Described};
pub(crate) use messages::{Identity, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest};
pub(crate) use settings::{GROUP_SETTINGS, GroupSetting, GroupSettings};
