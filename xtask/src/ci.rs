//! `cargo xtask ci`: what `make test` runs, stage by stage, each with its seconds beside `ci/budget.toml`.
//!
//! One build profile and one set of features serve every stage, so nothing is compiled twice.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::kafka::{Kafka, KafkaOptions};
use crate::{java, matrix, tidy};

/// Seconds since 1970 at which `make test` began: setting up comes before this program exists.
const STARTED: &str = "KLAMM_CI_STARTED";

/// What the program outside the workspace must not pull in with the feature `client` alone.
const NOT_IN_CLIENT: [&str; 5] = ["klamm-broker", "klamm-plan", "serde-saphyr", "axum", "tree-sitter"];

/// What each stage may take, in seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    total: u64,
    stages: BTreeMap<String, u64>,
}

/// A stage's name and what it does.
type Stage = (&'static str, fn(&mut Ci) -> Result<()>);

const STAGES: [Stage; 10] = [
    ("fmt", |ci| {
        ci.cargo(&["fmt", "--all", "--check"])?;
        ci.rules_are_formatted()
    }),
    ("tidy", |ci| tidy::run(&ci.root, tidy::Record::Compare)),
    ("clippy", |ci| {
        // With what only the fuzzing targets use, which are not of the workspace.
        let fuzzing = "--features=klamm-broker/fuzzing";
        ci.cargo(&["clippy", "--workspace", "--all-targets", fuzzing, "--locked", "--", "-D", "warnings"])
    }),
    ("build", |ci| ci.cargo(&["test", "--workspace", "--no-run", "--locked"])),
    ("generated", |ci| java::golden(&ci.root, tidy::Record::Compare)),
    ("pure", |ci| ci.test(&["--skip", "on_embedded", "--skip", "on_real_kafka"])),
    ("embedded", |ci| ci.test(&["on_embedded"])),
    ("clients", |ci| matrix::stage(&ci.root)),
    ("real", |ci| ci.on_real_kafka()),
    ("outside", |ci| ci.outside()),
];

/// Runs the stages named, or all of them, and stops at the first that fails.
pub fn run(root: &Path, only: &[String]) -> Result<()> {
    for name in only {
        let known = STAGES.map(|(name, _)| name);
        ensure!(known.contains(&name.as_str()), "no stage `{name}`: there are {}", known.join(", "));
    }
    let text = fs::read_to_string(root.join("ci/budget.toml")).context("no ci/budget.toml")?;
    let budget: Budget = toml::from_str(&text).context("ci/budget.toml is not what it should be")?;
    let mut ci = Ci { root: root.to_path_buf(), kafka: None, tests: Tests::default(), seed: None };
    let before = ci.tree()?;
    let mut report = Report { budget, lines: Vec::new(), began: Instant::now() };
    report.count_setup();

    let chosen = STAGES.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|only| only == name));
    let mut outcome = Ok(());
    for (name, stage) in chosen {
        println!("== {name}");
        let start = Instant::now();
        outcome = stage(&mut ci).with_context(|| format!("stage {name}"));
        report.add(name, start.elapsed());
        if outcome.is_err() {
            break;
        }
    }
    ci.kafka = None;
    report.finish();
    println!("{} passed, {} failed", ci.tests.passed, ci.tests.failed);
    outcome?;
    ensure!(ci.tree()? == before, "the run changed tracked files or left new ones behind: see git status");
    Ok(())
}

/// Breaks the embedded broker at length and runs the tests on real Kafka, again and again, each time with another seed, until one
/// fails.
pub fn soak(root: &Path, seed: u64, count: u64) -> Result<()> {
    for seed in seed..seed.saturating_add(count) {
        println!("== KLAMM_SEED={seed}");
        let mut ci = Ci { root: root.to_path_buf(), kafka: None, tests: Tests::default(), seed: Some(seed) };
        ci.break_the_broker(seed)
            .with_context(|| format!("with KLAMM_KILL_SEED={seed} KLAMM_FUZZ_SEED={seed}"))?;
        ci.on_real_kafka().with_context(|| format!("with KLAMM_SEED={seed}"))?;
    }
    Ok(())
}

