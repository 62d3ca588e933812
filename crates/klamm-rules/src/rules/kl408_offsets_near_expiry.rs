//! The committed offsets of a group that nobody runs are about to expire.
//!
//! ## What it does
//! For each group without members takes the time of its last commit, which only `__consumer_offsets` tells, and the brokers' `offsets.retention.minutes`. Fires when less
//! than a quarter of it is left. A classic group's time runs from when it emptied, which is later than its last commit: it has at least what is said. Without
//! the time of the commit the group is not evaluated.
//!
//! ## Why it hurts
//! Once they have expired the group starts where `auto.offset.reset` says: `latest` skips everything that came since, `earliest` works on everything again.
//!
//! ## Example
//!     a nightly job that is off for a week, with offsets.retention.minutes=10080
//!
//! ## Use instead
//!     offsets.retention.minutes=43200
//!
//! ## Severity
//! Error where the data is strong, else warning.
//!
//! ## References
//! - KIP-211: expiration semantics of consumer group offsets

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{reading_groups, topics_of};
use crate::evidence::{Group, GroupKind};
use crate::finding::{Finding, Fix};
use crate::producers::by_weight;
use crate::text::{duration, number, source_of};

const RETENTION: &str = "offsets.retention.minutes";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let groups = reading_groups(cx, out);
    let idle: Vec<&Group> = groups
        .into_iter()
        .filter(|group| {
            if !group.members.is_empty() {
                out.judged();
            }
            group.members.is_empty() && !group.offsets.is_empty()
        })
        .collect();
    if idle.is_empty() {
        return;
    }
    let Some((retention_ms, source)) = retention(cx, out) else { return };
    for group in idle {
        check_group(cx, out, group, (retention_ms, &source));
    }
}

/// The shortest retention of any broker, since any can coordinate the group.
fn retention(cx: &Cx<'_>, out: &mut Out) -> Option<(i64, String)> {
    let brokers = out.see("brokers of the cluster", &cx.evidence.live.brokers)?;
    let mut shortest: Option<(i64, String)> = None;
    for broker in brokers {
        let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
        else {
            continue;
        };
        let Some(minutes) = number(configs, RETENTION) else {
            out.unclear(&format!("broker {}", broker.id), format!("{RETENTION} was not told"));
            continue;
        };
        if shortest.as_ref().is_none_or(|(ms, _)| minutes * 60_000 < *ms) {
            shortest =
                Some((minutes * 60_000, format!("broker {}, {}", broker.id, source_of(configs, RETENTION))));
        }
    }
    shortest
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group, (retention_ms, source): (i64, &str)) {
    let subject = format!("group {}", group.name);
    let times: Option<Vec<i64>> = group.offsets.iter().map(|offset| offset.committed_at_ms).collect();
    let newest = times.as_ref().and_then(|times| times.iter().max().copied());
    let oldest = times.as_ref().and_then(|times| times.iter().min().copied());
    // A classic group's offsets expire together, after it emptied; those of KIP-848 each by itself.
    let from = if group.kind == GroupKind::Classic { newest } else { oldest };
    let Some(committed_at) = from else {
        return out.unclear(&subject, "when its offsets were committed is only in __consumer_offsets");
    };
    out.judged();
    let left_ms = committed_at + retention_ms - cx.evidence.at_ms;
    if left_ms * 4 >= retention_ms {
        return;
    }
    let weight = cx.weight_of_all(&topics_of(group));
    let left = duration(left_ms.max(0));
    let minutes = (retention_ms / 60_000).saturating_mul(4);
    let bootstrap = cx.bootstrap();
    let group_name = &group.name;
    let fix = Fix::new("keep its offsets", Risk::NeedsBrokerRestart)
        .ask(format!(
            "start {group_name}, so that it commits: that gives it another {}",
            duration(retention_ms)
        ))
        .ask(format!(
            "or set {RETENTION}={minutes} in server.properties of each broker, and restart them one by one"
        ))
        .undo_by(format!("set {RETENTION}={} again", retention_ms / 60_000));
    let finding =
        Finding::new(by_weight(&weight), subject, format!("its offsets expire in {left} at the earliest"))
            .fact("last commit before", duration(cx.evidence.at_ms - committed_at), "__consumer_offsets")
            .fact(RETENTION, (retention_ms / 60_000).to_string(), source)
            .fact("members", "0", "the group's coordinator")
            .consequence(
                "after that the group starts where auto.offset.reset says: it skips records, \
            or works on all of them again",
            )
            .fix(fix)
            .next(format!(
                "kafka-consumer-groups.sh --bootstrap-server {bootstrap} --describe --group {group_name}"
            ))
            .weighed(weight);
    out.found(finding);
}
