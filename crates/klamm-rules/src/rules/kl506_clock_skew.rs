//! Clocks are apart.
//!
//! ## What it does
//! Compares the clocks of brokers, as a probe measured them, with their median: more than a second apart, beyond the error of the measurement, is a
//! finding. In a sample, records whose time stamp lies more than a minute ahead show a producer's clock.
//!
//! ## Why it hurts
//! Retention by time, offsets of a time, windows of Kafka Streams and certificates all count by clocks. Since 4.0 a record that is
//! more than an hour ahead is refused (`message.timestamp.after.max.ms`); before, it kept its segment from being deleted until its time came.
//!
//! ## Example
//!     broker 2 is 90 s ahead of brokers 1 and 3
//!
//! ## Use instead
//!     chrony or another NTP client on every host
//!
//! ## Severity
//! Warning; error from an hour on, where records are refused.
//!
//! ## References
//! - KIP-937, KIP-1030: message.timestamp.after.max.ms is one hour since 4.0

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::TopicSample;
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

const BROKER_BOUND_MS: i64 = 1_000;
const RECORD_BOUND_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    brokers(cx, out);
    if let Some(samples) = out.see("a sample of records", &cx.evidence.data) {
        for sample in samples {
            if sample.records == 0 {
                if let Some(cut) = &sample.cut {
                    out.unclear(&format!("topic {}", sample.topic), format!("no record was read: {cut}"));
                }
                continue;
            }
            out.judged();
            if sample.newest_ahead_ms > RECORD_BOUND_MS {
                ahead(cx, out, sample);
            }
        }
    }
}

fn severity(apart: i64) -> Severity {
    if apart > HOUR_MS { Severity::Error } else { Severity::Warning }
}

fn brokers(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    let mut clocks = Vec::new();
    for broker in brokers {
        match broker.clock_ahead_ms {
            Some((ahead, error)) => clocks.push((broker, ahead, error.abs())),
            None => out.unclear(
                &format!("clock of broker {}", broker.id),
                "no probe measured it: it needs the right to write to a probe topic with LogAppendTime",
            ),
        }
    }
    let mut sorted: Vec<i64> = clocks.iter().map(|(_, ahead, _)| *ahead).collect();
    sorted.sort_unstable();
    let Some(median) = sorted.get(sorted.len().saturating_sub(1) / 2).copied() else { return };
    // Two brokers have no majority: the auditing machine's clock is the third.
    let median = if sorted.len() < 3 { 0 } else { median };
    for (broker, ahead, error) in clocks {
        out.judged();
        let apart = (ahead - median).abs();
        if apart - error <= BROKER_BOUND_MS {
            continue;
        }
        let way = if ahead > median { "ahead" } else { "behind" };
        out.found(
            Finding::new(severity(apart), format!("broker {}", broker.id), format!("its clock is {} {way}", duration(apart)))
                .fact("clock less the auditing machine's", duration(ahead), format!("probe, up to {} off", duration(error)))
                .fact("median of all brokers", duration(median), "probe")
                .consequence("records that it stamps are deleted too early or too late, and reading from a time finds others than were meant")
                .fix(clock_fix(&broker.host))
                .next(format!("on {}: chronyc tracking", broker.host)),
        );
    }
}

fn clock_fix(host: &str) -> Fix {
    Fix::new(format!("set the clock of {host} by NTP"), Risk::Safe)
        .ask(format!("on {host}: systemctl enable --now chronyd, then chronyc makestep"))
        .ask("no NTP client may be stopped by a container or a firewall (UDP 123)")
        .undo_by("nothing to take back")
}

fn ahead(cx: &Cx<'_>, out: &mut Out, sample: &TopicSample) {
    let TopicSample { topic, newest_ahead_ms, log_append_time, .. } = sample;
    let (whose, fix) = match log_append_time {
        true => ("a broker's clock", clock_fix("the broker that leads it")),
        false => ("a producer's clock, or a field that it stamps records with,", clock_fix("the producer")),
    };
    let by = duration(*newest_ahead_ms);
    out.found(
        Finding::new(severity(*newest_ahead_ms), format!("topic {topic}"), format!("its newest record is {by} in the future"))
            .fact("newest time stamp less the auditing machine's clock", by, format!("sample of {} records", sample.records))
            .consequence(format!(
                "{whose} is wrong: brokers since 4.0 refuse records that are more than an hour ahead, and time-based retention keeps what should go"
            ))
            .fix(fix)
            .next(format!(
                "kafka-configs.sh --bootstrap-server {} --describe --all --entity-type topics --entity-name {topic}",
                cx.bootstrap()
            )),
    );
}
