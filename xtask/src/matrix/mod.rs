//! `cargo xtask clients`: the client matrix. Real clients run one list of checks, and decide whether the embedded broker is
//! Kafka; on real Kafka the same run proves the programs themselves.
//!
//! A program is a folder of `tests/clients`. It takes `--bootstrap HOST:PORT --name UNIQUE [--only CHECK,CHECK]` and prints one
//! line of JSON a check: `{"check":"idempotent","ok":true}`, with `"error"` if it failed, or `{"check":…,"skipped":"why"}`.

pub mod broker;
pub mod clients;
pub mod program;
pub mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use broker::{Target, Tier};
use clients::Client;
use program::{Outcome, Run};

/// The list, in its order. A client that has no such thing answers with a reason.
pub const CHECKS: [&str; 21] = [
    "create_topic",
    "produce_none",
    "produce_gzip",
    "produce_snappy",
    "produce_lz4",
    "produce_zstd",
    "idempotent",
    "transactional",
    "read_committed",
    "group_rebalance_classic",
    "group_resume_classic",
    "groups_described_classic",
    "transform_classic",
    "group_rebalance_consumer",
    "group_resume_consumer",
    "groups_described_consumer",
    "transform_consumer",
    "offsets_by_time",
    "configs",
    "delete_records",
    "streams_exactly_once",
];

/// Kafka's own tools: each is a transcript in `tests/clients/tools`.
pub const TOOLS: [&str; 8] = [
    "kafka-topics",
    "kafka-configs",
    "kafka-get-offsets",
    "kafka-consumer-groups",
    "kafka-consumer-groups-delete-offsets",
    "kafka-consumer-groups-consumer",
    "kafka-transactions",
    "kafka-acls",
];

/// What the embedded broker does not have yet.
const PENDING: &str = "tests/clients/pending.toml";

/// Which part of the matrix to run, and on what.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Every client, not only those of `make test`
    #[arg(long)]
    all: bool,
    /// Only these clients
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,
    /// Only these checks
    #[arg(long, value_delimiter = ',', value_name = "CHECK")]
    only: Vec<String>,
    /// The embedded broker, or real Kafka
    #[arg(long, value_enum, default_value = "embedded")]
    tier: Tier,
    /// A broker that runs already, instead of a new one
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// Also run what is listed as pending
    #[arg(long)]
    pending: bool,
    /// Write the table into docs/broker.md, if every client has run and nothing failed
    #[arg(long)]
    record: bool,
}

/// What the embedded broker does not have yet, so that its checks are not run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    #[serde(default)]
    pending: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    checks: Vec<String>,
    /// Nobody reads it here; it must be there.
    #[serde(rename = "reason")]
    _reason: String,
}

/// Carries the command out.
pub fn run(root: &Path, command: &Command) -> Result<()> {
    let chosen = choose(command)?;
    let checks = checks(root, command)?;
    let target = match &command.bootstrap {
        Some(bootstrap) => Target::Running(bootstrap.clone()),
        None => Target::start(root, command.tier, broker::Build::Crate)?,
    };
    let runs = run_all(root, &chosen, &checks, &target)?;
    let failed = runs.iter().flat_map(|run| run.failures()).count();
    if command.record {
        ensure!(failed == 0, "{failed} checks failed: nothing is recorded");
        let whole = command.all && command.clients.is_empty() && command.only.is_empty();
        ensure!(
            whole && command.tier == Tier::Embedded,
            "only a whole run on the embedded broker is recorded: --all, without --client, --only and --tier"
        );
        table::record(root, &runs)?;
    }
    ensure!(failed == 0, "{failed} checks failed on {}", command.tier.title());
    Ok(())
}

