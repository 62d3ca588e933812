//! The small Java programs in `tests/java`: compiled when needed against the cached jars, run where Java's own answer
//! counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::kafka::VERSION;
use crate::kafka::jars::{Jars, explain_missing, run};
use crate::paths;
use crate::tidy::Record;

/// Where Java's answers are kept.
const GOLDEN: &str = "crates/klamm-kafka/tests/golden";
/// Cases for the assignors of groups, each with what Java's decide.
const ASSIGNMENTS: &str = "crates/klamm-client/src/group/assign/assignments.txt";

/// The compiled programs.
#[derive(Debug, Clone)]
pub struct Programs {
    jars: Jars,
    classes: PathBuf,
}

impl Programs {
    /// Compiles what is in `tests/java`.
    pub fn compile(root: &Path) -> Result<Programs> {
        let jars = Jars::ensure(VERSION)?;
        let classes = paths::target().join("java");
        fs::create_dir_all(&classes)?;
        let mut sources = Vec::new();
        for entry in fs::read_dir(root.join("tests/java")).context("no tests/java")? {
            let path = entry?.path();
            sources.extend(path.extension().is_some_and(|extension| extension == "java").then_some(path));
        }
        sources.sort();
        let mut javac = Command::new("javac");
        javac.args(["-Xlint:all,-processing", "-Werror", "-cp", &jars.classpath(), "-d"]);
        run(javac.arg(&classes).args(sources)).context("cannot compile tests/java")?;
        Ok(Programs { jars, classes })
    }

    /// A command that reads resources with Strimzi's model, whose libraries are others than Kafka's.
    pub fn strimzi(root: &Path) -> Result<Command> {
        let jars = Jars::ensure_strimzi()?;
        let classes = paths::target().join("java-strimzi");
        fs::create_dir_all(&classes)?;
        let mut javac = Command::new("javac");
        javac.args(["-cp", &jars.classpath(), "-d"]).arg(&classes);
        run(javac.arg(root.join("tests/java/strimzi/CheckStrimzi.java")))
            .context("cannot compile tests/java/strimzi")?;
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}:{}", classes.display(), jars.classpath())).arg("CheckStrimzi");
        Ok(command)
    }

    /// A command for one of them, or for a tool in Kafka's jars; the caller adds the arguments.
    pub fn java(&self, main_class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
        command.arg(format!("{}:{}", self.classes.display(), self.jars.classpath()));
        command.arg(main_class);
        command
    }
}

/// Asks Java for everything in `tests/golden` of klamm-kafka, and for the assignments of groups: compares it with what is committed, or
/// rewrites that.
pub fn golden(root: &Path, record: Record) -> Result<()> {
    let programs = Programs::compile(root)?;
    let fresh = tempfile::tempdir()?;
    let mut command = programs.java("GoldenFiles");
    run(command.arg(fresh.path()).arg(VERSION)).map_err(|error| error.context("GoldenFiles failed"))?;
    let mut answers = Vec::new();
    for entry in fs::read_dir(fresh.path())? {
        let entry = entry?;
        answers.push((root.join(GOLDEN).join(entry.file_name()), fs::read(entry.path())?));
    }
    let assignments = root.join(ASSIGNMENTS);
    let cases = fs::File::open(&assignments).with_context(|| format!("no {ASSIGNMENTS}"))?;
    let output = programs.java("Assignors").stdin(cases).output().context("cannot run java")?;
    ensure!(output.status.success(), "Assignors failed:\n{}", String::from_utf8_lossy(&output.stderr));
    answers.push((assignments, output.stdout));

    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let mut differing = Vec::new();
    for (committed, answer) in answers {
        if fs::read(&committed).ok().as_deref() == Some(&answer) {
            continue;
        }
        match record {
            Record::Update => fs::write(&committed, answer)?,
            Record::Compare => differing.push(name(&committed)),
        }
    }
    if !differing.is_empty() {
        differing.sort();
        bail!("{} is not what Java says\nhint: UPDATE=1 cargo xtask golden", differing.join(", "));
    }
    Ok(())
}

/// Runs a command that prints one line of JSON last, and returns that line's value.
pub fn json_answer(command: &mut Command) -> Result<serde_json::Value> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| explain_missing(&program, error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{program} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let line = text.lines().last().with_context(|| format!("{program} printed nothing"))?;
    serde_json::from_str(line).with_context(|| format!("{program} printed {line:?} instead of JSON"))
}
