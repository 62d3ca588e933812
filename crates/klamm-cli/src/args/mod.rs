//! The command line, declared once: help, completions and the man page are generated from it.

mod audit;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::audit::{
    AuditArgs, AuditFixArgs, AuditReportArgs, ExplainArgs, FailOnArg, ReportArg, TxnCommand,
};
pub use self::values::RateArg;
use self::values::{duration, format, language, patience, rate, record_size, setting, throttle};

/// From requirements to proven production on Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "klamm", version, about, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 all is well · 1 a guarantee did not hold, or there is something to change · 2 failure"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What klamm does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan, apply and run the order service, and prove its guarantees record by record
    Up(UpArgs),
    /// Write a commented klamm.yaml to start from
    Init(InitArgs),
    /// Print every setting at every layer with its reason
    Plan(PlanArgs),
    /// Write a spec from what a cluster has, whose plan changes nothing
    Import(ImportArgs),
    /// Write the plan in the form that a program reads
    Export(ExportArgs),
    /// Create topics and set configuration so that the cluster agrees with the plan
    Apply(ApplyArgs),
    /// What `klamm apply` changed on a cluster, by whom, and what takes it back
    Journal(JournalArgs),
    /// Measure this cluster, from this machine
    Bench {
        /// What to measure.
        #[command(subcommand)]
        what: BenchCommand,
    },
    /// About access rules
    Acl {
        /// What about them.
        #[command(subcommand)]
        what: AclCommand,
    },
    /// Say what is wrong with a Kafka and with what uses it, with evidence and the exact fix; reads only
    Audit(AuditArgs),
    /// Print the page of an audit rule: what it looks at, why it hurts, what to do
    Explain(ExplainArgs),
    /// About open transactions
    Txn {
        /// What about them.
        #[command(subcommand)]
        what: TxnCommand,
    },
    /// Try everything that the spec needs from this machine, one by one
    Doctor(LookArgs),
    /// Say which partitions would not go on without a broker
    CanStop(CanStopArgs),
    /// Sample a live topic: how many keys, how hot the hottest, what would spread it
    Keys(KeysArgs),
    /// Give a keyed topic another number of partitions: a new topic, copied in the order of its keys
    Repartition(RepartitionArgs),
    /// Run the embedded broker alone (one node, for development and tests, never for production), or drain a real one
    Broker(BrokerArgs),
    /// About the spec file itself
    Spec {
        /// What about it.
        #[command(subcommand)]
        what: SpecCommand,
    },
    /// Print the completion script of a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// About the spec file itself.
#[derive(Debug, Subcommand)]
pub enum SpecCommand {
    /// Print the JSON Schema that editors use to complete and check klamm.yaml
    Schema,
}

/// Which demands hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Everything that the spec asks
    Prod,
    /// Copies, racks and in-sync floor relaxed, and said so on every screen
    Dev,
}

/// Which spec, for which environment.
#[derive(Debug, Clone, Args)]
pub struct SpecArgs {
    /// Spec files; several plan together. Without one: klamm.yaml here, else the built-in orders example
    #[arg(value_name = "SPEC")]
    pub spec: Vec<PathBuf>,
    /// One of the spec's `environments:`
    #[arg(long, short = 'e', value_name = "NAME")]
    pub environment: Option<String>,
    /// Relax exactly the survival demands
    #[arg(long, value_enum)]
    pub profile: Option<ProfileArg>,
}

/// Which cluster.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Brokers to ask first, host:port, separated by commas; overrides the spec's
    #[arg(long, short = 'b', value_name = "HOST:PORT", value_delimiter = ',')]
    pub bootstrap: Vec<String>,
    /// File that describes the cluster, with addresses and security; instead of the spec's
    #[arg(long, value_name = "FILE")]
    pub cluster: Option<PathBuf>,
    /// How long to try before giving up on the cluster
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    pub timeout: Duration,
}