/// Cargo in this tree, as if nobody had started it from another cargo.
pub fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    // What cargo told this program about its own package is not for the ones it starts.
    env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
        .for_each(|name| {
            command.env_remove(name);
        });
    command
}

struct Ci {
    root: PathBuf,
    /// The cluster that the tests share; it starts with the first stage that wants it.
    kafka: Option<Kafka>,
    tests: Tests,
    /// What tests that roll dice start from; they choose and print one themselves if there is none.
    seed: Option<u64>,
}

#[derive(Default)]
struct Tests {
    passed: u64,
    failed: u64,
}

impl Ci {
    fn command(&self, arguments: &[&str]) -> Command {
        cargo(&self.root, arguments)
    }

    fn cargo(&mut self, arguments: &[&str]) -> Result<()> {
        let status = self.command(arguments).status().context("cannot run cargo")?;
        ensure!(status.success(), "cargo {} failed", arguments.join(" "));
        Ok(())
    }

    /// The rules' modules are declared by a macro, where `cargo fmt` does not look.
    fn rules_are_formatted(&self) -> Result<()> {
        let mut command = Command::new("rustfmt");
        command.current_dir(&self.root).args(["--edition", "2024", "--check"]);
        for entry in fs::read_dir(self.root.join("crates/klamm-rules/src/rules"))? {
            command.arg(entry?.path());
        }
        ensure!(
            command.status().context("cannot run rustfmt")?.success(),
            "rustfmt: a rule is not formatted"
        );
        Ok(())
    }

    fn test(&mut self, filters: &[&str]) -> Result<()> {
        let mut command = self.command(&["test", "--workspace", "--no-fail-fast", "--locked", "--"]);
        command.args(filters);
        self.run_tests(command)
    }

    /// Passes the tests' output on and counts along.
    fn run_tests(&mut self, mut command: Command) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let output = child.stdout.take().context("no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            // Binaries in which the filter leaves nothing are not worth three lines each.
            if !line.is_empty() && line != "running 0 tests" && !line.contains("0 passed; 0 failed") {
                println!("{line}");
            }
            self.tests.count(&line);
        }
        ensure!(child.wait()?.success(), "tests failed");
        Ok(())
    }

    /// What `make test` does to the embedded broker for seconds: kills in the middle of requests, and malformed input.
    fn break_the_broker(&mut self, seed: u64) -> Result<()> {
        let filters = ["on_embedded::kills", "malformed_input"];
        let mut command = self.command(&["test", "-p", "klamm-broker", "--locked", "--test", "it", "--"]);
        command.args(filters).env("KLAMM_KILL_SEED", seed.to_string()).env("KLAMM_KILLS", "60");
        command.env("KLAMM_FUZZ_SEED", seed.to_string()).env("KLAMM_FUZZ_CASES", "40000");
        self.run_tests(command)
    }

    fn on_real_kafka(&mut self) -> Result<()> {
        let dir = self.kafka()?.dir().to_path_buf();
        let mut command = self.command(&["test", "--workspace", "--no-fail-fast", "--locked", "--"]);
        // Each of several clusters at once would have a fraction of two cores.
        command.args(["on_real_kafka", "--test-threads=1"]).env("KLAMM_TEST_CLUSTER", dir);
        if let Some(seed) = self.seed {
            command.env("KLAMM_SEED", seed.to_string());
        }
        self.run_tests(command)
    }

    fn kafka(&mut self) -> Result<&Kafka> {
        let kafka = match self.kafka.take() {
            Some(kafka) => kafka,
            None => Kafka::start(KafkaOptions { name: "ci".into(), brokers: 3, ..KafkaOptions::default() })?,
        };
        Ok(self.kafka.insert(kafka))
    }

    /// A program that is no part of the workspace depends on the facade and sends a record.
    fn outside(&mut self) -> Result<()> {
        const MANIFEST: &str = "tests/outside/Cargo.toml";
        let mut tree =
            self.command(&["tree", "--manifest-path", MANIFEST, "--prefix", "none", "-e", "normal"]);
        let output = tree.output().context("cannot run cargo tree")?;
        ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        for name in tree.lines().filter_map(|line| line.split(' ').next()) {
            if NOT_IN_CLIENT.contains(&name) {
                bail!("the facade's feature `client` pulls in {name}");
            }
        }
        // Both programs: the service that `klamm init --service rust` writes is the other one.
        let mut build =
            self.command(&["build", "--locked", "--manifest-path", MANIFEST, "--target-dir", "target"]);
        ensure!(build.status()?.success(), "a program outside the workspace does not compile");
        let kafka = self.kafka()?;
        kafka.raw(1)?.create_topic("outside", 12, 3, &[("min.insync.replicas", "2")])?;
        let bootstrap = kafka.bootstrap();
        // The target folder of the workspace: what is built for it need not be built again.
        let mut run =
            self.command(&["run", "--locked", "--manifest-path", MANIFEST, "--target-dir", "target"]);
        let status = run.args(["--", &bootstrap, "outside"]).status()?;
        ensure!(status.success(), "the program outside the workspace failed");
        Ok(())
    }

    /// The state of the tree, to see whether the run changed it: generated files are written only on demand.
    fn tree(&self) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        for arguments in [&["status", "--porcelain"][..], &["diff"]] {
            let output = Command::new("git").current_dir(&self.root).args(arguments).output();
            state.extend(output.context("cannot run git")?.stdout);
        }
        Ok(state)
    }
}

