//! What each client library calls a constructor, a send, a poll, a commit. One file a library, one line in [`TABLES`].

mod go;
mod java;
mod kafkajs;
mod librdkafka;
mod python;
mod rdkafka;

use klamm_rules::evidence::{EffectKind, Library, Role};

use crate::meaning::{Found, Raw, ScopeId, Scopes};
use crate::tree::{Call, Expr};

/// All tables.
pub(crate) static TABLES: &[&Table] = &[
    &go::CONFLUENT,
    &go::FRANZ_GO,
    &go::KAFKA_GO,
    &go::SARAMA,
    &java::KAFKA,
    &java::SPRING,
    &kafkajs::CONFLUENT,
    &kafkajs::KAFKAJS,
    &python::AIOKAFKA,
    &python::CONFLUENT,
    &python::KAFKA_PYTHON,
    &rdkafka::RDKAFKA,
];

/// A library in a language.
pub(crate) struct Table {
    pub library: Library,
    /// Languages, as `SourceUnit` names them.
    pub languages: &'static [&'static str],
    /// Beginnings of the paths of imports of files that use it. A file that has none of any table is not parsed.
    pub imports: &'static [&'static str],
    pub makes: &'static [Make],
    /// Types of variables, fields and parameters that are clients, by their last word.
    pub types: &'static [(&'static str, Role)],
    pub methods: &'static [Method],
    /// A setting's own name and value as Java's name and value; `None` when it is no setting. A value that has no counterpart is `None`.
    pub translate: fn(&str, &Raw) -> Option<Translated>,
}

/// Java's name of a setting, and its value in Java's words where it is known.
pub(crate) type Translated = (String, Option<String>);

/// How a client is made.
pub(crate) struct Make {
    /// The end of the path that is called (`kafka.NewProducer`, `KafkaProducer`), or of the type of a struct literal (`kafka.Writer`).
    pub call: &'static str,
    /// `Role::Unknown`: the type of the variable says it (`let p: FutureProducer = config.create()?`).
    pub role: Role,
    pub settings: From,
}

/// Where the settings of a client are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A map or builder at this position.
    Arg(usize),
    /// Arguments with names.
    Named,
    /// Each argument is a call: `kgo.RequiredAcks(…)` is a setting `RequiredAcks`.
    Options,
    /// Fields of the struct literal itself.
    Fields,
    /// The receiver is a builder: `ClientConfig::new().set(…).create()`.
    Receiver,
    /// Settings of the receiver (a map at position 0 of its constructor), and a map at position 0: KafkaJS.
    ReceiverAndArg,
    /// Nobody can tell: the client is open.
    Nowhere,
}

/// A method of a client.
pub(crate) struct Method {
    pub of: Role,
    pub name: &'static str,
    pub does: Does,
}

/// What a method does.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    Send(Send),
    /// One kind of effect: Poll, Commit, CommitAsync, Mark, Pause, Join.
    Effect(EffectKind),
    /// It depends on the arguments.
    Depends(fn(&Call) -> EffectKind),
    /// Records are fetched, and committed at once when this setting names a group: kafka-go's `ReadMessage`.
    PollAndCommit {
        group: &'static str,
    },
    /// Topics at this position: a text or a list of texts.
    Subscribe(usize),
    /// The library calls handlers that stand in an object at position 0 under these names.
    Run(&'static [&'static str]),
    /// Nothing that counts (metrics, assignment).
    Nothing,
}

/// A send.
#[derive(Clone, Copy)]
pub(crate) struct Send {
    /// Topic and key of the record.
    pub record: for<'t> fn(&Scopes<'t>, ScopeId, Sent<'t>) -> Record<'t>,
    pub report: Report,
}

/// A call that sends.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'t> {
    pub call: &'t Call,
    /// What goes into the channel that the call gives: `producer.Input() <- message`.
    pub into: Option<&'t Expr>,
}

/// What is sent, as far as the syntax tells.
pub(crate) struct Record<'t> {
    pub topic: Option<&'t Expr>,
    /// Where names of `topic` and `key` are looked up.
    pub scope: ScopeId,
    pub key: Key<'t>,
}

/// Where a key is.
pub(crate) enum Key<'t> {
    Missing,
    At(&'t Expr),
    Unknown,
}

/// How a send tells that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// A future that comes at once; perhaps a callback at this position, whose parameter 1 is the error.
    Future(Option<usize>),
    /// Awaiting the call only hands the record over and gives the future: aiokafka's `send`.
    LaterFuture,
    /// Awaiting the call is waiting for the outcome, which is raised or rejected: KafkaJS, `send_and_wait`.
    Promise,
    /// Only a callback under one of these names, or at this position, whose parameter `error` is the error. `setting` is a setting of the
    /// client that does the same for all sends.
    Callback { names: &'static [&'static str], at: usize, error: usize, setting: &'static str },
    /// The last value that it returns is an error (Go).
    Error,
    /// As `Error`, unless this setting is on: the error is nil then, and only the callback in the other setting hears of failures.
    ErrorUnless { setting: &'static str, callback: &'static str },
    /// rdkafka's `send`: with a timeout it is a future's `Result`; without one it tells only whether the queue had room, and the client's
    /// context hears of the delivery.
    Context,
    /// A `Result` (Rust), perhaps behind `.await`.
    Result,
    /// Outcomes come through what this method of the client gives: `Errors`, `Events`; or through a channel argument at `at`.
    Events { method: &'static str, at: Option<usize> },
}

/// Tables of a language.
pub(crate) fn of_language(language: &str) -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().filter(move |table| table.languages.contains(&language))
}

impl Table {
    /// Whether an import with this path is this library: one of `imports` at the path's beginning, or behind a slash (Go), and as whole words.
    pub(crate) fn is_import(&self, path: &str) -> bool {
        self.imports.iter().any(|part| {
            path.match_indices(part).any(|(at, _)| {
                let before = path[..at].chars().next_back();
                let after = path[at + part.len()..].chars().next();
                matches!(before, None | Some('/' | '*'))
                    && !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            })
        })
    }
}

/// Whether a text mentions a library of its language at all: most files do not, and are not parsed.
pub(crate) fn mentioned(language: &str, text: &str) -> bool {
    of_language(language).any(|table| table.imports.iter().any(|part| text.contains(part)))
}

/// What a client is for: franz-go's clients are told by their options.
pub(crate) fn role_of(library: Library, role: Role, found: &Found) -> Role {
    let consumes = ["ConsumerGroup", "ConsumeTopics", "ConsumePartitions"];
    let reads = library == Library::FranzGo && consumes.iter().any(|name| found.entries.contains_key(*name));
    if reads { Role::Consumer } else { role }
}

/// Topics among the settings of a client, in libraries that have them there.
pub(crate) fn topics_of(library: Library, found: &Found) -> Vec<String> {
    let names: &[&str] = match library {
        Library::FranzGo => &["ConsumeTopics", "DefaultProduceTopic"],
        Library::KafkaGo => &["Topic", "GroupTopics"],
        _ => &[],
    };
    let texts = names.iter().filter_map(|name| found.entries.get(*name)?.0.text());
    texts.flat_map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Java's own names are kept; values that are not constants are unknown.
pub(crate) fn as_written(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    Some((name.to_owned(), value.text()))
}

/// A record that cannot be told.
pub(crate) fn hidden<'t>(scope: ScopeId) -> Record<'t> {
    Record { topic: None, scope, key: Key::Unknown }
}