/// `klamm up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Where the embedded broker and the read view keep their data
    #[arg(long, value_name = "DIR", default_value = ".klamm", conflicts_with = "ephemeral")]
    pub data_dir: PathBuf,
    /// Keep nothing: data goes to a temporary directory that is removed at the end
    #[arg(long)]
    pub ephemeral: bool,
    /// Port of the embedded broker on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0, conflicts_with = "bootstrap")]
    pub port: u16,
    /// Stop after this long
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// Stop after this many records; without --rate they go as fast as the cluster takes them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub records: Option<u64>,
    /// Records a second, or `max` [default: 5000, with --records: max]
    #[arg(long, value_name = "N|max", value_parser = rate)]
    pub rate: Option<RateArg>,
    /// Seed of the generated orders; printed when chosen by klamm
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Plan, apply, and stop there
    #[arg(long, conflicts_with_all = ["run_for", "records", "rate"])]
    pub apply_only: bool,
    /// How long to wait for what is in flight at the end
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub drain: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// One JSON object a line, on standard output
    #[arg(long)]
    pub json: bool,
    /// All of it: every setting with its reason and source
    #[arg(long, short = 'v')]
    pub verbose: bool,
}

/// `klamm init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// File to write; `-` prints it
    #[arg(value_name = "FILE", default_value = "klamm.yaml")]
    pub file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Write a small service that holds to the contract of FILE, beside it or into --out
    #[arg(long, value_name = "LANGUAGE", value_parser = language())]
    pub service: Option<klamm_plan::service::Language>,
    /// Folder of the service
    #[arg(long, short, value_name = "DIR", requires = "service", default_value = "service")]
    pub out: PathBuf,
}

/// `klamm plan` and `klamm doctor`: a spec and a cluster to look at.
#[derive(Debug, Args)]
pub struct LookArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `klamm plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub look: LookArgs,
    /// The whole plan as a document
    #[arg(long, value_enum, conflicts_with_all = ["json", "verbose"])]
    pub format: Option<PageArg>,
    /// Read so many of the newest records of each keyed topic, and plan with what their keys are like
    #[arg(long, value_name = "N", requires = "bootstrap", num_args = 0..=1, default_missing_value = "100000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub sample: Option<u64>,
    /// Compare two specs: what changes, what it does, and what it costs
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["spec", "format"])]
    pub diff: Option<Vec<PathBuf>>,
}

/// Forms of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageArg {
    /// Markdown
    Markdown,
    /// One HTML page, with nothing from elsewhere
    Html,
}

/// `klamm apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Make changes that delete records, too
    #[arg(long)]
    pub allow_data_loss: bool,
    /// Write the plan to a file, to be applied later to the cluster as it is now
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    pub out: Option<PathBuf>,
    /// Apply a plan that `--out` wrote, if the cluster still is as it was then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["spec", "environment", "profile", "out"])]
    pub plan: Option<PathBuf>,
    /// Take a run of the cluster's journal back; `klamm journal` lists them
    #[arg(long, value_name = "RUN", conflicts_with_all = ["spec", "environment", "profile", "out", "plan"])]
    pub undo: Option<u64>,
    /// Layers beside topics to bring to the plan: access rules, users and quotas; passwords of users that exist; broker settings that change while brokers run
    #[arg(long = "with", value_name = "LAYER", value_enum, value_delimiter = ',')]
    pub layers: Vec<LayerArg>,
    /// Bytes a second that a broker may spend on moving copies, as in `20 MB/s` [default: twice what is written at the peak, at least 50 MB/s]
    #[arg(long, value_name = "RATE", value_parser = throttle)]
    pub throttle: Option<u64>,
    /// Write no journal and take no lock, where the topic klamm.journal may not be written: no `--undo` then
    #[arg(long, conflicts_with = "undo")]
    pub no_journal: bool,
}

/// How changes are made.
#[derive(Debug, Clone, Copy, Args)]
pub struct ChangeArgs {
    /// Show what would change, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for somebody else who changes the cluster
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = patience)]
    pub lock_timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// What one partition takes and gives: replaces the planner's guess of 10 MB/s
    Partition(BenchPartitionArgs),
}

/// `klamm bench partition`.
#[derive(Debug, Args)]
pub struct BenchPartitionArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How long to write
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub run_for: Duration,
    /// Bytes of a record
    #[arg(long, value_name = "SIZE", default_value = "1 KB", value_parser = record_size)]
    pub record: u64,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Layers beside topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayerArg {
    /// Access rules, SCRAM users and quotas
    Access,
    /// Passwords of SCRAM users that exist, set again
    Passwords,
    /// Broker settings that change while brokers run
    Brokers,
}

