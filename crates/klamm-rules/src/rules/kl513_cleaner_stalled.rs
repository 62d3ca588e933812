//! The log cleaner does not clean.
//!
//! ## What it does
//! Reads the cleaner's metrics (partitions that it has given up on, time since it last cleaned what is dirty), and `log.cleaner.enable` of live brokers.
//!
//! ## Why it hurts
//! Compacted topics grow without end, `__consumer_offsets` among them: a broker that becomes group coordinator reads all of it first, and groups stand
//! still for minutes. Tombstones stay, and with them what was to be deleted.
//!
//! ## Example
//!     uncleanable-partitions-count 2
//!
//! ## Use instead
//!     restart the broker: the cleaner's threads start again; then look for the cause in log-cleaner.log
//!
//! ## Severity
//! Error for partitions that were given up or a cleaner that is off, warning for one that has not cleaned for a day.
//!
//! ## References
//! - KIP-346: improve log cleaner behavior on error

use klamm_plan::Risk;

use crate::brokers::restart_fix;
use crate::check::{Cx, Out};
use crate::evidence::HostMetrics;
use crate::finding::{Finding, Fix, Severity};
use crate::text::{duration, source_of, value};

const STALLED_S: u64 = 86_400;
const ENABLE: &str = "log.cleaner.enable";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for broker in cx.evidence.live.brokers.value().into_iter().flatten() {
        let Some(configs) = broker.configs.value() else { continue };
        if value(configs, ENABLE) != Some("false") {
            continue;
        }
        let fix = restart_fix(cx, &[broker.id], "log.cleaner.enable=true", "log.cleaner.enable=false");
        let finding = Finding::new(
            Severity::Error,
            format!("broker {}", broker.id),
            "its log cleaner is off",
        )
        .fact(ENABLE, "false", source_of(configs, ENABLE));
        found(cx, out, finding, fix);
    }
    let Some(host) = out.see("metrics of brokers", &cx.evidence.host) else { return };
    for metrics in &host.hosts {
        check_host(cx, out, metrics);
    }
}

fn check_host(cx: &Cx<'_>, out: &mut Out, metrics: &HostMetrics) {
    let (given_up, stalled) = (metrics.uncleanable_partitions, metrics.cleaner_stalled_seconds);
    if given_up.is_none() && stalled.is_none() {
        return;
    }
    out.judged();
    let source = format!("metrics of {}", metrics.at);
    let finding = match (given_up.unwrap_or(0), stalled.unwrap_or(0)) {
        (count @ 1.., _) => {
            let what = "its log cleaner has given up on partitions";
            Finding::new(Severity::Error, format!("broker at {}", metrics.host), what).fact(
                "uncleanable partitions",
                count.to_string(),
                source,
            )
        }
        (_, seconds) if seconds > STALLED_S => {
            let since = duration(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000));
            let what = "its log cleaner has not cleaned what is dirty";
            Finding::new(Severity::Warning, format!("broker at {}", metrics.host), what).fact(
                "longest time since the last compaction",
                since,
                source,
            )
        }
        _ => return,
    };
    let fix = Fix::new("start the cleaner again and find what it stumbles over", Risk::NeedsBrokerRestart)
        .ask(format!("on {}: log-cleaner.log names the partition and the error (a batch that is damaged or larger than log.cleaner.dedupe.buffer.size allows)", metrics.host))
        .ask("restart the broker, after klamm can-stop says that it may: its cleaner begins again with those partitions")
        .undo_by("nothing to take back");
    found(cx, out, finding, fix);
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence("compacted topics, committed offsets among them, grow until the disk is full, and coordinators take longer and longer to start")
            .fix(fix)
            .next(format!("kafka-log-dirs.sh --bootstrap-server {} --describe --topic-list __consumer_offsets", cx.bootstrap())),
    );
}