impl Tests {
    /// Reads `test result: ok. 3 passed; 0 failed; …`.
    fn count(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            let before = counts.split(what).next().filter(|before| before.len() < counts.len());
            before.and_then(|before| before.split(' ').next_back()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += number(" passed");
        self.failed += number(" failed");
    }
}

struct Report {
    budget: Budget,
    lines: Vec<String>,
    began: Instant,
}

impl Report {
    /// `make test` installed packages and built this program before it could look at a clock.
    fn count_setup(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = env::var(STARTED).ok().and_then(|seconds| seconds.parse().ok());
        let spent = started.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds)));
        if let Some(began) = spent.and_then(|spent| self.began.checked_sub(spent)) {
            self.add("setup", self.began - began);
            self.began = began;
        }
    }

    fn add(&mut self, name: &str, took: Duration) {
        let line = against(name, took, self.budget.stages.get(name).copied());
        println!("-- {line}");
        self.lines.push(line);
    }

    fn finish(&self) {
        println!("== seconds");
        self.lines.iter().for_each(|line| println!("   {line}"));
        println!("   {}", against("total", self.began.elapsed(), Some(self.budget.total)));
    }
}

fn against(name: &str, took: Duration, budget: Option<u64>) -> String {
    let seconds = took.as_secs_f64();
    match budget {
        Some(budget) if seconds > budget as f64 => {
            format!("{name:<10} {seconds:>7.1} s of {budget} s  OVER BUDGET")
        }
        Some(budget) => format!("{name:<10} {seconds:>7.1} s of {budget} s"),
        None => format!("{name:<10} {seconds:>7.1} s, no budget"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_runners_closing_lines_are_added_up() {
        let mut tests = Tests::default();
        tests.count("test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out");
        tests.count("test result: FAILED. 3 passed; 2 failed; 0 ignored");
        tests.count("test a_thing ... ok");
        assert_eq!((tests.passed, tests.failed), (15, 3));
    }

    #[test]
    fn every_stage_has_a_budget() -> Result<()> {
        let text = fs::read_to_string(crate::paths::root().join("ci/budget.toml"))?;
        let budget: Budget = toml::from_str(&text)?;
        let sum: u64 = budget.stages.values().sum();
        assert!(STAGES.iter().all(|(name, _)| budget.stages.contains_key(*name)));
        assert!(
            sum <= budget.total,
            "the stages' budgets add up to {sum} s, the total is {} s",
            budget.total
        );
        Ok(())
    }
}
