//! What an audit finds in records, groups and security of real Kafka: each mistake is made, found, mended as the finding says,
//! and gone.

mod data;
mod groups;
mod security;

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
use klamm_testkit::{Cluster, eventually};
use serde_json::Value;
use tokio::process::{Child, Command};
use xtask::clients::Clients;
use xtask::kafka::tools::Tools;

use super::report;
use crate::harness::Place;

/// How long what was mended may take to show.
const SHOWS: Duration = Duration::from_secs(60);
/// How long one command line may take.
const COMMAND: Duration = Duration::from_secs(60);

/// Settings of a topic.
type Configs<'a> = &'a [(&'a str, &'a str)];

/// A cluster in which mistakes are made, and what an operator has at hand.
struct Site {
    place: Place,
    admin: Admin,
    bootstrap: String,
    tools: Tools,
    clients: Clients,
    /// How the binary is told where the cluster is.
    connection: [String; 2],
}

impl Site {
    async fn new(cluster: &Cluster, spec: &str) -> Result<Site> {
        let place = Place::with_spec(spec)?;
        let bootstrap = cluster.bootstrap();
        let jars = cluster.kafka().context("real")?.jars();
        Ok(Site {
            admin: Admin::connect(&ClientOptions::new(bootstrap.split(','))).await?,
            tools: Tools::write(jars, &place.file("bin"))?,
            clients: Clients::ensure(&xtask::paths::root())?,
            connection: ["--bootstrap".to_owned(), bootstrap.clone()],
            bootstrap,
            place,
        })
    }

    /// The report of an audit for these rules.
    async fn audit(&self, rules: &str, more: &[&str]) -> Result<Value> {
        let [flag, value] = &self.connection;
        let common = ["audit", flag, value, "--json", "--fail-on", "never", "--rules", rules];
        let run = self.place.run(&[&common[..], more].concat()).await?;
        ensure!(run.code == Some(0), "{run:?}");
        report(&run)
    }

    /// Audits until none of these findings, each a rule and a subject, is left.
    async fn gone(&self, of: &[(&str, String)], more: &[&str]) -> Result<()> {
        let mut rules: Vec<&str> = of.iter().map(|(rule, _)| *rule).collect();
        rules.dedup();
        let rules = rules.join(",");
        let what = format!("{rules} to be mended");
        eventually(SHOWS, &what, async || {
            let report = self.audit(&rules, more).await.map_err(|error| format!("{error:#}"))?;
            let left = of.iter().filter_map(|(rule, subject)| find(&report, rule, subject).ok());
            let left: Vec<String> = left.map(Value::to_string).collect();
            // A rule that did not look has not seen that its finding is gone.
            let blind = of.iter().filter(|(rule, subject)| is_unclear(&report, rule, subject));
            let blind: Vec<_> = blind.collect();
            match left.is_empty() && blind.is_empty() {
                true => Ok(()),
                false => Err(format!("left: {left:?}, not looked at: {blind:?}")),
            }
        })
        .await
    }

    /// Runs the commands of a fix as they are printed.
    async fn run_fix(&self, finding: &Value) -> Result<Vec<String>> {
        let lines = commands(finding);
        ensure!(!lines.is_empty(), "no command in {finding}");
        let mut said = Vec::new();
        for line in lines {
            said.push(self.shell(&line).await?);
        }
        Ok(said)
    }

    /// Runs a command line with Kafka's tools and the binary on its path; who asks is answered with yes, on a terminal.
    async fn shell(&self, line: &str) -> Result<String> {
        let binary = Path::new(env!("CARGO_BIN_EXE_klamm"));
        let also = binary.parent().context("a folder")?;
        let asks = line.starts_with("klamm repartition");
        let typed = format!("echo y | script -qec '{line}' /dev/null");
        let command = self.tools.shell(also, if asks { &typed } else { line });
        let output = finished(command, self.place.path()).await.with_context(|| line.to_owned())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {}\n{said}\n{error}", output.status);
        Ok(said)
    }

