//! Kafka's jars, fetched once by Maven into the cache.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

/// slf4j-api is 1.7.36 in Kafka's tree: a 2.x binding would silently log nothing.
const SLF4J_SIMPLE: &str = "1.7.36";

/// The jars of one version of Kafka.
#[derive(Debug, Clone)]
pub struct Jars {
    /// The folder that holds them.
    pub libs: PathBuf,
}

impl Jars {
    /// The jars of `version`, fetched if the cache does not have them yet.
    pub fn ensure(version: &str) -> Result<Jars> {
        let home = paths::cache().join(format!("kafka-{version}"));
        let libs = home.join("libs");
        if !libs.is_dir() {
            fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
            // Several test programs may start at once: one fetches, the others wait.
            let lock = File::create(home.join("lock"))?;
            lock.lock().context("cannot lock the jar cache")?;
            if !libs.is_dir() {
                fetch(version, &home, &libs)?;
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

fn fetch(version: &str, home: &Path, libs: &Path) -> Result<()> {
    eprintln!("fetching the jars of Kafka {version} into {} (once)", libs.display());
    fs::write(home.join("pom.xml"), pom(version))?;
    let partial = home.join("libs.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let mut mvn = Command::new("mvn");
    mvn.current_dir(home).stdin(Stdio::null()).args(["-B", "-q", "dependency:copy-dependencies"]);
    mvn.arg(format!("-DoutputDirectory={}", partial.display()));
    run(&mut mvn).with_context(|| format!("cannot fetch the jars of Kafka {version}"))?;
    // The rename makes a folder called `libs` mean "complete".
    fs::rename(&partial, libs).context("cannot move the jars into place")
}

fn pom(version: &str) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    let mut text = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>klamm</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n",
    );
    for artifact in ["kafka_2.13", "kafka-tools"] {
        text.push_str(&dependency("org.apache.kafka", artifact, version));
    }
    text.push_str(&dependency("org.slf4j", "slf4j-simple", SLF4J_SIMPLE));
    text.push_str("  </dependencies>\n</project>\n");
    text
}