/// About access rules.
#[derive(Debug, Subcommand)]
pub enum AclCommand {
    /// Say who could do what once the plan's rules are there, beside now; change nothing
    Simulate(LookArgs),
}

/// `klamm import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// File to write; `-` prints it
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Name of the service that is to own the topics
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub service: String,
    /// Only topics whose names begin so; several with commas between them
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pub topics: Vec<String>,
}

/// `klamm export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The form
    #[arg(long, short, value_name = "FORMAT", value_parser = format())]
    pub format: klamm_plan::export::Format,
    /// Folder to write to; without it everything is printed
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `klamm journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// One run, with its changes
    #[arg(value_name = "RUN")]
    pub run: Option<u64>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `klamm can-stop`.
#[derive(Debug, Args)]
pub struct CanStopArgs {
    /// Node id of the broker
    #[arg(value_name = "BROKER")]
    pub broker: i32,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to do with a broker of a real cluster.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// Say in which order the nodes are restarted, the active controller last
    RestartOrder {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Move all copies of a broker to the others, before it is taken away
    Drain {
        /// Node id of the broker
        #[arg(value_name = "BROKER")]
        broker: i32,
        #[command(flatten)]
        how: DrainArgs,
    },
    /// Move all copies of a broker to another one, which takes its place
    Replace {
        /// Node id of the broker that goes
        #[arg(value_name = "BROKER")]
        broker: i32,
        /// Node id of the broker that takes its place
        #[arg(value_name = "NEW")]
        new: i32,
        #[command(flatten)]
        how: DrainArgs,
    },
}

/// How to drain.
#[derive(Debug, Args)]
pub struct DrainArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Bytes a second that a broker may spend on it, above what is written meanwhile [default: 50 MB/s]
    #[arg(long, value_name = "RATE", value_parser = throttle)]
    pub throttle: Option<u64>,
}

/// `klamm keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// Topics to look at
    #[arg(value_name = "TOPIC", required = true)]
    pub topics: Vec<String>,
    /// Newest records to read of each
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub sample: u64,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `klamm repartition`.
#[derive(Debug, Args)]
pub struct RepartitionArgs {
    /// The topic as it is
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Partitions to be
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: u32,
    /// Name of the topic to be [default: TOPIC-N]
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// Copy what is left and move the groups, once producers and consumers are stopped
    #[arg(long, conflicts_with = "roll_back")]
    pub cut_over: bool,
    /// Delete the new topic and stay with the former one
    #[arg(long)]
    pub roll_back: bool,
    /// Roll back although records that producers wrote to the new topic go with it
    #[arg(long, requires = "roll_back")]
    pub allow_data_loss: bool,
    /// What to do with records that are not where the partitioner (murmur2) puts their key
    #[arg(long, value_enum, default_value = "refuse")]
    pub misplaced: MisplacedArg,
    /// Bytes a second that are copied at most, as in `20 MB/s` [default: as fast as it goes]
    #[arg(long, value_name = "RATE", value_parser = throttle)]
    pub throttle: Option<u64>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Records that are not where the partitioner puts their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MisplacedArg {
    /// Stop at the first
    Refuse,
    /// Copy them by their key: order may break within such a key
    Copy,
}

/// `klamm broker`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BrokerArgs {
    /// A broker of a real cluster; without it the embedded broker is run.
    #[command(subcommand)]
    pub command: Option<BrokerCommand>,
    /// Address to listen on (loopback unless you know why); port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9092")]
    pub listen: SocketAddr,
    /// Where the data lives
    #[arg(long, value_name = "DIR", default_value = ".klamm/broker", conflicts_with = "ephemeral")]
    pub data_dir: PathBuf,
    /// Keep nothing
    #[arg(long)]
    pub ephemeral: bool,
    /// Partitions of topics that are created without a count
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: i32,
    /// Create topics when they are first used, as Kafka does unless it is told not to
    #[arg(long, value_name = "true|false", default_value = "true", default_missing_value = "true", num_args = 0..=1, action = clap::ArgAction::Set)]
    pub auto_create: bool,
    /// Acknowledge only what survives a power loss
    #[arg(long)]
    pub fsync: bool,
    /// One of Kafka's own broker settings that the embedded broker honours, as log.retention.hours=24; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub config: Vec<(String, String)>,
    /// One JSON object a line, on standard output
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }
}
