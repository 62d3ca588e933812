//! Why a cluster was not brought to a plan.

use std::fmt;

use klamm_admin::AdminError;
use klamm_contract::Breach;
use klamm_plan::{Change, Conflict};

use crate::journal::{JournalError, Lock};
use crate::{Loss, Receipt};

/// A plan that was not applied, or not whole.
#[derive(Debug)]
pub struct ApplyError {
    kind: ApplyErrorKind,
    /// What had been done by then.
    done: Receipt,
}

/// What stood in the way.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplyErrorKind {
    /// The cluster cannot keep what the contracts promise. Nothing was changed.
    Weak {
        /// Topic and what is wrong for it.
        breaches: Vec<(String, Breach)>,
    },
    /// Topics exist with other settings, and the caller did not allow to change them. Nothing was changed.
    Differs {
        /// What would have to change.
        changes: Vec<Change>,
    },
    /// Differences that cannot be changed in place. Nothing was changed.
    Conflict {
        /// The differences.
        conflicts: Vec<Conflict>,
    },
    /// Changes delete records, and the caller did not allow it. Nothing was changed.
    LosesData {
        /// The changes, and what each deletes.
        losses: Vec<(Change, Loss)>,
    },
    /// The plan was made for another cluster. Nothing was changed.
    OtherCluster {
        /// Cluster of the plan.
        planned: String,
        /// Cluster that answers.
        found: String,
    },
    /// Somebody else changes the cluster. Nothing was changed.
    Locked {
        /// Who, and since when.
        lock: Box<Lock>,
    },
    /// Somebody else took over in the middle: what was not done by then was not tried.
    Fenced {
        /// Who, when that could be read.
        lock: Option<Box<Lock>>,
    },
    /// The journal cannot be used: nothing was changed that it does not know.
    Journal {
        /// What is wrong with it.
        why: String,
    },
    /// The journal knows no such run.
    UnknownRun {
        /// What was asked for.
        run: u64,
        /// The newest that it knows.
        newest: Option<u64>,
    },
    /// The run was stopped while copies moved: the move was cancelled, and its throttles are gone.
    Cancelled {
        /// Topic whose copies moved.
        topic: String,
    },
    /// Something else stands in the way.
    Refused {
        /// What.
        why: String,
        /// What to do about it.
        fix: String,
    },
    /// The run was stopped: what was done by then stays, and is whole.
    Stopped {
        /// What was stopped.
        what: String,
    },
    /// Copies would move more slowly than records come. Nothing was changed.
    ThrottleTooLow {
        /// Topic whose copies are to move.
        topic: String,
        /// What was asked for, in bytes per second.
        throttle: u64,
        /// What is written to the topic, by the plan at its peak or as measured, in bytes per second.
        inbound: u64,
    },
    /// A call failed.
    Admin(AdminError),
    /// The cluster took the changes, and did not show them within the time.
    NotSettled {
        /// What is still missing.
        missing: String,
    },
}

impl ApplyError {
    pub(crate) fn new(kind: ApplyErrorKind, done: Receipt) -> Self {
        ApplyError { kind, done }
    }

    /// What stood in the way.
    pub fn kind(&self) -> &ApplyErrorKind {
        &self.kind
    }

    pub(crate) fn into_kind(self) -> ApplyErrorKind {
        self.kind
    }

    /// What had been done by then.
    pub fn done(&self) -> &Receipt {
        &self.done
    }
}

impl From<AdminError> for ApplyErrorKind {
    fn from(error: AdminError) -> Self {
        ApplyErrorKind::Admin(error)
    }
}

impl From<JournalError> for ApplyErrorKind {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Locked(lock) => ApplyErrorKind::Locked { lock },
            JournalError::Fenced(lock) => ApplyErrorKind::Fenced { lock },
            JournalError::Foreign(why) => ApplyErrorKind::Journal { why },
            JournalError::Admin(error) => ApplyErrorKind::Admin(error),
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ApplyErrorKind::Weak { breaches } => match breaches.first() {
                Some((topic, first)) => {
                    write!(
                        f,
                        "the cluster cannot keep the contract of {topic}: {} {} is {}, {} is needed",
                        first.layer, first.setting, first.value, first.needed
                    )
                }
                None => f.write_str("the cluster cannot keep the contract"),
            },
            ApplyErrorKind::Differs { changes } => match changes.first() {
                Some(first) => write!(f, "topic {} exists with other settings", first.topic),
                None => f.write_str("a topic exists with other settings"),
            },
            ApplyErrorKind::Conflict { conflicts } => match conflicts.first() {
                Some(c) => write!(
                    f,
                    "topic {} has {} {}, the plan wants {}: {}",
                    c.topic, c.setting, c.has, c.wants, c.why
                ),
                None => f.write_str("a topic differs in a way that cannot be changed in place"),
            },
            ApplyErrorKind::LosesData { losses } => match losses.first() {
                Some((change, loss)) => write!(f, "{change}: {}", loss.text()),
                None => f.write_str("a change deletes records"),
            },
            ApplyErrorKind::OtherCluster { planned, found } => {
                write!(f, "the plan is for cluster {planned}, and {found} answers")
            }
            ApplyErrorKind::Locked { lock } => {
                write!(f, "{} changes this cluster (run {})", lock.holder, lock.run)
            }
            ApplyErrorKind::Fenced { lock: Some(lock) } => {
                write!(f, "{} took over in the middle (run {})", lock.holder, lock.run)
            }
            ApplyErrorKind::Fenced { lock: None } => f.write_str("somebody took over in the middle"),
            ApplyErrorKind::Journal { why } => write!(f, "the journal of changes cannot be used: {why}"),
            ApplyErrorKind::UnknownRun { run, newest: Some(newest) } => {
                write!(f, "the journal knows no run {run}; the newest is {newest}")
            }
            ApplyErrorKind::UnknownRun { run, newest: None } => {
                write!(f, "there is no run {run}: this cluster has no journal of changes")
            }
            ApplyErrorKind::ThrottleTooLow { topic, throttle, inbound } => write!(
                f,
                "a throttle of {throttle} bytes/s is no more than the {inbound} bytes/s that are written to {topic}: the \
                 copies would never catch up"
            ),
            ApplyErrorKind::Cancelled { topic } => {
                write!(f, "stopped: the move of {topic} was cancelled, its copies are where they were")
            }
            ApplyErrorKind::Refused { why, .. } => f.write_str(why),
            ApplyErrorKind::Stopped { what } => write!(f, "stopped: {what}"),
            ApplyErrorKind::Admin(error) => write!(f, "{error}"),
            ApplyErrorKind::NotSettled { missing } => write!(f, "the changes were taken, but {missing}"),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ApplyErrorKind::Admin(error) => Some(error),
            _ => None,
        }
    }
}
