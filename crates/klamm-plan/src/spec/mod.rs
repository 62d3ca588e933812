//! `klamm.yaml`: what a service needs from Kafka.
//!
//! Text is read into a tree with places (`yaml`), the tree into typed records (`decode`, `raw`, `units`), and those are
//! checked against each other (`check`) into a [`Spec`]. All that is wrong is reported together.

mod check;
mod day;
mod decode;
mod raw;
mod secret;
mod set;
mod units;
mod words;
mod yaml;

use std::collections::BTreeMap;

use klamm_contract::{Consistency, Delivery, Order, Profile, Survive};
use klamm_kafka::Version;

pub use klamm_kafka::Mechanism;

pub use self::day::Day;
pub use self::decode::Spanned;
pub use self::secret::SecretRef;
pub use self::set::SpecSet;
pub use self::units::{ByteSize, Count, Duration, Factor, PerSecond, Percent, Rate, Retain, UnitError};
pub use self::words::{ClusterKind, Effect, Membership, Produce, Protocol, Timestamps};
use crate::{Diagnostic, Span};

/// What one service needs, checked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Spec {
    /// File as the caller named it.
    pub file: String,
    /// Name of the service.
    pub service: Spanned<String>,
    /// Which demands hold, unless an environment or the caller says otherwise.
    pub profile: Profile,
    /// The cluster, when it is described.
    pub cluster: Option<ClusterSpec>,
    /// Topics that the service owns, as written.
    pub topics: Vec<TopicSpec>,
    /// Topics that others own.
    pub uses: Vec<Spanned<String>>,
    /// Topics of others that it writes to.
    pub writes: Vec<Spanned<String>>,
    /// Consumer groups, as written.
    pub consumers: Vec<ConsumerSpec>,
    /// Kafka Streams applications, as written.
    pub streams: Vec<StreamsSpec>,
    /// Who it is to the cluster: `User:orders`.
    pub principal: String,
    /// The user behind the principal, when the brokers are to keep its password.
    pub user: Option<UserSpec>,
    /// What it may take of each broker.
    pub quota: QuotaSpec,
    /// What is left when the cluster is lost.
    pub recovery: Option<RecoverySpec>,
    /// What is agreed on with the audit.
    pub audit: AuditSpec,
    /// Environments, as written.
    pub environments: Vec<EnvironmentSpec>,
}

/// What is known of a cluster.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClusterSpec {
    /// File in which it is described.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// Addresses to start from.
    pub bootstrap: Vec<String>,
    /// Number of brokers.
    pub brokers: Option<Spanned<u32>>,
    /// Racks over which they are spread.
    pub racks: Option<Spanned<Vec<String>>>,
    /// How clients connect.
    pub security: SecuritySpec,
    /// Who runs it.
    pub kind: ClusterKind,
    /// Version of Kafka, when it is given.
    pub version: Option<Version>,
    /// Version to upgrade to.
    pub upgrade: Option<Version>,
    /// Controllers, when they are given.
    pub controllers: Option<u32>,
    /// Bytes a second that one partition takes, when it was measured.
    pub partition: Option<u64>,
    /// What one broker has.
    pub machine: MachineSpec,
}

/// What one broker has, as far as somebody said.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MachineSpec {
    /// Disk for logs.
    pub disk: Option<ByteSize>,
    /// Memory.
    pub memory: Option<ByteSize>,
    /// Network each way, bytes a second.
    pub network: Option<Rate>,
}

/// What a service may take of each broker, in bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QuotaSpec {
    /// `producer_byte_rate`.
    pub write: Option<u64>,
    /// `consumer_byte_rate`.
    pub read: Option<u64>,
}

/// What is agreed on with the audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditSpec {
    /// Findings that are accepted.
    pub accept: Vec<AcceptSpec>,
}

/// A finding that is accepted, for a reason and until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptSpec {
    /// Where it was written.
    pub span: Span,
    /// The rule's code: `KL504`.
    pub rule: String,
    /// Subject, or the beginning of it with a `*`; `None` is all of the rule's.
    pub on: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it is.
    pub until: Day,
}

