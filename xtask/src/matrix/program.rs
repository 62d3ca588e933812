//! One client's program: run within a bound, its lines read.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::clients::Client;
use crate::kafka::jars::{explain_missing, tail};

/// How long one program may take: every check has a bound of its own, this is for one that hangs all the same.
const BOUND: Duration = Duration::from_secs(420);

/// What a check said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// The client cannot do it, and why.
    Skipped(String),
    /// It failed, and how.
    Failed(String),
}

/// One client's run.
#[derive(Debug)]
pub struct Run {
    /// Whose.
    pub client: &'static Client,
    /// What each check that was asked for said.
    pub outcomes: Vec<(String, Outcome)>,
    /// From start to end.
    pub took: Duration,
}

impl Run {
    /// The outcome of a check, if it was asked for.
    pub fn outcome(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|(name, _)| name == check).map(|(_, outcome)| outcome)
    }

    /// How many checks passed.
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        let failed = self.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        failed.map(|(name, _)| name.as_str())
    }
}

#[derive(Debug, Deserialize)]
struct Line {
    check: String,
    ok: Option<bool>,
    error: Option<String>,
    skipped: Option<String>,
}

impl Line {
    fn outcome(self) -> Outcome {
        match (self.skipped, self.ok) {
            (Some(why), _) => Outcome::Skipped(why),
            (None, Some(true)) => Outcome::Passed,
            (None, _) => Outcome::Failed(self.error.unwrap_or_else(|| "no reason told".into())),
        }
    }
}

/// Runs a program to its end, or to the bound. A check that it does not tell of has failed.
pub fn run(client: &'static Client, mut command: Command, bootstrap: &str, checks: &[&str]) -> Result<Run> {
    let start = Instant::now();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    command.args(["--bootstrap", bootstrap, "--name", &format!("{}-{seconds}", client.name)]);
    command.args(["--only", &checks.join(",")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| explain_missing(&program, error))?;
    let (sender, lines) = mpsc::channel();
    let output = child.stdout.take().context("no output")?;
    let reader = thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // Nobody listens any more when the bound is over.
        lines.for_each(|line| drop(sender.send(line)));
    });
    let errors = child.stderr.take().context("no standard error")?;
    let (complain, complaints) = mpsc::channel();
    // Nobody listens any more when all went well.
    thread::spawn(move || drop(complain.send(std::io::read_to_string(errors).unwrap_or_default())));

    let mut outcomes = Vec::new();
    let mut ending = "it ended without a word of it";
    loop {
        match lines.recv_timeout(BOUND.saturating_sub(start.elapsed())) {
            Ok(line) => outcomes.extend(read(&line)),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                ending = "the program was ended: it took too long";
                child.kill()?;
                break;
            }
        }
    }
    let status = child.wait()?;
    drop(reader);
    let silent: Vec<_> =
        checks.iter().filter(|check| !outcomes.iter().any(|(name, _)| name == *check)).collect();
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    if !silent.is_empty() || failed || !status.success() {
        // A child of the program may hold its standard error open: then there is nothing to show.
        let text = complaints.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        eprintln!("{}", tail(&text, 40));
    }
    for check in silent {
        outcomes.push(((*check).to_owned(), Outcome::Failed(format!("{ending} ({status})"))));
    }
    Ok(Run { client, outcomes, took: start.elapsed() })
}

/// Clients also print what is none of ours.
fn read(line: &str) -> Option<(String, Outcome)> {
    let line: Line = serde_json::from_str(line).ok()?;
    Some((line.check.clone(), line.outcome()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_outcome_and_other_lines_are_none() {
        let outcome = |line| read(line).map(|(_, outcome)| outcome);
        assert_eq!(outcome(r#"{"check":"configs","ok":true}"#), Some(Outcome::Passed));
        assert_eq!(
            outcome(r#"{"check":"configs","ok":false,"error":"x"}"#),
            Some(Outcome::Failed("x".into()))
        );
        assert_eq!(outcome(r#"{"check":"configs","skipped":"y"}"#), Some(Outcome::Skipped("y".into())));
        assert_eq!(outcome("%4|1795617843.704|GETPID|"), None);
        assert!(matches!(outcome(r#"{"check":"configs"}"#), Some(Outcome::Failed(_))));
    }
}
