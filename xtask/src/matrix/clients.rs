//! The clients: what each needs is fetched once into the cache, compiled into the target folder, and told as a command.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{CHECKS, TOOLS};
use crate::kafka::VERSION;
use crate::kafka::jars::{Jars, run};
use crate::paths;

/// The release of Java's clients before 4.0 whose users are still many.
const JAVA_BEFORE: &str = "3.9.1";

/// One client.
#[derive(Debug)]
pub struct Client {
    /// As `--client` takes it.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// The version that the lock file of its folder names.
    pub version: &'static str,
    /// Its folder in `tests/clients`.
    pub folder: &'static str,
    /// What it runs.
    pub checks: &'static [&'static str],
    /// Whether `make test` runs it.
    pub short: bool,
    /// Fetches and compiles what is missing, and returns the command; the caller adds the arguments.
    pub prepare: fn(&Path) -> Result<Command>,
}

/// All clients: those of `make test` first.
pub const ALL: [Client; 11] = [
    Client {
        name: "java",
        title: "Java",
        version: VERSION,
        folder: "java",
        checks: &CHECKS,
        short: true,
        prepare: |root| java(root, VERSION),
    },
    Client {
        name: "confluent-kafka",
        title: "confluent-kafka (Python)",
        version: "2.16.1",
        folder: "confluent-kafka",
        checks: &CHECKS,
        short: true,
        prepare: |root| python(root, "confluent-kafka"),
    },
    Client {
        name: "franz-go",
        title: "franz-go",
        version: "1.22.3",
        folder: "go/franz-go",
        checks: &CHECKS,
        short: true,
        prepare: |root| go(root, "franz-go"),
    },
    Client {
        name: "tools",
        title: "Kafka's command-line tools",
        version: VERSION,
        folder: "tools",
        checks: &TOOLS,
        short: true,
        prepare: tools,
    },
    Client {
        name: "java-3.9",
        title: "Java",
        version: JAVA_BEFORE,
        folder: "java",
        checks: &CHECKS,
        short: false,
        prepare: |root| java(root, JAVA_BEFORE),
    },
    Client {
        name: "kafka-python",
        title: "kafka-python",
        version: "3.0.12",
        folder: "kafka-python",
        checks: &CHECKS,
        short: false,
        prepare: |root| python(root, "kafka-python"),
    },
    Client {
        name: "aiokafka",
        title: "aiokafka",
        version: "0.14.0",
        folder: "aiokafka",
        checks: &CHECKS,
        short: false,
        prepare: |root| python(root, "aiokafka"),
    },
    Client {
        name: "sarama",
        title: "sarama",
        version: "1.61.1",
        folder: "go/sarama",
        checks: &CHECKS,
        short: false,
        prepare: |root| go(root, "sarama"),
    },
    Client {
        name: "kafkajs",
        title: "KafkaJS",
        version: "2.2.4",
        folder: "kafkajs",
        checks: &CHECKS,
        short: false,
        prepare: |root| node(root, "kafkajs"),
    },
    Client {
        name: "confluent-javascript",
        title: "@confluentinc/kafka-javascript",
        version: "1.10.1",
        folder: "confluent-javascript",
        checks: &CHECKS,
        short: false,
        prepare: |root| node(root, "confluent-javascript"),
    },
    Client {
        name: "krafka",
        title: "krafka",
        version: "0.28.1",
        folder: "krafka",
        checks: &CHECKS,
        short: false,
        prepare: krafka,
    },
];

/// Fetches what the short list needs, so that no test waits for the network.
pub fn fetch(root: &Path) -> Result<()> {
    ALL.iter().filter(|client| client.short).try_for_each(|client| (client.prepare)(root).map(drop))
}

fn java(root: &Path, version: &str) -> Result<Command> {
    let newest = version == VERSION;
    let jars = if newest { Jars::ensure(version)? } else { Jars::ensure_broker(version)? };
    let classes = paths::target().join(format!("clients/java-{version}"));
    fs::create_dir_all(&classes)?;
    let mut javac = Command::new("javac");
    // The programs call what every release since 3.9 has, which the newest calls deprecated.
    javac.args(["-Xlint:all,-processing,-deprecation,-removal", "-Werror", "-cp", &jars.classpath(), "-d"]);
    javac.arg(&classes);
    let mut sources = Vec::new();
    for entry in fs::read_dir(root.join("tests/clients/java"))? {
        let path = entry?.path();
        // Kafka Streams is among the jars of the newest only.
        sources.extend((newest || !path.ends_with("WordCount.java")).then_some(path));
    }
    sources.sort();
    run(javac.args(sources)).context("cannot compile tests/clients/java")?;
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"]);
    command.arg(format!("{}:{}", classes.display(), jars.classpath())).arg("Matrix");
    Ok(command)
}

