//! The command line, declared once: help, completions and the man page are generated from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Write a commented klamm.yaml to start from
    Init(InitArgs),
    /// Print every setting at every layer with its reason
    Plan(PlanArgs),
    /// Create topics and set configuration so that the cluster agrees with the plan
    Apply(ApplyArgs),
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
    /// Spec files; several plan together. Without one: klamm.yaml here
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
    /// How long to try before giving up on the cluster
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    pub timeout: Duration,
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
}

/// `klamm plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `klamm apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Show what would change, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(format!("unknown unit {unit:?}; expected ms, s, m, h or d, as in 500ms or 10s")),
    };
    match number.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 && n * seconds_per_unit <= 31_536_000.0 => {
            Ok(Duration::from_secs_f64(n * seconds_per_unit))
        }
        _ => Err("expected a time above zero and at most 365d, as in 500ms, 10s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_take_the_units_that_people_write() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for bad in ["", "s", "-1s", "0s", "10 parsecs", "1e9d", "NaNs"] {
            assert!(duration(bad).is_err(), "{bad:?} was taken");
        }
    }
}