/// The stage of `make test`: the short list on the embedded broker, with what is built already.
pub fn stage(root: &Path) -> Result<()> {
    let chosen: Vec<_> = clients::ALL.iter().filter(|client| client.short).collect();
    let pending = pending(root)?;
    let checks: Vec<_> =
        CHECKS.into_iter().filter(|check| !pending.iter().any(|name| name == check)).collect();
    let target = Target::start(root, Tier::Embedded, broker::Build::Workspace)?;
    let runs = run_all(root, &chosen, &checks, &target)?;
    let failed = runs.iter().flat_map(|run| run.failures()).count();
    ensure!(failed == 0, "{failed} checks failed");
    Ok(())
}

/// All checks, of clients and of tools.
fn every() -> impl Iterator<Item = &'static str> {
    CHECKS.into_iter().chain(TOOLS)
}

fn choose(command: &Command) -> Result<Vec<&'static Client>> {
    for name in &command.clients {
        let known: Vec<_> = clients::ALL.iter().map(|client| client.name).collect();
        ensure!(known.contains(&name.as_str()), "no client `{name}`: there are {}", known.join(", "));
    }
    let named = |client: &Client| command.clients.iter().any(|name| name == client.name);
    let wanted = |client: &Client| match command.clients.is_empty() {
        true => client.short || command.all,
        false => named(client),
    };
    Ok(clients::ALL.iter().filter(|client| wanted(client)).collect())
}

fn checks(root: &Path, command: &Command) -> Result<Vec<&'static str>> {
    if let Some(unknown) = command.only.iter().find(|name| !every().any(|check| check == *name)) {
        bail!("no check `{unknown}`: there are {}", every().collect::<Vec<_>>().join(", "));
    }
    let pending = match (command.tier, command.pending || !command.only.is_empty()) {
        (Tier::Embedded, false) => pending(root)?,
        _ => Vec::new(),
    };
    let wanted = |check: &&str| command.only.is_empty() || command.only.iter().any(|only| only == check);
    let running = |check: &&str| !pending.iter().any(|pending| pending == check);
    Ok(every().filter(|check| wanted(check) && running(check)).collect())
}

fn pending(root: &Path) -> Result<Vec<String>> {
    let Ok(text) = fs::read_to_string(root.join(PENDING)) else { return Ok(Vec::new()) };
    let list: Pending =
        toml::from_str(&text).with_context(|| format!("{PENDING} is not what it should be"))?;
    let names: Vec<_> = list.pending.into_iter().flat_map(|entry| entry.checks).collect();
    if let Some(unknown) = names.iter().find(|name| !every().any(|check| check == *name)) {
        bail!("{PENDING} names no check: `{unknown}`");
    }
    if !names.is_empty() {
        println!("not run, because {PENDING} lists them: {}", names.join(", "));
    }
    Ok(names)
}

fn run_all(root: &Path, chosen: &[&'static Client], checks: &[&str], target: &Target) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for client in chosen {
        let checks: Vec<_> = checks.iter().copied().filter(|check| client.checks.contains(check)).collect();
        if checks.is_empty() {
            continue;
        }
        println!("-- {} {}", client.title, client.version);
        let command = (client.prepare)(root).with_context(|| format!("cannot prepare {}", client.name))?;
        let run = program::run(client, command, &target.bootstrap(), &checks)?;
        for (check, outcome) in &run.outcomes {
            if let Outcome::Failed(error) = outcome {
                println!("   {check}: {error}");
            }
        }
        println!("   {} of {} checks in {:.1} s", run.passed(), checks.len(), run.took.as_secs_f64());
        runs.push(run);
    }
    println!("{}", table::text(&runs, checks));
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_names_checks_with_a_reason() -> Result<()> {
        let pending = pending(&crate::paths::root())?;
        assert!(pending.iter().all(|name| every().any(|check| check == name)));
        Ok(())
    }

    #[test]
    fn every_tool_has_its_transcript() {
        let folder = crate::paths::root().join("tests/clients/tools");
        assert!(TOOLS.iter().all(|tool| folder.join(format!("{tool}.txt")).is_file()));
    }

    #[test]
    fn every_client_has_its_folder() {
        let root = crate::paths::root();
        for client in &clients::ALL {
            assert!(root.join("tests/clients").join(client.folder).is_dir(), "no folder {}", client.folder);
        }
    }
}
