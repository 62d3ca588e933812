//! What source code does with Kafka, the same for all languages.

use serde::{Deserialize, Serialize};

use super::client::{Client, Library, Place};
use super::files::SecretPlace;

/// Everything that was found in the folder of `--code`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodeEvidence {
    /// Files of the seven languages that were read.
    pub files: u64,
    /// Lines in them.
    pub lines: u64,
    /// Files that were not read, or not wholly.
    pub skipped: Vec<Skipped>,
    /// Files that have to do with Kafka.
    pub units: Vec<SourceUnit>,
}

/// A file that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Skipped {
    /// Path from the folder that was searched.
    pub file: String,
    /// Why: its size and the limit, a symlink loop, no text.
    pub why: String,
}

/// What one source file does with Kafka.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceUnit {
    /// Path from the folder that was searched.
    pub file: String,
    /// `java`, `kotlin`, `python`, `go`, `typescript`, `javascript`, `rust`.
    pub language: String,
    /// Clients that it makes, with their settings as far as they can be told.
    pub clients: Vec<Client>,
    /// Places where records are sent.
    pub sends: Vec<SendSite>,
    /// Loops that poll, or handlers that a library calls for each record or batch.
    pub loops: Vec<PollLoop>,
    /// Secrets that stand in clear.
    pub secrets: Vec<SecretPlace>,
    /// Writes to a store that others read (an SQL statement, a repository), by the handlers of commands; for KL703.
    pub store_writes: Vec<Effect>,
}

/// A place where a record is sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SendSite {
    /// Where.
    pub place: Place,
    /// The library.
    pub library: Library,
    /// Function or method that it is in.
    pub function: String,
    /// Topic, when it is a constant.
    pub topic: Option<String>,
    /// What happens to the result.
    pub result: ResultUse,
    /// What the key is.
    pub key: KeyShape,
    /// The key as it is written, for people.
    pub key_text: Option<String>,
}

/// What happens to the result of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultUse {
    /// Nobody looks at it.
    Ignored,
    /// It is waited for, or a callback sees its error.
    Handled,
    /// A callback is given that does not look at the error.
    CallbackIgnoresError,
    /// It is handed to the caller or kept.
    Passed,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// What a key is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyShape {
    /// No key.
    Missing,
    /// One attribute: `email`, `customerId`; the last word of the expression.
    Attribute(String),
    /// It has a part that is another one for each record: a time, a random number, a new UUID; what that part is.
    Scattered(String),
    /// A constant.
    Constant(String),
    /// It cannot be told.
    #[default]
    Unknown,
}

/// A loop that polls, or a handler that a library calls.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PollLoop {
    /// Where the poll or the handler begins.
    pub place: Place,
    /// The library.
    pub library: Library,
    /// Function or method that it is in.
    pub function: String,
    /// Topics, when they are constants.
    pub topics: Vec<String>,
    /// A library calls the handler and commits after it returns (Spring listeners, KafkaJS eachMessage).
    pub handler: bool,
    /// Effects in the order in which they happen, calls followed into the same file.
    pub effects: Vec<Effect>,
    /// What could not be followed: the order may hide more.
    pub unclear: Vec<String>,
}

/// Something that a loop does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Effect {
    /// Where.
    pub place: Place,
    /// What kind.
    pub kind: EffectKind,
    /// The call, for people: `httpClient.send`, `queue.put`.
    pub what: String,
}

/// Kinds of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Records are fetched.
    Poll,
    /// Offsets are committed, and the call waits.
    Commit,
    /// Offsets are committed without waiting.
    CommitAsync,
    /// An offset is stored to be committed later (librdkafka's store_offsets, markMessage).
    Mark,
    /// A record is worked on in place.
    #[default]
    Work,
    /// A record goes to a queue, thread or task that nobody waits for before the next effect.
    HandOff,
    /// What was handed off is waited for.
    Join,
    /// The call waits for a network or a clock.
    Block,
    /// The call waits for a database.
    Store,
    /// A record is sent.
    Send,
    /// Partitions are paused.
    Pause,
    /// A failure is swallowed: caught, perhaps logged, and the loop goes on.
    Swallow,
}
