//! What a schema registry holds, with the schema checker's verdicts. Filled once the checker exists; until then not asked.

use serde::{Deserialize, Serialize};

use super::client::Place;

/// A registry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaEvidence {
    /// Its subjects.
    pub subjects: Vec<Subject>,
    /// Ids of all schemas that it has.
    pub ids: Vec<u32>,
    /// What the checker says about schemas in files.
    pub verdicts: Vec<SchemaVerdict>,
}

/// A subject.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subject {
    /// Name.
    pub name: String,
    /// Level that holds for it: `BACKWARD`, `FULL_TRANSITIVE`, `NONE` …
    pub compatibility: String,
    /// It is the registry's default, not the subject's own.
    pub inherited: bool,
    /// Newest version.
    pub version: u32,
}

/// A schema in a file against the versions of its subject.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaVerdict {
    /// Where the schema is.
    pub place: Place,
    /// Subject that it is for.
    pub subject: String,
    /// Paths that break the level, with the rule that they break; empty when it is compatible.
    pub breaks: Vec<String>,
    /// Who must be upgraded first: `consumers`, `producers`; empty when the order is free.
    pub first: String,
    /// Groups that still read with an older version.
    pub old_groups: Vec<String>,
}
