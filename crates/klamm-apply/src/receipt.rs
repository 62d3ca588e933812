//! What was changed, and how to take it back.

use klamm_plan::{Change, ChangeKind, Risk};
use serde::{Deserialize, Serialize};

use crate::Loss;

/// Version of the receipt's JSON form; later releases read earlier ones.
pub const VERSION: u32 = 1;

/// What one run changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this form.
    pub version: u32,
    /// The cluster that was changed.
    pub cluster_id: String,
    /// Nothing was changed: these are the changes that would be made.
    pub dry_run: bool,
    /// Number of the run in the cluster's journal: what `--undo` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The run that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
    /// Changes, in the order in which they were made.
    pub done: Vec<Done>,
    /// What an undo leaves as it is, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Records that were copied to another topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<i64>,
    /// What is to be known, and was not done: settings that need a restart, brokers without an authorizer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Topics that were as planned.
    pub unchanged: Vec<String>,
}

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The change.
    pub change: Change,
    /// The change as a sentence.
    pub what: String,
    /// What it can do to those who use the topic.
    pub risk: Risk,
    /// Records that it deletes, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses: Option<Loss>,
    /// The command that takes it back; `None` when there is none (partitions cannot be taken away).
    pub undo: Option<String>,
}

impl Done {
    /// `change`, with the command that takes it back.
    pub fn of(change: Change, loses: Option<Loss>, bootstrap: &str) -> Self {
        Done { what: change.to_string(), risk: change.risk, loses, undo: undo(&change, bootstrap), change }
    }
}

fn undo(change: &Change, bootstrap: &str) -> Option<String> {
    let topic = &change.topic;
    match &change.kind {
        ChangeKind::CreateTopic { .. } => {
            Some(format!("kafka-topics.sh --bootstrap-server {bootstrap} --delete --topic {topic}"))
        }
        ChangeKind::SetConfig { name, from, from_source, .. } => {
            let alter = format!("kafka-configs.sh --bootstrap-server {bootstrap} --alter --topic {topic}");
            // A value that was inherited comes back by taking the topic's own away.
            match (from, from_source) {
                (Some(from), Some(klamm_contract::facts::ConfigSource::Topic)) => {
                    Some(format!("{alter} --add-config {name}={from}"))
                }
                _ => Some(format!("{alter} --delete-config {name}")),
            }
        }
        _ => None,
    }
}
