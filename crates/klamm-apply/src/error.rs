//! Why a cluster was not brought to a plan.

use std::fmt;

use klamm_admin::AdminError;
use klamm_contract::Breach;
use klamm_plan::{Change, Conflict};

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

    /// What had been done by then.
    pub fn done(&self) -> &Receipt {
        &self.done
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
