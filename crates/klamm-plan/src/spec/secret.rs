//! Who somebody is, and where the secret is that proves it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where a secret is: specs, plans, exported files and journals hold this, never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// A file, relative to the spec; in a plan, to where klamm runs.
    File(String),
    /// An environment variable.
    Env(String),
    /// What a program prints: its name and arguments. No shell is between.
    Command(Vec<String>),
}

impl SecretRef {
    /// With a file that is named relative to `folder`.
    pub fn within(&self, folder: &Path) -> SecretRef {
        match self {
            SecretRef::File(name) => SecretRef::File(folder.join(name).display().to_string()),
            other => other.clone(),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(name) => write!(f, "the file {name}"),
            SecretRef::Env(name) => write!(f, "the environment variable {name}"),
            SecretRef::Command(words) => write!(f, "what `{}` prints", words.join(" ")),
        }
    }
}
