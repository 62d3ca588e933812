//! What a running process has used: memory and processor time, as `/proc` tells them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Linux counts a process's time in ticks of 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that is looked at from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// What it has in memory now (`VmRSS`).
    pub(super) fn rss_mib(self) -> Result<f64> {
        self.mib("VmRSS")
    }

    /// The most that it ever had in memory (`VmHWM`).
    pub(super) fn peak_mib(self) -> Result<f64> {
        self.mib("VmHWM")
    }

    /// Processor time of all its threads so far, in the kernel too.
    pub(super) fn cpu_seconds(self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the process is gone")?;
        ticks(&stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND).context("no times in /proc/PID/stat")
    }

    fn mib(self, field: &str) -> Result<f64> {
        let status = format!("/proc/{}/status", self.0);
        let kib = kib(Path::new(&status), field).with_context(|| format!("no {field} in {status}"))?;
        Ok(kib as f64 / 1024.0)
    }
}

/// A field of a `status` file that is in KiB.
pub(super) fn kib(status: &Path, field: &str) -> Option<u64> {
    kib_in(&fs::read_to_string(status).ok()?, field)
}

fn kib_in(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// User and system time of a `stat` file.
fn ticks(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses and may hold blanks and parentheses; utime and stime are the 14th and 15th.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_the_whole_name_of_its_field() {
        let status = "Name:\tklamm\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nVmRSSX:\t1 kB\n";
        assert_eq!(kib_in(status, "VmRSS"), Some(10_240));
        assert_eq!(kib_in(status, "VmHWM"), Some(20_480));
        assert_eq!(kib_in(status, "VmR"), None);
        assert_eq!(kib_in("VmRSS:\n", "VmRSS"), None);
    }

    #[test]
    fn times_are_read_behind_a_name_with_blanks_and_parentheses() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 10 0 0 0 250 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_has_used_something() -> Result<()> {
        let own = Process(std::process::id());
        assert!(own.rss_mib()? > 0.0 && own.peak_mib()? >= own.rss_mib()?);
        assert!(own.cpu_seconds()? >= 0.0);
        assert!(Process(0).cpu_seconds().is_err());
        Ok(())
    }
}
