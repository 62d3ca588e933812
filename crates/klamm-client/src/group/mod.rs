//! Membership in a group: machines without sockets, tasks or clocks.
//!
//! Two machines have one border. In [`classic`] the members assign, in [`protocol848`] the broker does. [`commits`] sends positions.
//!
//! # Border to the shell
//!
//! The shell calls `ask(now)` until it gives nothing, sends what each ask says to the group's coordinator, and brings back its answer or
//! its failure; each ask ends exactly once. After that it takes `told()`, asks again, and sleeps until `wake_at()`.
//!
//! A partition is the application's from [`Told::Assigned`] until `revoked(now)` answers a [`Told::Revoking`] that names it, or until
//! [`Told::Lost`] names it. A machine that waits for `revoked` longer than the budget goes on without it and says `Lost`.
//! `revoked` answers the oldest `Revoking` that was not lost meanwhile: the shell does not pass an answer on that came too late.
//! [`Membership`] is what commits name; there is none when this member does not belong to the group, and then nothing may be committed.

pub(crate) mod assign;
pub(crate) mod classic;
pub(crate) mod commits;
pub(crate) mod protocol848;

use std::time::Duration;

use crate::{ConsumeError, TopicPartition};

/// What a membership needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `group.id`.
    pub(crate) group: String,
    /// `group.instance.id`: a static member (KIP-345).
    pub(crate) instance_id: Option<String>,
    pub(crate) subscription: Subscription,
    /// `client.rack`.
    pub(crate) rack: Option<String>,
    /// `session.timeout.ms` and `heartbeat.interval.ms` of a classic group; the broker's in a `consumer` group.
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: the application takes an event within it, or the member leaves. Also the rebalance timeout that is told.
    pub(crate) max_poll_interval: Duration,
    /// How long `revoked` may be waited for.
    pub(crate) revoke_budget: Duration,
}

/// What a member wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subscription {
    Topics(Vec<String>),
    /// An RE2 expression that the broker matches; only in a `consumer` group.
    Regex(String),
}

/// Who commits, as `OffsetCommit` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) member_id: String,
    /// The generation of a classic group, the member epoch of a `consumer` group.
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<String>,
}

/// What the application is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// Read these as well.
    Assigned(Vec<TopicPartition>),
    /// Finish the work on these and answer by `revoked`.
    Revoking(Vec<TopicPartition>),
    /// These are another's already: commit nothing for them.
    Lost(Vec<TopicPartition>),
    Error(ConsumeError),
}

/// What is known of the group's coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coordinator {
    Unknown,
    Asked,
    Known,
}