/// What is left when the whole cluster is lost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecoverySpec {
    /// Where it was written.
    pub span: Span,
    /// The newest records that may be lost, as time.
    pub rpo: Spanned<Duration>,
    /// The time in which the service works again.
    pub rto: Duration,
    /// The second cluster.
    pub to: ClusterSpec,
    /// Name of this cluster there.
    pub alias: String,
    /// Bytes a second between the clusters.
    pub link: Option<Spanned<Rate>>,
}

/// A Kafka Streams application, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamsSpec {
    /// `application.id`.
    pub application: Spanned<String>,
    /// Topics that it reads.
    pub reads: Vec<Spanned<String>>,
    /// Topics that it writes.
    pub writes: Vec<Spanned<String>>,
    /// How often a record may have an effect.
    pub delivery: Delivery,
    /// State of all instances together.
    pub state: Option<ByteSize>,
    /// Copies of the state that stand by.
    pub standbys: Spanned<u32>,
    /// Processes.
    pub instances: u32,
    /// Threads in each.
    pub threads: u32,
    /// Where the state is kept.
    pub state_dir: String,
}

/// How many keys there are and how unevenly they are used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KeysSpec {
    /// Where it was written.
    pub span: Span,
    /// Different keys.
    pub distinct: Option<Count>,
    /// Share of the most used one.
    pub hottest: Option<Percent>,
    /// Field inside the key that would spread it, and how many values it has for one key.
    pub within: Option<(String, Option<Count>)>,
}

/// A setting that the spec insists on.
#[derive(Debug, Clone, PartialEq)]
pub struct Insisted {
    /// Kafka's name.
    pub name: Spanned<String>,
    /// Its value.
    pub value: Spanned<String>,
}

/// How clients connect. The default is in clear and without a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SecuritySpec {
    /// TLS, when it is asked for.
    pub tls: Option<TlsSpec>,
    /// SASL, when it is asked for.
    pub sasl: Option<SaslSpec>,
}

/// TLS files in PEM, as written (relative to the file that names them).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsSpec {
    /// Certificates to trust; the system's when `None`.
    pub ca: Option<String>,
    /// Client certificate and its key.
    pub client: Option<(String, String)>,
}

/// SASL credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslSpec {
    /// Mechanism.
    pub mechanism: Mechanism,
    /// User name.
    pub username: String,
    /// Where the password is.
    pub password: SecretRef,
}

/// The user of a service, whose password the brokers keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserSpec {
    /// A SCRAM mechanism.
    pub mechanism: Mechanism,
    /// Where the password is.
    pub password: SecretRef,
}

/// What a topic's data needs, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopicSpec {
    /// Name.
    pub name: Spanned<String>,
    /// May acknowledged records be lost?
    pub consistency: Consistency,
    /// Losses that it goes on through.
    pub survive: Spanned<Survive>,
    /// Field that is the key.
    pub key: Option<String>,
    /// Which order is promised.
    pub order: Spanned<Order>,
    /// How much is written.
    pub write: WriteSpec,
    /// How long records stay.
    pub retain: Spanned<Retain>,
    /// Number of partitions, when it is given.
    pub partitions: Option<Spanned<u32>>,
    /// Number of copies, when it is given.
    pub copies: Option<Spanned<u32>>,
    /// What producers are tuned for.
    pub produce: Produce,
    /// What is known of its keys.
    pub keys: Option<KeysSpec>,
    /// How much more is written in the end.
    pub growth: Factor,
    /// Which time a record carries.
    pub timestamps: Timestamps,
    /// Topic settings that are insisted on.
    pub settings: Vec<Insisted>,
    /// Producer settings that are insisted on.
    pub producer: Vec<Insisted>,
}

/// How much is written to a topic.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WriteSpec {
    /// Where it was written, or the topic's name when all is default.
    pub span: Span,
    /// Mean rate.
    pub rate: Rate,
    /// Mean size of a record.
    pub record: ByteSize,
    /// Peak over mean.
    pub peak: Factor,
    /// Largest record.
    pub largest: ByteSize,
    /// The rate is a default and not somebody's number.
    pub assumed: bool,
}

