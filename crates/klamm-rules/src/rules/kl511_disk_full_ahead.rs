//! A log directory will be full.
//!
//! ## What it does
//! Takes the free bytes of each log directory (since 3.3 brokers tell them, else metrics of the host) and how fast the volume fills, from metrics. Without a rate
//! only the level counts: less than a tenth free.
//!
//! ## Why it hurts
//! A broker whose disk is full takes the log directory offline, with all copies in it, or stops. Copies elsewhere then take its load and fill next.
//!
//! ## Example
//!     /var/kafka: 80 GB free, filling at 2 MB/s: full in 11 h
//!
//! ## Use instead
//!     shorter retention, more disk, or copies moved to emptier brokers
//!
//! ## Severity
//! Error when it is full within a day, warning within seven, or with less than a tenth free.
//!
//! ## References
//! - KIP-827: total and usable space of log directories

use klamm_plan::{Risk, bytes};

use crate::check::{Cx, Out};
use crate::evidence::LogDir;
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

const DAY_S: u64 = 86_400;

/// What a volume holds and how it fills.
struct Volume {
    total: u64,
    free: u64,
    /// Bytes a second; `None` without metrics.
    rate: Option<i64>,
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(dirs) = out.see("log directories", &cx.evidence.live.log_dirs) else { return };
    out.see("metrics of hosts", &cx.evidence.host);
    for dir in dirs.iter().filter(|dir| dir.error.is_none()) {
        match volume(cx, dir) {
            Some(volume) => {
                out.judged();
                check_volume(cx, out, dir, &volume);
            }
            None => out.unclear(
                &format!("{} of broker {}", dir.path, dir.broker),
                "neither the broker (before 3.3) nor metrics tell how much is free",
            ),
        }
    }
}

fn volume(cx: &Cx<'_>, dir: &LogDir) -> Option<Volume> {
    let brokers = cx.evidence.live.brokers.value().map(Vec::as_slice).unwrap_or_default();
    let broker = brokers.iter().find(|broker| broker.id == dir.broker);
    let hosts = cx.evidence.host.value().map(|host| host.hosts.as_slice()).unwrap_or_default();
    let on = hosts.iter().filter(|host| broker.is_some_and(|broker| broker.host == host.host));
    let mounts = on.flat_map(|host| &host.disks);
    let within = mounts.filter(|(mount, _)| std::path::Path::new(&dir.path).starts_with(mount));
    let mount = within.max_by_key(|(mount, _)| mount.len()).map(|(_, figures)| *figures);
    match (dir.total_bytes, dir.usable_bytes, mount) {
        (Some(total), Some(free), mount) => Some(Volume { total, free, rate: mount.map(|(.., rate)| rate) }),
        (_, _, Some((total, free, rate))) => Some(Volume { total, free, rate: Some(rate) }),
        _ => None,
    }
}

fn check_volume(cx: &Cx<'_>, out: &mut Out, dir: &LogDir, volume: &Volume) {
    let Volume { total, free, rate } = volume;
    let rate_up = rate.and_then(|rate| u64::try_from(rate).ok()).filter(|rate| *rate > 0);
    let left_s = rate_up.map(|rate| free / rate);
    let low = free.saturating_mul(10) < *total;
    let severity = match left_s {
        Some(left) if left < DAY_S => Severity::Error,
        Some(left) if left < 7 * DAY_S => Severity::Warning,
        _ if low => Severity::Warning,
        _ => return,
    };
    let what = match left_s {
        Some(left) => format!("{} is full in {} at this rate", dir.path, about(left)),
        None => format!("{} of {} are free in {}", bytes((*free).into()), bytes((*total).into()), dir.path),
    };
    let shown = match rate {
        Some(rate) if *rate < 0 => format!("{}/s are freed", bytes(rate.unsigned_abs().into())),
        Some(rate) => format!("{}/s", bytes(rate.unsigned_abs().into())),
        None => "no rate was seen".to_owned(),
    };
    let mut replicas: Vec<_> = dir.replicas.iter().collect();
    replicas.sort_by_key(|replica| std::cmp::Reverse(replica.bytes));
    let mut finding = Finding::new(severity, format!("broker {}", dir.broker), what)
        .fact(format!("free in {}", dir.path), bytes((*free).into()), "log directories of the broker")
        .fact("size", bytes((*total).into()), "log directories of the broker")
        .fact("filling by", shown, "metrics of the host");
    for replica in replicas.iter().take(3) {
        let what = format!("{}-{}", replica.topic, replica.partition);
        finding = finding.fact(what, bytes(replica.bytes.into()), "log directories of the broker");
    }
    let largest = replicas.first().map_or("TOPIC", |replica| replica.topic.as_str());
    let server = cx.bootstrap();
    out.found(
        finding
            .consequence(format!(
                "when {} is full, broker {} takes it offline with {} copies in it, and those partitions lose a copy",
                dir.path,
                dir.broker,
                dir.replicas.len()
            ))
            .fix(
                Fix::new(format!("free or add space for broker {}", dir.broker), Risk::LosesData)
                    .ask(format!("the largest topic there is {largest}: a shorter retention.ms or retention.bytes frees space at the next check (5 min), and deletes its oldest records"))
                    .ask(format!("or move copies away: klamm broker drain {}, or a larger volume", dir.broker))
                    .command(format!("kafka-log-dirs.sh --bootstrap-server {server} --describe --broker-list {}", dir.broker))
                    .undo_by("the former retention again; records that are deleted do not come back"),
            )
            .next(format!("kafka-configs.sh --bootstrap-server {server} --describe --all --entity-type topics --entity-name {largest}")),
    );
}

fn about(seconds: u64) -> String {
    let round = |unit: u64| seconds / unit * unit;
    let rounded = if seconds >= DAY_S {
        round(DAY_S)
    } else if seconds >= 3_600 {
        round(3_600)
    } else {
        seconds
    };
    duration(i64::try_from(rounded).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000))
}
