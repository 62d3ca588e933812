//! What a rule says.

use std::fmt;

use klamm_plan::{Change, Risk};
use serde::{Deserialize, Serialize};

use crate::Gap;
use crate::evidence::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It will hurt.
    Warning,
    /// It loses data, availability or secrets.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// A value that was seen, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What: `min.insync.replicas`, `replicas of partition 3`.
    pub what: String,
    /// Its value.
    pub value: String,
    /// Where it comes from: `topic configuration`, `server.properties of broker 2`, `orders.py:12`, `default of the Java client 4.x`.
    pub source: String,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// In one line, as an order: `raise min.insync.replicas of topic orders to 2`.
    pub what: String,
    /// The exact steps, in their order.
    pub steps: Vec<Step>,
    /// What doing it can do to others.
    pub risk: Risk,
    /// What takes it back.
    pub undo: Vec<Step>,
    /// The same as changes that `klamm audit --fix` hands to apply; empty when only people can do it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// One step of a fix, or of its undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A command line that can be run as it stands.
    Command(String),
    /// A file changes.
    Patch {
        /// Where.
        place: Place,
        /// The line as it is; empty when lines are only added.
        from: String,
        /// The line as it is to be; empty when it is removed.
        to: String,
    },
    /// Code changes, in words: what a patch would have to know more for.
    Code {
        /// Where.
        place: Place,
        /// What to write instead.
        instead: String,
    },
    /// Something that only people can do.
    Ask(String),
}

/// How strongly the data of a subject must be kept, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// An acknowledged record may not be lost.
    pub strong: bool,
    /// Why that is believed, when no spec says it: `inferred: written in transactions`.
    pub inferred: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Code of the rule: `KL104`.
    pub rule: String,
    /// How bad it is for this data.
    pub severity: Severity,
    /// What it is about: `topic orders`, `broker 2`, `group billing`, `producer in src/app.py`, `cluster`.
    pub subject: String,
    /// What is wrong, in one line.
    pub what: String,
    /// What was seen.
    pub evidence: Vec<Fact>,
    /// What comes of it, in one plain sentence.
    pub consequence: String,
    /// What to do.
    pub fix: Fix,
    /// The next question to ask, as a command or a question.
    pub next: String,
    /// Where in a file.
    pub place: Option<Place>,
    /// How strongly the data must be kept, where that decided the severity.
    pub weight: Option<Weight>,
    /// The day until which the spec accepts it, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<String>,
    /// What tells it from another one of the same rule, subject and file: the topic of a send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// An earlier audit had found it: see [`Report::compare`](crate::Report::compare).
    #[serde(skip)]
    pub known: bool,
}

impl Finding {
    /// Kafka's tools that it prints take how to connect from a file.
    pub(crate) fn connect_securely(&mut self) {
        for step in self.fix.steps.iter_mut().chain(&mut self.fix.undo) {
            if let Step::Command(text) | Step::Ask(text) = step {
                *text = with_command_config(text);
            }
        }
        self.next = with_command_config(&self.next);
    }

    /// What stays the same from one audit to the next: rule, subject, the file without its line, and what else tells it apart.
    pub fn fingerprint(&self) -> String {
        let file = self.place.as_ref().map_or("", |place| place.file.as_str());
        match &self.detail {
            Some(detail) => format!("{}|{}|{file}|{detail}", self.rule, self.subject),
            None => format!("{}|{}|{file}", self.rule, self.subject),
        }
    }

    /// What audits before the second form of fingerprints called it: without details, and clients in files without a name.
    pub(crate) fn former_fingerprints(&self) -> [String; 2] {
        let file = self.place.as_ref().map_or("", |place| place.file.as_str());
        let plain = |subject: &str| format!("{}|{subject}|{file}", self.rule);
        let unnamed = self.subject.split_once(' ').and_then(|(role, rest)| {
            let (_, file) = rest.rsplit_once(" in ")?;
            Some(format!("{role} in {file}"))
        });
        [plain(&self.subject), plain(unnamed.as_deref().unwrap_or(&self.subject))]
    }
}

/// Adds `--command-config` behind the address of each of Kafka's tools that is not told yet how to connect.
fn with_command_config(text: &str) -> String {
    const ADDRESS: &str = ".sh --bootstrap-server ";
    const CONFIG: &str = " --command-config";
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(ADDRESS).map(|at| at + ADDRESS.len()) {
        let end = rest[start..].find(char::is_whitespace).map_or(rest.len(), |length| start + length);
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        if !rest.starts_with(CONFIG) {
            out.push_str(CONFIG);
            out.push_str(" client.properties");
        }
    }
    out + rest
}

/// What a rule says about all that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Code of the rule.
    pub rule: String,
    /// What it comes to.
    pub status: Status,
    /// Subjects that it judged.
    pub checked: u64,
    /// Evidence that was not, or not wholly, seen: what, and why.
    pub unseen: Vec<(String, Gap)>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What a rule's verdict comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Something is wrong.
    Finding,
    /// Everything that it needs was seen, and nothing is wrong.
    Pass,
    /// Everything that it needs was seen, and there is nothing of its kind.
    NothingToCheck,
    /// Something that it needs was not seen: this is no pass.
    NotEvaluated,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Finding => "finding",
            Status::Pass => "pass",
            Status::NothingToCheck => "nothing to check",
            Status::NotEvaluated => "not evaluated",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_on_a_secured_cluster_take_a_file() {
        let text = "a.sh --bootstrap-server b:1 --list; b.sh --bootstrap-server b:1 --command-config x; c.sh --bootstrap-server b:1";
        let told = "a.sh --bootstrap-server b:1 --command-config client.properties --list; b.sh --bootstrap-server b:1 --command-config x; c.sh --bootstrap-server b:1 --command-config client.properties";
        assert_eq!(with_command_config(text), told);
        assert_eq!(with_command_config("klamm plan"), "klamm plan");
    }
}
