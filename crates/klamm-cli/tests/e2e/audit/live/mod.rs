//! Mistakes made on real Kafka: found, mended with what is printed, and gone.

mod brokers;
mod hanging;
mod settings;
mod topics;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions};
use klamm_testkit::{Cluster, eventually};
use serde_json::Value;
use tokio::task::spawn_blocking;
use xtask::kafka::tools::Tools;

use super::{audit, findings, report};
use crate::harness::Place;

const GONE: Duration = Duration::from_secs(30);
const SHOWS: Duration = Duration::from_secs(30);

/// A cluster to make mistakes on, and what mends them.
pub struct Bench {
    cluster: Cluster,
    /// Where klamm runs; its spec names the topic that is strong.
    pub place: Place,
    /// Makes the mistakes.
    pub admin: Admin,
    tools: Tools,
}

impl Bench {
    /// On this cluster.
    pub async fn new(cluster: Cluster) -> Result<Bench> {
        Bench::at(cluster, Place::new()?).await
    }

    /// On this cluster, with what is promised there.
    pub async fn at(cluster: Cluster, place: Place) -> Result<Bench> {
        let kafka = cluster.kafka().context("real Kafka")?;
        let tools = Tools::write(kafka.jars(), &place.file("tools"))?;
        let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
        Ok(Bench { cluster, place, admin, tools })
    }

    /// What the binary says of these rules.
    pub async fn audit(&self, rules: &str) -> Result<Value> {
        self.audit_with(rules, &[]).await
    }

    /// The same, with more to look at.
    pub async fn audit_with(&self, rules: &str, more: &[&str]) -> Result<Value> {
        let args = [&["--json", "--rules", rules], more].concat();
        report(&audit(&self.place, &self.cluster, &args).await?)
    }

    /// Runs what the findings print, in their order, in one shell; who asks is told yes, on a terminal.
    pub async fn fix(&self, findings: &[&Value]) -> Result<()> {
        let commands: Vec<&str> = findings.iter().flat_map(|finding| commands(finding)).collect();
        ensure!(!commands.is_empty(), "no command in {findings:?}");
        let also = std::path::Path::new(env!("CARGO_BIN_EXE_klamm")).parent().context("a folder")?;
        let lines: Vec<String> = commands.iter().map(|command| repeated(command)).collect();
        std::fs::write(self.place.file("fix.sh"), format!("set -ex\n{}\n", lines.join("\n")))?;
        let mut shell = self.tools.shell(also, "echo y | script -qec 'sh fix.sh' /dev/null");
        shell.current_dir(self.place.path());
        let run = spawn_blocking(move || shell.output()).await??;
        ensure!(run.status.success(), "{commands:#?}: {run:?}");
        Ok(())
    }

    /// Audits until each of these findings is there, with such a value among its facts.
    pub async fn found(&self, wrong: &[Mistake<'_>], more: &[&str]) -> Result<Vec<Value>> {
        let rules = rules_of(wrong.iter().map(|mistake| mistake.rule));
        eventually(SHOWS, "the findings", async || {
            let report = self.audit_with(&rules, more).await?;
            wrong.iter().map(|mistake| mistake.find(&report).cloned()).collect::<Result<Vec<Value>>>()
        })
        .await
    }

    /// Audits again until none of these is left.
    pub async fn mended(&self, wrong: &[Mistake<'_>], more: &[&str]) -> Result<()> {
        let subjects: Vec<_> = wrong.iter().map(|one| (one.rule, one.subject.to_owned())).collect();
        self.gone_with(&subjects, more).await
    }

    /// Audits again until none of these findings is left.
    pub async fn gone(&self, wrong: &[(&str, String)]) -> Result<()> {
        self.gone_with(wrong, &[]).await
    }

    async fn gone_with(&self, wrong: &[(&str, String)], more: &[&str]) -> Result<()> {
        let rules = rules_of(wrong.iter().map(|(rule, _)| *rule));
        eventually(GONE, "the findings to be gone", async || {
            let report = self.audit_with(&rules, more).await?;
            let left = wrong.iter().filter_map(|(rule, subject)| found(&report, rule, subject).ok());
            let left: Vec<_> = left.collect();
            ensure!(left.is_empty(), "left: {left:#?}");
            // Who did not look has not seen that it is gone.
            for (rule, subject) in wrong {
                let verdicts = report["verdicts"].as_array().into_iter().flatten();
                let own = verdicts.filter(|verdict| verdict["rule"] == *rule);
                let unseen = own.map(|verdict| verdict["unseen"].to_string()).collect::<String>();
                ensure!(!unseen.contains(subject), "{rule} did not see {subject}: {unseen}");
            }
            anyhow::Ok(())
        })
        .await
    }
}

/// What is wrong, and where it shows.
pub struct Mistake<'a> {
    /// The rule that finds it.
    pub rule: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// The name of a fact, or a part of it.
    pub what: &'a str,
    /// Its value, or a part of it.
    pub value: &'a str,
}

impl Mistake<'_> {
    /// Its finding, with such a value among its facts.
    fn find<'r>(&self, report: &'r Value) -> Result<&'r Value> {
        let finding = found(report, self.rule, self.subject)?;
        let mut facts = finding["evidence"].as_array().into_iter().flatten();
        let holds = |text: &Value, part: &str| text.as_str().is_some_and(|text| text.contains(part));
        let seen = facts.any(|fact| holds(&fact["what"], self.what) && holds(&fact["value"], self.value));
        ensure!(seen, "{}={} is not in {finding:#}", self.what, self.value);
        Ok(finding)
    }
}

/// Short for one of them.
pub fn mistake<'a>(rule: &'a str, subject: &'a str, what: &'a str, value: &'a str) -> Mistake<'a> {
    Mistake { rule, subject, what, value }
}

fn rules_of<'a>(rules: impl Iterator<Item = &'a str>) -> String {
    rules.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

/// Moves are verified until they are complete, as is asked for beside them.
fn repeated(command: &str) -> String {
    match command.ends_with(" --verify") {
        true => {
            format!("while {command} >moves; cat moves; grep -q 'still in progress' moves; do :; done")
        }
        false => command.to_owned(),
    }
}

/// The command lines of a fix, in their order.
pub fn commands(finding: &Value) -> Vec<&str> {
    let steps = finding["fix"]["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["command"].as_str()).collect()
}

/// What a fix asks people to do, a line each.
pub fn asked(finding: &Value) -> String {
    let steps = finding["fix"]["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["ask"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The finding of a rule about a subject.
pub fn found<'a>(report: &'a Value, rule: &str, subject: &str) -> Result<&'a Value> {
    let mut all = findings(report, rule).into_iter();
    all.find(|finding| finding["subject"] == subject)
        .with_context(|| format!("no {rule} of {subject} in {:#}", report["findings"]))
}
