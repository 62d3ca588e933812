//! Kafka's jars, fetched once by Maven into the cache.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

/// slf4j-api is 1.7.36 in Kafka's tree: a 2.x binding would silently log nothing.
const SLF4J_SIMPLE: &str = "1.7.36";

/// Strimzi's model of its resources, API v1.
const STRIMZI: &str = "0.49.0";
/// Which artifacts are fetched; another number when there are more of them.
const SET: u32 = 2;

/// The jars of one version of Kafka.
#[derive(Debug, Clone)]
pub struct Jars {
    /// The folder that holds them.
    pub libs: PathBuf,
}

impl Jars {
    /// The jars of `version`, fetched if the cache does not have them yet.
    pub fn ensure(version: &str) -> Result<Jars> {
        let artifacts = ["kafka_2.13", "kafka-tools", "kafka-streams", "connect-runtime", "connect-mirror"];
        let kafka = artifacts.map(|artifact| ("org.apache.kafka", artifact, version));
        let all: Vec<_> = kafka.into_iter().chain([("org.slf4j", "slf4j-simple", SLF4J_SIMPLE)]).collect();
        Jars::ensure_all(&format!("kafka-{version}-{SET}"), &all)
    }

    /// What a broker of `version` runs with, and no tools: not every release has all of those in Maven's central repository.
    pub fn ensure_broker(version: &str) -> Result<Jars> {
        let all = [("org.apache.kafka", "kafka_2.13", version), ("org.slf4j", "slf4j-simple", SLF4J_SIMPLE)];
        Jars::ensure_all(&format!("broker-{version}"), &all)
    }

    /// The jars of Strimzi's model of its resources.
    pub fn ensure_strimzi() -> Result<Jars> {
        Jars::ensure_all(&format!("strimzi-{STRIMZI}"), &[("io.strimzi", "api", STRIMZI)])
    }

    fn ensure_all(name: &str, artifacts: &[(&str, &str, &str)]) -> Result<Jars> {
        let home = paths::cache().join(name);
        let libs = home.join("libs");
        if !libs.is_dir() {
            fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
            // Several test programs may start at once: one fetches, the others wait.
            let lock = File::create(home.join("lock"))?;
            lock.lock().context("cannot lock the jar cache")?;
            if !libs.is_dir() {
                fetch(name, artifacts, &home, &libs)?;
            }
        }
        Ok(Jars { libs })
    }

    /// The argument for `-cp`.
    pub fn classpath(&self) -> String {
        format!("{}/*", self.libs.display())
    }

    /// `java` with these jars on its class path; the caller adds the main class.
    pub fn java(&self, jvm_arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(jvm_arguments).arg("-cp").arg(self.classpath()).stdin(Stdio::null());
        command
    }
}

/// Turns "no such program" into an answer that helps.
pub fn explain_missing(program: &str, error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        anyhow::anyhow!(
            "{program} is not installed\nhint: run `make setup-test`, which installs a JDK, Maven and Kafka's jars"
        )
    } else {
        anyhow::Error::new(error).context(format!("cannot run {program}"))
    }
}

/// Runs a command to its end and turns a failure into an error with the tail of its output.
pub fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| explain_missing(&program, error))?;
    if !output.status.success() {
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!("{program} ended with {}:\n{}", output.status, tail(&String::from_utf8_lossy(&text), 20));
    }
    Ok(output)
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn fetch(name: &str, artifacts: &[(&str, &str, &str)], home: &Path, libs: &Path) -> Result<()> {
    eprintln!("fetching the jars of {name} into {} (once)", libs.display());
    fs::write(home.join("pom.xml"), pom(artifacts))?;
    let partial = home.join("libs.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let mut mvn = Command::new("mvn");
    mvn.current_dir(home).stdin(Stdio::null()).args(["-B", "-q", "dependency:copy-dependencies"]);
    mvn.arg(format!("-DoutputDirectory={}", partial.display()));
    run(&mut mvn).with_context(|| format!("cannot fetch the jars of {name}"))?;
    // The rename makes a folder called `libs` mean "complete".
    fs::rename(&partial, libs).context("cannot move the jars into place")
}

fn pom(artifacts: &[(&str, &str, &str)]) -> String {
    let mut text = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>klamm</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n",
    );
    for (group, artifact, version) in artifacts {
        text.push_str(&format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        ));
    }
    text.push_str("  </dependencies>\n</project>\n");
    text
}
