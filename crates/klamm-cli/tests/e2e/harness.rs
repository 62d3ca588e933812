//! Runs the binary and waits for what it says.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use klamm_testkit::unique;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No run of the binary in a test comes near it.
const BOUND: Duration = Duration::from_secs(180);

/// A committed file that is what the binary writes; `UPDATE=1` writes it anew.
pub fn same_as_committed(file: &str, fresh: &str) -> Result<()> {
    let path = xtask::paths::root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, fresh)?;
    }
    let committed = std::fs::read_to_string(&path).with_context(|| file.to_owned())?;
    ensure!(committed == fresh, "{file} is not what the binary writes: UPDATE=1 writes it anew");
    Ok(())
}

/// A working directory with a spec whose topic and group no other test has.
pub struct Place {
    folder: TempDir,
    /// The topic of the spec.
    pub topic: String,
    /// The group of the spec.
    pub group: String,
}

impl Place {
    /// A spec for three brokers that must survive the loss of one, small records.
    pub fn new() -> Result<Place> {
        Place::with_spec(
            "klamm: 1\n\
             service: orders\n\
             cluster:\n  bootstrap: [localhost:9092]\n  brokers: 3\n\
             topics:\n  TOPIC:\n    consistency: strong\n    survive: { brokers: 1 }\n    key: order_id\n    \
             order: per_key\n    write: { rate: 1 MB/s, record: 200 B, peak: 3x }\n    retain: 7d\n\
             consumers:\n  GROUP:\n    reads: [TOPIC]\n    delivery: at_least_once\n    \
             work: { p50: 1 ms, p99: 5 ms }\n",
        )
    }

    /// A spec of the test's own; `TOPIC` and `GROUP` stand for its names.
    pub fn with_spec(spec: &str) -> Result<Place> {
        let place = Place { folder: tempfile::tempdir()?, topic: unique("orders"), group: unique("view") };
        let spec = spec.replace("TOPIC", &place.topic).replace("GROUP", &place.group);
        std::fs::write(place.path().join("klamm.yaml"), spec)?;
        Ok(place)
    }

    /// The working directory.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the binary here.
    pub fn start(&self, args: &[&str]) -> Result<Run> {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_klamm")).args(args))
    }

    /// Starts the binary here with files that cannot grow beyond so many blocks of 512 bytes.
    pub fn start_with_small_files(&self, blocks: u32, args: &[&str]) -> Result<Run> {
        // The signal ignored, a write beyond the limit fails as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        self.spawn(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_klamm")]).args(args))
    }

    /// Runs the binary here to its end, its standard output into a file.
    pub async fn run_into(&self, file: &str, args: &[&str]) -> Result<Finished> {
        let script = format!("exec \"$0\" \"$@\" >{file}");
        self.spawn(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_klamm")]).args(args))?
            .finish()
            .await
    }

    fn spawn(&self, command: &mut Command) -> Result<Run> {
        spawn_in(self.path(), command)
    }

    /// Runs the binary here to its end.
    pub async fn run(&self, args: &[&str]) -> Result<Finished> {
        self.start(args)?.finish().await
    }

    /// A file in the working directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// Runs the binary in a folder that is there, to its end.
pub async fn run_in(folder: &Path, args: &[&str]) -> Result<Finished> {
    spawn_in(folder, Command::new(env!("CARGO_BIN_EXE_klamm")).args(args))?.finish().await
}

fn spawn_in(folder: &Path, command: &mut Command) -> Result<Run> {
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start klamm")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let mut stderr = child.stderr.take().context("standard error is piped")?;
    let stderr = tokio::spawn(async move {
        let mut text = String::new();
        // A program that ends closes the pipe; what it said until then counts.
        let _ = stderr.read_to_string(&mut text).await;
        text
    });
    Ok(Run { child, lines: BufReader::new(stdout).lines(), said: Vec::new(), stderr })
}

/// A run of the binary that goes on.
pub struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    stderr: JoinHandle<String>,
}

impl Run {
    /// Reads on until an `event` line fits.
    pub async fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                let value: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                self.said.push(line);
                if fits(&value) {
                    return Ok(value);
                }
            }
            bail!("klamm ended before {what}; it said:\n{}", self.said.join("\n"))
        };
        timeout(BOUND, reading).await.with_context(|| format!("no {what} within {BOUND:?}"))?
    }

    /// Reads one line.
    pub async fn next_line(&mut self) -> Result<String> {
        let line = timeout(BOUND, self.lines.next_line()).await.context("no line")??;
        let line = line.with_context(|| format!("klamm ended; it said:\n{}", self.said.join("\n")))?;
        self.said.push(line.clone());
        Ok(line)
    }

    /// Waits until at least so many records are acknowledged and processed.
    pub async fn wait_for_processed(&mut self, records: u64) -> Result<()> {
        self.wait_for(&format!("{records} processed records"), |line| {
            line["event"] == "status" && line["processed"].as_u64() >= Some(records)
        })
        .await?;
        Ok(())
    }

    /// Sends a signal, by process id.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = self.child.id().context("klamm has ended already")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("no process id")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Reads to the end.
    pub async fn finish(mut self) -> Result<Finished> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.push(line);
            }
            anyhow::Ok(self.child.wait().await?)
        };
        let status = match timeout(BOUND, reading).await {
            Ok(status) => status?,
            Err(_) => bail!("klamm still runs after {BOUND:?}; it said:\n{}", self.said.join("\n")),
        };
        let stderr = self.stderr.await?;
        ensure!(!stderr.contains("panicked at"), "klamm panicked:\n{stderr}");
        Ok(Finished { code: status.code(), stdout: self.said.join("\n"), stderr })
    }
}

/// A run of the binary that ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The last line with this `event`.
    pub fn event(&self, name: &str) -> Result<Value> {
        self.stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .rfind(|value| value["event"] == name)
            .with_context(|| format!("no {name} in:\n{}\n{}", self.stdout, self.stderr))
    }

    /// The verdict of a run whose guarantees held.
    pub fn held(&self) -> Result<Value> {
        let verdict = self.event("verdict")?;
        ensure!(
            verdict["held"] == true && self.code == Some(0),
            "code {:?}: {verdict}\n{}",
            self.code,
            self.stderr
        );
        for count in
            ["lost", "unprocessed", "duplicated", "reordered_stored", "reordered_processed", "misplaced"]
        {
            ensure!(verdict["counts"][count] == 0, "{count}: {verdict}");
        }
        Ok(verdict)
    }

    /// A failure in one line with a hint, exit code 2.
    pub fn failed_with(&self, parts: &[&str]) -> Result<()> {
        ensure!(self.code == Some(2), "code {:?}:\n{}\n{}", self.code, self.stdout, self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        ensure!(errors.len() == 1, "one line says what:\n{}", self.stderr);
        ensure!(self.stderr.lines().any(|line| line.starts_with("hint: ")), "no hint:\n{}", self.stderr);
        for part in parts {
            ensure!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
        Ok(())
    }
}
