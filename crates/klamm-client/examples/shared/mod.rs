//! What both benches need.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// Linux counts a process's time in ticks of 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of this process so far, all threads.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&stat) / TICKS_PER_SECOND
}

/// User and system time of a `stat` file.
fn ticks(stat: &str) -> f64 {
    // The second field is the name in parentheses and may hold blanks; utime and stime are the 14th and 15th.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// CPU time of the whole run by the names of the threads: a profile of who works, not of what at.
fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut by_name = BTreeMap::new();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let name =
            stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("?", |(name, _)| name);
        *by_name.entry(name.to_owned()).or_default() += ticks(&stat) / TICKS_PER_SECOND;
    }
    by_name
}

/// Prints `{records, seconds, cpu_seconds, cpu_by_thread}`; the last one counts the warm-up too.
pub fn report(records: usize, started: Instant, cpu_before: f64) {
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let line = serde_json::json!({
        "records": records, "seconds": seconds, "cpu_seconds": cpu_seconds, "cpu_by_thread": cpu_by_thread(),
    });
    println!("{line}");
}

/// Values that compress like JSON does: about to a half.
#[allow(dead_code, reason = "each bench is a program of its own and uses what it needs")]
pub fn values(size: usize) -> Vec<Vec<u8>> {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut letter = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        b'a' + u8::try_from(random % 16).unwrap_or(0)
    };
    (0..1_000).map(|_| (0..size).map(|_| letter()).collect()).collect()
}
