//! Processes that outlive the program that started them: identified so that a reused pid is never taken for ours.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::jars::explain_missing;

/// One process of this machine: its pid and when it started, in clock ticks since boot. A pid is reused, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    started_ticks: u64,
}

impl ProcessId {
    /// The process that now has this pid; `None` if there is none, or if it has ended and only waits to be reaped.
    pub fn of(pid: i32) -> Option<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let state = *fields.first()?;
        let started_ticks = fields.get(19)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(ProcessId { pid, started_ticks })
    }

    /// This process.
    pub fn own() -> Result<ProcessId> {
        let pid = i32::try_from(std::process::id())?;
        ProcessId::of(pid).context("cannot read this process in /proc")
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    /// Sends a signal, if it is still the same process.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            bail!("process {} has ended", self.pid);
        }
        let pid = Pid::from_raw(self.pid).context("not a process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal process {}", self.pid))
    }

    /// Waits until it has ended.
    pub fn wait_ended(self, bound: Duration) -> Result<()> {
        let deadline = Instant::now() + bound;
        while self.is_alive() {
            if Instant::now() > deadline {
                bail!("process {} still runs after {bound:?}", self.pid);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Reads a pid file.
    pub fn read(file: &Path) -> Option<ProcessId> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(ProcessId { pid: pid.parse().ok()?, started_ticks: started.parse().ok()? })
    }

    /// Writes a pid file.
    pub fn write(self, file: &Path) -> Result<()> {
        fs::write(file, format!("{} {}\n", self.pid, self.started_ticks))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Starts a command in its own process group (Ctrl-C in a terminal is not for it), its output appended to `log`.
pub fn spawn_logged(command: &mut Command, log: &Path) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    let log = File::options().create(true).append(true).open(log)?;
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().map_err(|error| explain_missing(&program, error))
}

/// A small shell that ends a cluster when the program that started it is gone, even by SIGKILL: it waits for the end
/// of its standard input, whose other side only that program holds. It kills only processes that name `dir`, then
/// removes the folder.
pub fn spawn_guard(dir: &Path) -> Result<Child> {
    // A process that is being killed may still add a file while its folder is removed: hence more than one attempt.
    const SCRIPT: &str = r#"
        read -r _
        for file in "$0"/node-*/pid; do
            [ -f "$file" ] || continue
            read -r pid _ < "$file"
            grep -qF "$0/" "/proc/$pid/cmdline" 2>/dev/null && kill -KILL "$pid" 2>/dev/null
        done
        [ -n "$KLAMM_KEEP" ] && exit
        for attempt in 1 2 3 4 5 6 7 8 9 10; do
            rm -rf "$0" && exit
            sleep 0.2
        done
    "#;
    Command::new("sh")
        .args(["-c", SCRIPT])
        .arg(dir)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the guard of the cluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_alive_and_an_ended_one_is_not() -> Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let id = ProcessId::of(i32::try_from(child.id())?).context("the child is not in /proc")?;
        assert!(id.is_alive());
        id.signal(Signal::KILL)?;
        child.wait()?;
        assert!(!id.is_alive());
        assert!(id.signal(Signal::KILL).is_err());
        Ok(())
    }

    #[test]
    fn the_guard_ends_the_clusters_processes_and_no_others_when_its_input_ends() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let cluster = dir.path().join("cluster");
        let mut children = Vec::new();
        for (node, argument) in [("node-1", cluster.join("a")), ("node-2", dir.path().join("stranger"))] {
            fs::create_dir_all(cluster.join(node))?;
            let mut waits = Command::new("sh");
            let child = waits.args(["-c", "read -r _"]).arg(argument).stdin(Stdio::piped()).spawn()?;
            let id = ProcessId::of(i32::try_from(child.id())?).context("the child is not in /proc")?;
            id.write(&cluster.join(node).join("pid"))?;
            children.push((child, id));
        }

        let mut guard = spawn_guard(&cluster)?;
        drop(guard.stdin.take());
        guard.wait()?;
        let alive: Vec<bool> = children.iter().map(|(_, id)| id.is_alive()).collect();
        for (mut child, _) in children {
            let _one_is_dead_already = child.kill();
            child.wait()?;
        }
        assert_eq!(alive, [false, true]);
        assert!(!cluster.exists());
        Ok(())
    }

    #[test]
    fn a_reused_pid_is_not_taken_for_ours() -> Result<()> {
        let own = ProcessId::own()?;
        let stranger = ProcessId { pid: own.pid, started_ticks: own.started_ticks + 1 };
        assert!(!stranger.is_alive());
        assert!(stranger.signal(Signal::KILL).is_err());
        Ok(())
    }

    #[test]
    fn a_pid_file_reads_back_as_written() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("pid");
        let own = ProcessId::own()?;
        own.write(&file)?;
        assert_eq!(ProcessId::read(&file), Some(own));
        Ok(())
    }
}
