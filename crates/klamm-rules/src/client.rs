//! What a client does about a setting: what it was told, or what its library does by itself.

use crate::evidence::{Client, Library, Role, Setting};
use crate::library::default_of;

/// What a client does about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effective {
    /// It was told.
    Set {
        /// The value, in Java's words.
        value: String,
        /// Where: `app.properties:3`, with the library's own name where it differs.
        source: String,
    },
    /// Its library's default.
    Default {
        /// The value; empty when it has none.
        value: String,
        /// Whose default: `default of the Java client 2.8`.
        source: String,
    },
    /// It cannot be told: computed, or set where nobody looked, or a library whose defaults are not known.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Effective {
    /// The value, if it is known.
    pub fn value(&self) -> Option<&str> {
        match self {
            Effective::Set { value, .. } | Effective::Default { value, .. } => Some(value),
            Effective::Unknown { .. } => None,
        }
    }

    /// The value as a number, if it is known and is one.
    pub fn number(&self) -> Option<i64> {
        self.value()?.trim().parse().ok()
    }

    /// The value as yes or no, if it is known and is one of them.
    pub fn flag(&self) -> Option<bool> {
        match self.value()?.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Somebody wrote it down.
    pub fn is_set(&self) -> bool {
        matches!(self, Effective::Set { .. })
    }

    /// Where the value comes from, or why it is not known.
    pub fn source(&self) -> &str {
        match self {
            Effective::Set { source, .. } | Effective::Default { source, .. } => source,
            Effective::Unknown { why } => why,
        }
    }
}

impl Client {
    /// What it does about the setting with this Java name.
    pub fn effective(&self, name: &str) -> Effective {
        if let Some(setting) = self.settings.get(name) {
            return told(name, setting);
        }
        if self.open {
            return Effective::Unknown { why: format!("{name} may be set where nobody looked") };
        }
        match default_of(self.library, self.version.as_deref(), self.role, name) {
            Some(default) => Effective::Default { value: default.value.to_owned(), source: default.source },
            None => {
                Effective::Unknown { why: format!("the default of {name} in {} is not known", self.library) }
            }
        }
    }

    /// The setting as somebody wrote it, if somebody did.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// How findings name it: `producer orders-writer in app.properties`.
    pub fn subject(&self) -> String {
        let role = match self.role {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Streams => "streams application",
            Role::Admin => "admin client",
            Role::ConnectWorker => "Connect worker",
            Role::Connector => "connector",
            Role::MirrorMaker => "MirrorMaker",
            Role::Unknown => "client",
        };
        match self.name.as_str() {
            "" => format!("{role} in {}", self.place.file),
            name => format!("{role} {name} in {}", self.place.file),
        }
    }

    /// The name of a setting as this library writes it.
    pub fn spelled(&self, name: &str) -> String {
        crate::library::spelled(self.library, name)
    }
}

fn told(name: &str, setting: &Setting) -> Effective {
    let written = setting.written.as_deref().filter(|written| *written != name);
    let source = match written {
        Some(written) => format!("{} ({written})", setting.place),
        None => setting.place.to_string(),
    };
    match &setting.value {
        Some(value) => Effective::Set { value: value.clone(), source },
        None => Effective::Unknown { why: format!("{name} is set at {source} to what is not a constant") },
    }
}

impl std::fmt::Display for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Library::Java => "the Java client",
            Library::Librdkafka => "librdkafka",
            Library::KafkaPython => "kafka-python",
            Library::Aiokafka => "aiokafka",
            Library::Kafkajs => "KafkaJS",
            Library::Sarama => "Sarama",
            Library::KafkaGo => "kafka-go",
            Library::FranzGo => "franz-go",
            Library::Unknown => "an unknown library",
        })
    }
}