/// What a consumer group reads, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConsumerSpec {
    /// `group.id`.
    pub group: Spanned<String>,
    /// Topics.
    pub reads: Vec<Spanned<String>>,
    /// How often a record may be worked on.
    pub delivery: Delivery,
    /// How long the work on one record takes.
    pub work: Option<WorkSpec>,
    /// Where a group without commits starts.
    pub start: Start,
    /// Where the results of the work go.
    pub effect: Spanned<Effect>,
    /// Processes, when they are given.
    pub instances: Option<Spanned<u32>>,
    /// Threads in each.
    pub threads: u32,
    /// Whether members keep their name over a restart; `None` leaves it to whoever runs them.
    pub membership: Option<Membership>,
    /// Who assigns partitions.
    pub protocol: Spanned<Protocol>,
    /// The longest time that it may be away.
    pub outage: Option<Spanned<Duration>>,
    /// How far behind it may be.
    pub lag: Duration,
    /// Settings that are insisted on.
    pub settings: Vec<Insisted>,
}

/// How long the work on one record takes.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkSpec {
    /// Where it was written.
    pub span: Span,
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
}

/// Where a group without commits starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// At the next record.
    Latest,
}

/// One place where the service runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EnvironmentSpec {
    /// Name.
    pub name: Spanned<String>,
    /// The cluster there.
    pub cluster: Option<ClusterSpec>,
    /// The profile there.
    pub profile: Option<Profile>,
    /// Rates there: topic, mean rate, peak.
    pub rates: Vec<(Spanned<String>, Option<Rate>, Option<Factor>)>,
}

/// Reads a spec that needs no other file.
pub fn parse(file_name: &str, text: &str) -> Result<Spec, Vec<Diagnostic>> {
    parse_with(file_name, text, &BTreeMap::new())
}

/// Reads a spec whose cluster may be in other files: `files` maps their names, as [`needs`] tells them, to their text.
pub fn parse_with(
    file_name: &str,
    text: &str,
    files: &BTreeMap<String, String>,
) -> Result<Spec, Vec<Diagnostic>> {
    let mut cx = decode::Context { file: file_name.to_owned(), diagnostics: Vec::new() };
    let spec = read(text, &mut cx).and_then(|raw| check::spec(raw, files, &mut cx));
    match spec {
        Some(spec) if cx.diagnostics.is_empty() => Ok(spec),
        _ => {
            cx.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
            Err(cx.diagnostics)
        }
    }
}

/// Names of the files that the spec refers to, as it writes them (relative to itself). Trouble is left to [`parse_with`].
pub fn needs(file_name: &str, text: &str) -> Vec<String> {
    let mut cx = decode::Context { file: file_name.to_owned(), diagnostics: Vec::new() };
    let Some(raw) = read(text, &mut cx) else { return Vec::new() };
    let environments = raw.environments.into_iter().flat_map(|named| named.0);
    let second = raw.recovery.map(|recovery| recovery.value.to.value);
    let clusters = raw.cluster.into_iter().chain(second);
    let clusters = clusters.chain(environments.filter_map(|(_, environment)| environment.cluster));
    let mut files: Vec<String> = clusters
        .filter_map(|cluster| match cluster {
            raw::ClusterOrFile::File(file) => Some(file.value),
            raw::ClusterOrFile::Here(_) => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

fn read(text: &str, cx: &mut decode::Context) -> Option<raw::RawSpec> {
    let file = cx.file.clone();
    let node = yaml::parse(&file, text, &mut cx.diagnostics)?;
    <raw::RawSpec as decode::Decode>::decode(&node, cx)
}

/// The JSON Schema of `klamm.yaml` that editors use, generated from the types that read it.
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(raw::RawSpec);
    schema.insert("title".to_owned(), "klamm.yaml".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A commented spec to start from; it parses and plans as it is.
pub fn template() -> &'static str {
    include_str!("template.yaml")
}
