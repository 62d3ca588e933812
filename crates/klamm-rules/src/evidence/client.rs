//! A configured client, the same whether it was found in a file or in code.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// Path from the folder that was searched, with slashes.
    pub file: String,
    /// Line, from 1; 0 is the file as a whole.
    pub line: u32,
    /// Column in characters, from 1; 0 is the line as a whole.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Place {
    /// Does its path say that it is a test or an example, which runs by itself?
    pub fn is_test(&self) -> bool {
        const WORDS: [&str; 7] = ["test", "tests", "spec", "example", "examples", "sample", "fixtures"];
        let mut words = self.file.split(['/', '.', '-', '_']);
        words.any(|word| {
            WORDS.iter().any(|test| word.eq_ignore_ascii_case(test))
                || word.ends_with("Test")
                || word.ends_with("Tests")
        })
    }
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes records.
    Producer,
    /// Reads records.
    Consumer,
    /// A Kafka Streams application.
    Streams,
    /// Administers.
    Admin,
    /// A Connect worker.
    ConnectWorker,
    /// A connector.
    Connector,
    /// A MirrorMaker 2 process.
    MirrorMaker,
    /// A client whose part is not known: settings that all share.
    #[default]
    Unknown,
}

/// A client library. Its defaults count: see [`Client::effective`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Library {
    /// Apache Kafka's own, for Java and what runs beside it.
    Java,
    /// librdkafka, and what stands on it (confluent-kafka for Python, Go, .NET and JavaScript, rdkafka for Rust).
    Librdkafka,
    /// kafka-python.
    KafkaPython,
    /// aiokafka.
    Aiokafka,
    /// KafkaJS.
    Kafkajs,
    /// Sarama (Go).
    Sarama,
    /// segmentio/kafka-go.
    KafkaGo,
    /// franz-go.
    FranzGo,
    /// Not known: no default is assumed.
    #[default]
    Unknown,
}

/// One configured client.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// What it does.
    pub role: Role,
    /// The library that it uses.
    pub library: Library,
    /// Version of the library, when a build file or lock file tells it: `2.8.1`.
    pub version: Option<String>,
    /// What people call it: `client.id`, a bean, a variable; may be empty.
    pub name: String,
    /// Where it is configured.
    pub place: Place,
    /// Topics that it is seen to write or read; empty when that is not known.
    pub topics: Vec<String>,
    /// Settings that were found, under Java's names (translated from the library's own).
    pub settings: BTreeMap<String, Setting>,
    /// Settings may be added that were not seen (read at run time, from another file): what is not in `settings` is not known then,
    /// and no default may be assumed.
    pub open: bool,
}

/// One setting as it was found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setting {
    /// Its value in Java's words; `None` when it is computed or read at run time.
    pub value: Option<String>,
    /// The library's own name for it, where that is another one.
    pub written: Option<String>,
    /// Where it stands.
    pub place: Place,
    /// It is a secret that stands there in clear: `value` is then left out.
    pub secret: bool,
    /// How it stands in its file.
    #[serde(skip_serializing_if = "Line::is_unknown")]
    pub line: Line,
}

/// How a setting stands in its file, so that a patch shows that line and no other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Nobody looked: code, or evidence of an earlier klamm.
    #[default]
    Unknown,
    /// It has a line of its own.
    Own {
        /// What stands before the value: `      - KAFKA_MIN_INSYNC_REPLICAS=`.
        before: String,
        /// The value as it is written.
        value: String,
        /// What stands behind it: a quote, a comma.
        after: String,
    },
    /// It is made of something else, or shares its line with others: a change can only be told in words.
    Shared,
}

impl Line {
    fn is_unknown(&self) -> bool {
        *self == Line::Unknown
    }

    /// The line as it is; `None` when it has none of its own.
    pub fn now(&self) -> Option<String> {
        match self {
            Line::Own { value, .. } => self.with(value),
            _ => None,
        }
    }

    /// The line with another value.
    pub fn with(&self, to: &str) -> Option<String> {
        match self {
            Line::Own { before, after, .. } => Some(format!("{before}{to}{after}")),
            _ => None,
        }
    }
}
