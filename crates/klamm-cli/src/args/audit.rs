//! `klamm audit`, `klamm explain` and `klamm txn`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::values::{duration, patience};
use super::{ClusterArgs, OutputArgs, SpecArgs};

/// `klamm audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub look: AuditLookArgs,
    #[command(flatten)]
    pub report: AuditReportArgs,
    #[command(flatten)]
    pub fix: AuditFixArgs,
}

/// What is looked at.
#[derive(Debug, Args)]
pub struct AuditLookArgs {
    /// Configuration files, a folder or one file: brokers, clients, Connect, MirrorMaker, Strimzi, Compose, Helm, Terraform
    #[arg(long, value_name = "DIR", help_heading = "Evidence")]
    pub files: Option<PathBuf>,
    /// Source code, a folder or one file: Java, Kotlin, Python, Go, TypeScript, JavaScript, Rust
    #[arg(long, value_name = "DIR", help_heading = "Evidence")]
    pub code: Option<PathBuf>,
    /// Read so many of the newest records of each topic: keys, partitioners, schemas, sizes; no group is joined
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000), help_heading = "Evidence")]
    pub sample: Option<u64>,
    /// Watch groups for so long: a verdict on lag needs movement
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = patience, help_heading = "Evidence")]
    pub window: Duration,
    /// Exporter of a broker, client or host (node exporter, JMX exporter), as http://host:9100/metrics; may be repeated
    #[arg(long, value_name = "URL", help_heading = "Evidence")]
    pub metrics: Vec<String>,
    /// Prometheus server that scrapes them
    #[arg(long, value_name = "URL", help_heading = "Evidence")]
    pub prometheus: Option<String>,
    /// The cluster to which this one is replicated, host:port; without it that of `recovery:` in the spec
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', help_heading = "Evidence")]
    pub second: Vec<String>,
    /// Ask each broker at most 5 times a second instead of 30
    #[arg(long, help_heading = "Evidence")]
    pub gentle: bool,
    /// Take what --save-evidence wrote instead of asking a cluster; what is looked at beside it takes its place
    #[arg(long, value_name = "FILE", help_heading = "Evidence", conflicts_with_all = ["bootstrap", "cluster", "sample", "second", "fix"])]
    pub evidence: Option<PathBuf>,
    /// Write what was seen to a file; secrets are never in it
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub save_evidence: Option<PathBuf>,
}

/// What is told, and what counts.
#[derive(Debug, Args)]
pub struct AuditReportArgs {
    /// Only these rules: codes, names, or the beginning of codes, as in KL5,KL104,acks-below-all
    #[arg(long, value_name = "RULES", value_delimiter = ',', help_heading = "Report")]
    pub rules: Vec<String>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = ReportArg::Text, conflicts_with = "json", help_heading = "Report")]
    pub format: ReportArg,
    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub out: Option<PathBuf>,
    /// Report of an earlier audit in JSON: what it found does not count any more
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub baseline: Option<PathBuf>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOnArg::Warning, help_heading = "Report")]
    pub fail_on: FailOnArg,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Making what is safe.
#[derive(Debug, Args)]
pub struct AuditFixArgs {
    /// Make the fixes that are safe: settings that break nobody, journalled, taken back by `klamm apply --undo`
    #[arg(long, help_heading = "Fix")]
    pub fix: bool,
    /// With --fix: do not ask
    #[arg(short, long, requires = "fix", help_heading = "Fix")]
    pub yes: bool,
    /// With --fix: show what would change, change nothing
    #[arg(long, requires = "fix", help_heading = "Fix")]
    pub dry_run: bool,
    /// With --fix: how long to wait for somebody else who changes the cluster
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = patience, help_heading = "Fix")]
    pub lock_timeout: Duration,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportArg {
    /// For a terminal
    Text,
    /// One object with everything
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for build servers
    Junit,
    /// Markdown
    Markdown,
    /// One HTML page, with nothing from elsewhere
    Html,
}

/// From which severity on findings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOnArg {
    /// Everything
    Info,
    /// Warnings and errors
    Warning,
    /// Errors
    Error,
    /// Nothing
    Never,
}

/// `klamm explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Code or name of a rule; without one all rules are listed
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// About transactions.
#[derive(Debug, Subcommand)]
pub enum TxnCommand {
    /// Name open transactions that nobody will end, with the command that aborts each
    FindHanging {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Only this topic
        #[arg(long, value_name = "TOPIC")]
        topic: Option<String>,
        /// Only those that have been open for longer than this; the brokers end what their producer left after 15 min at most
        #[arg(long, value_name = "TIME", default_value = "15min", value_parser = duration)]
        longer_than: Duration,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Abort one open transaction of a partition: its records are never seen by readers of committed data
    Abort {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Topic
        #[arg(long, value_name = "TOPIC")]
        topic: String,
        /// Partition
        #[arg(long, value_name = "N")]
        partition: i32,
        /// First offset of the transaction, as `find-hanging` prints it
        #[arg(long, value_name = "OFFSET")]
        start_offset: i64,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}