fn tools(root: &Path) -> Result<Command> {
    let jars = Jars::ensure(VERSION)?;
    let folder = root.join("tests/clients/tools");
    let classes = paths::target().join("clients/tools");
    fs::create_dir_all(&classes)?;
    let mut javac = Command::new("javac");
    javac.args(["-Xlint:all,-processing", "-Werror", "-cp", &jars.classpath(), "-d"]).arg(&classes);
    run(javac.args(["RunTools.java", "Steps.java"].map(|name| folder.join(name))))
        .context("cannot compile tests/clients/tools")?;
    let mut command = Command::new("java");
    // Transcripts hold the times of day of one zone.
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"]);
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp"]);
    command.arg(format!("{}:{}", classes.display(), jars.classpath()));
    command.arg("RunTools").arg("--transcripts").arg(folder);
    Ok(command)
}

/// A folder of the cache for what these files of the tree ask for, made once.
fn cached(
    root: &Path,
    name: &str,
    files: &[&str],
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = root.join("tests/clients").join(name);
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(folder.join(file)).with_context(|| format!("{name} has no {file}"))?.hash(&mut hasher);
    }
    let home = paths::cache().join(format!("client-{name}-{:016x}", hasher.finish()));
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    // Several runs may start at once: one fetches, the others wait.
    let lock = File::create(home.join("lock"))?;
    lock.lock().context("cannot lock the cache of a client")?;
    if !home.join("complete").exists() {
        eprintln!("fetching {name} into {} (once)", home.display());
        make(&home)?;
        fs::write(home.join("complete"), "")?;
    }
    Ok(home)
}

fn python(root: &Path, name: &str) -> Result<Command> {
    let folder = root.join("tests/clients").join(name);
    let home = cached(root, name, &["requirements.txt"], |home| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("python")))?;
        let mut pip = Command::new(home.join("python/bin/pip"));
        pip.args(["install", "-q", "--no-deps", "-r"]).arg(folder.join("requirements.txt"));
        run(&mut pip).with_context(|| format!("cannot install {name}")).map(drop)
    })?;
    let mut command = Command::new(home.join("python/bin/python"));
    // No compiled files in the tree.
    command.arg("-B").arg(folder.join("main.py"));
    Ok(command)
}

fn go(root: &Path, name: &str) -> Result<Command> {
    let program = paths::target().join("clients").join(name);
    let mut go = Command::new("go");
    go.current_dir(root.join("tests/clients/go")).args(["build", "-mod=readonly", "-o"]);
    run(go.arg(&program).arg(format!("./{name}"))).with_context(|| format!("cannot compile {name}"))?;
    Ok(Command::new(program))
}

fn node(root: &Path, name: &str) -> Result<Command> {
    const FILES: [&str; 2] = ["package.json", "package-lock.json"];
    let folder = root.join("tests/clients").join(name);
    let home = cached(root, name, &FILES, |home| {
        for file in FILES {
            fs::copy(folder.join(file), home.join(file))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(home).args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run(&mut npm).with_context(|| format!("cannot install {name}"))?;
        // librdkafka from the source that the package brings, with the libraries of the system, instead of a binary from elsewhere.
        let mut build = Command::new("npm");
        build.current_dir(home).arg("rebuild");
        build.env("CKJS_LINKING", "dynamic").env("npm_config_build_from_source", "true");
        build.env("npm_config_nodedir", "/usr");
        run(&mut build).with_context(|| format!("cannot compile {name}")).map(drop)
    })?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", home.join("node_modules")).arg(folder.join("main.js"));
    Ok(command)
}

fn krafka(root: &Path) -> Result<Command> {
    const MANIFEST: &str = "tests/clients/krafka/Cargo.toml";
    let target = paths::target().join("clients/krafka");
    let mut cargo = crate::ci::cargo(root, &["build", "-q", "--locked", "--manifest-path", MANIFEST]);
    run(cargo.arg("--target-dir").arg(&target)).context("cannot compile tests/clients/krafka")?;
    Ok(Command::new(target.join("debug/klamm-client-krafka")))
}
