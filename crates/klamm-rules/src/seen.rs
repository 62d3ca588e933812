//! What was looked at, and how much of it was seen.

use serde::{Deserialize, Serialize};

/// A piece of evidence. A rule gets at the value only through [`Out::see`](crate::Out::see), which writes down what
/// was not seen: so no rule passes on what nobody looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen<T> {
    /// Nobody looked.
    #[default]
    NotAsked,
    /// The cluster did not allow it.
    Denied {
        /// What would allow it: `DESCRIBE_CONFIGS on Cluster:kafka-cluster`.
        permission: String,
    },
    /// It could not be had: a timeout, a broker that does not know the request.
    Failed {
        /// Why.
        why: String,
    },
    /// Some of it.
    Partial {
        /// What was seen.
        value: T,
        /// What was not, and why: `broker 3: timed out after 15 s`.
        missing: Vec<String>,
    },
    /// All of it.
    Full(T),
}

impl<T> Seen<T> {
    /// What was seen of it, if anything. For collectors and rendering; rules go through [`Out::see`](crate::Out::see).
    pub fn value(&self) -> Option<&T> {
        match self {
            Seen::Partial { value, .. } | Seen::Full(value) => Some(value),
            _ => None,
        }
    }

    /// All of `value`, or what is missing of it.
    pub fn from_parts(value: T, missing: Vec<String>) -> Self {
        if missing.is_empty() { Seen::Full(value) } else { Seen::Partial { value, missing } }
    }

    /// The same about another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Seen::NotAsked => Seen::NotAsked,
            Seen::Denied { permission } => Seen::Denied { permission },
            Seen::Failed { why } => Seen::Failed { why },
            Seen::Partial { value, missing } => Seen::Partial { value: change(value), missing },
            Seen::Full(value) => Seen::Full(change(value)),
        }
    }

    /// Why not all of it was seen; `None` for all of it.
    pub fn gap(&self) -> Option<Gap> {
        match self {
            Seen::NotAsked => Some(Gap::NotAsked),
            Seen::Denied { permission } => Some(Gap::Denied { permission: permission.clone() }),
            Seen::Failed { why } => Some(Gap::Failed { why: why.clone() }),
            Seen::Partial { missing, .. } => Some(Gap::Partial { missing: missing.clone() }),
            Seen::Full(_) => None,
        }
    }
}

/// Why something was not, or not wholly, seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Nobody looked.
    NotAsked,
    /// The cluster did not allow it.
    Denied {
        /// What would allow it.
        permission: String,
    },
    /// It could not be had.
    Failed {
        /// Why.
        why: String,
    },
    /// Some of it was seen.
    Partial {
        /// What was not.
        missing: Vec<String>,
    },
    /// It was seen, and does not tell enough about this subject.
    Unclear {
        /// What it does not tell.
        why: String,
    },
}