    /// Writes records with the clients that people use.
    async fn write(&self, jobs: &Value) -> Result<()> {
        let mut command = self.clients.python("mistakes.py");
        command.args(["write", &self.bootstrap, &jobs.to_string()]);
        let output = finished(command, self.place.path()).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A client that goes on until it is dropped.
    fn client(&self, args: &[&str]) -> Result<Child> {
        let mut command = self.clients.python("mistakes.py");
        command.arg(args[0]).arg(&self.bootstrap).args(&args[1..]);
        Ok(Command::from(command).kill_on_drop(true).spawn()?)
    }

    /// Makes topics, each with a number of partitions and settings.
    async fn topics(&self, all: &[(&str, i32, Configs<'_>)]) -> Result<()> {
        let new = all.iter().map(|(name, partitions, configs)| NewTopic {
            name: (*name).to_owned(),
            partitions: *partitions,
            replication_factor: 1,
            configs: configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        });
        self.admin.create_topics(&new.collect::<Vec<_>>(), Mode::Execute).await?;
        let names: Vec<String> = all.iter().map(|(name, ..)| (*name).to_owned()).collect();
        Ok(self.admin.wait_until_ready(&names, SHOWS).await?)
    }

    /// Waits until a group has so many members and rests.
    async fn has_members(&self, group: &str, members: usize) -> Result<()> {
        eventually(SHOWS, &format!("{members} members of {group}"), async || {
            let seen = self.admin.describe_group(group).await.map_err(|error| error.to_string())?;
            let rests = seen.state == if members == 0 { "Empty" } else { "Stable" };
            match rests && seen.members.len() == members {
                true => Ok(()),
                false => Err(format!("{} with {}", seen.state, seen.members.len())),
            }
        })
        .await
    }
}

/// Runs a program to its end, within a bound.
async fn finished(command: std::process::Command, folder: &Path) -> Result<Output> {
    let running = Command::from(command).current_dir(folder).kill_on_drop(true).output();
    Ok(tokio::time::timeout(COMMAND, running).await.context("it still runs")??)
}

/// The finding of a rule on a subject.
fn find<'a>(report: &'a Value, rule: &str, subject: &str) -> Result<&'a Value> {
    let found = super::findings(report, rule);
    let subjects: Vec<&Value> = found.iter().map(|finding| &finding["subject"]).collect();
    let own = found.iter().find(|finding| finding["subject"] == subject).copied();
    own.with_context(|| {
        let verdicts = report["verdicts"].as_array().into_iter().flatten();
        let verdicts: Vec<_> = verdicts.filter(|verdict| verdict["rule"] == rule).collect();
        format!("no {rule} on {subject}, but on {subjects:?}: {verdicts:?}")
    })
}

/// The finding of a rule on a subject, which says this somewhere.
fn found<'a>(report: &'a Value, rule: &str, subject: &str, says: &str) -> Result<&'a Value> {
    let finding = find(report, rule, subject)?;
    ensure!(finding.to_string().contains(says), "{says:?} is not in {finding}");
    Ok(finding)
}

fn is_unclear(report: &Value, rule: &str, subject: &str) -> bool {
    let verdicts = report["verdicts"].as_array().into_iter().flatten();
    let own = verdicts.filter(|verdict| verdict["rule"] == rule && verdict["status"] == "not_evaluated");
    own.map(Value::to_string).any(|verdict| verdict.contains(subject))
}

/// The command lines of a fix.
fn commands(finding: &Value) -> Vec<String> {
    let steps = finding["fix"]["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["command"].as_str()).map(str::to_owned).collect()
}

/// What a fix asks people to do.
fn asked(finding: &Value) -> String {
    let steps = finding["fix"]["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["ask"].as_str()).collect::<Vec<_>>().join("\n")
}

mod on_real_kafka {
    use anyhow::{Context, Result};
    use klamm_testkit::{Cluster, KafkaOptions, Listeners, run_on_real_with};

    #[test]
    fn mistakes_in_records_and_groups_are_found_and_mended_as_told() -> Result<()> {
        // Offsets of groups without members live for a minute; the broker looks for expired ones every ten.
        let short = ("offsets.retention.minutes".to_owned(), "1".to_owned());
        let options = KafkaOptions { brokers: 3, properties: vec![short], ..KafkaOptions::default() };
        run_on_real_with(options, async |cluster: Cluster| {
            let site = super::Site::new(&cluster, super::groups::SPEC).await?;
            super::groups::rest(&site).await.context("a group that rests")?;
            super::data::mistakes(&site).await.context("data")?;
            super::groups::mistakes(&site).await.context("groups")
        })
    }

    #[test]
    fn mistakes_in_security_are_found_and_mended_as_told() -> Result<()> {
        let options = KafkaOptions { listeners: Listeners::Secured, ..KafkaOptions::default() };
        run_on_real_with(options, async |cluster: Cluster| {
            let site = super::Site::new(&cluster, super::security::SPEC).await?;
            super::security::mistakes(&cluster, &site).await
        })
    }
}
