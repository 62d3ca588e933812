//! How far behind a group is, how that moves over the window, and why.

use crate::check::Cx;
use crate::evidence::{Group, GroupOffset, HostMetrics};

/// Offsets are committed in steps (`auto.commit.interval.ms` is 5 s): a lag that grows by less than one and a half of them may be the step.
const STEP_MS: i64 = 7_500;
/// Fewer records than these are noise.
const NOISE_RECORDS: i64 = 10;

/// How the lag of a group moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Lag at the first look, in records.
    pub first: i64,
    /// Lag at the last look.
    pub last: i64,
    /// Records that came in the window.
    pub came: i64,
    /// Records that were committed in the window.
    pub committed: i64,
    /// The window, in milliseconds.
    pub window_ms: i64,
    /// Growth that may come from committing in steps.
    pub tolerance: i64,
}

impl Movement {
    /// Of all partitions for which both looks have all that they need.
    pub fn of(offsets: &[&GroupOffset]) -> Option<Self> {
        let mut all = Movement { first: 0, last: 0, came: 0, committed: 0, window_ms: 0, tolerance: 0 };
        for offset in offsets {
            all.first += offset.lag_first()?;
            all.last += offset.lag()?;
            all.came += (offset.end? - offset.end_first?).max(0);
            all.committed += (offset.committed - offset.committed_first).max(0);
            all.window_ms = all.window_ms.max(offset.window_ms);
        }
        if all.window_ms > 0 {
            all.tolerance = (all.came.saturating_mul(STEP_MS) / all.window_ms).max(NOISE_RECORDS);
        }
        Some(all)
    }

    /// The window is too short to tell movement from a step.
    pub fn too_short(&self) -> bool {
        self.window_ms <= STEP_MS
    }

    /// Records by which the lag grew.
    pub fn grew(&self) -> i64 {
        self.last - self.first
    }

    /// It grows, beyond what committing in steps explains.
    pub fn grows(&self) -> bool {
        self.grew() > self.tolerance
    }

    /// Records a second of so many in the window.
    pub fn per_second(&self, records: i64) -> f64 {
        records as f64 * 1_000.0 / self.window_ms.max(1) as f64
    }
}

/// Why a lag grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nobody reads.
    Stopped,
    /// There are members, and they commit nothing.
    Stuck,
    /// The group rebalances: looks that were not stable, of so many.
    Rebalance(usize, usize),
    /// One partition has nearly all of the growth: topic, partition, share in hundredths.
    HotPartition(String, i32, i64),
    /// A quota slows its clients down, by a member's host.
    Quota(String),
    /// A member's host is at its end: host, and of what.
    Host(String, &'static str),
    /// It had kept up until the window: more comes than before.
    Surge,
    /// It reads less than comes.
    Slow,
}

/// The cause of a lag that grows, by what was seen; the surest first.
pub fn cause(cx: &Cx<'_>, group: &Group, all: &Movement, offsets: &[&GroupOffset]) -> Cause {
    if group.members.is_empty() {
        return Cause::Stopped;
    }
    let moving = group.states.iter().filter(|look| look.state != "Stable").count();
    if group.states.len() >= 3 && moving * 2 >= group.states.len() {
        return Cause::Rebalance(moving, group.states.len());
    }
    if all.committed == 0 {
        return Cause::Stuck;
    }
    if let Some((topic, partition, share)) = hottest(all, offsets) {
        return Cause::HotPartition(topic, partition, share);
    }
    for metrics in hosts_of(cx, group) {
        if metrics.throttled_thousandths.is_some_and(|throttled| throttled > 0) {
            return Cause::Quota(metrics.at.clone());
        }
        if metrics.cpu_thousandths.is_some_and(|cpu| cpu >= 900) {
            return Cause::Host(metrics.at.clone(), "CPU");
        }
        if let (Some(free), Some(memory)) = (metrics.memory_available_bytes, metrics.memory_bytes)
            && free.saturating_mul(20) < memory
        {
            return Cause::Host(metrics.at.clone(), "memory");
        }
    }
    if all.first <= all.tolerance { Cause::Surge } else { Cause::Slow }
}

fn hottest(all: &Movement, offsets: &[&GroupOffset]) -> Option<(String, i32, i64)> {
    if offsets.len() < 3 || all.grew() <= 0 {
        return None;
    }
    let grew = |offset: &GroupOffset| Some(offset.lag()? - offset.lag_first()?);
    let growth = offsets.iter().filter_map(|offset| Some((grew(offset)?, *offset)));
    let (most, offset) = growth.max_by_key(|(grew, _)| *grew)?;
    let share = most.saturating_mul(100) / all.grew();
    (share >= 80).then(|| (offset.topic.clone(), offset.partition, share.min(100)))
}

/// Metrics of the hosts on which a group's members run.
pub fn hosts_of<'a>(cx: &Cx<'a>, group: &Group) -> Vec<&'a HostMetrics> {
    let hosts = cx.evidence.host.value().map(|host| host.hosts.as_slice()).unwrap_or_default();
    let runs = |metrics: &&HostMetrics| {
        group
            .members
            .iter()
            .any(|member| member.host.trim_start_matches('/') == metrics.host && !metrics.host.is_empty())
    };
    hosts.iter().filter(runs).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offset(first: (i64, i64), last: (i64, i64), window_ms: i64) -> GroupOffset {
        GroupOffset {
            committed_first: first.0,
            end_first: Some(first.1),
            committed: last.0,
            end: Some(last.1),
            window_ms,
            ..GroupOffset::default()
        }
    }

    #[test]
    fn a_step_of_committing_is_no_growth() {
        let steady = offset((1_000, 1_000), (3_500, 4_000), 30_000);
        assert!(!Movement::of(&[&steady]).expect("seen").grows());
        let behind = offset((1_000, 1_000), (2_000, 4_000), 30_000);
        assert!(Movement::of(&[&behind]).expect("seen").grows());
    }

    #[test]
    fn a_missing_end_is_not_zero() {
        let unknown = GroupOffset { end: None, ..offset((0, 0), (0, 0), 30_000) };
        assert_eq!(Movement::of(&[&unknown]), None);
    }

    proptest! {
        #[test]
        fn a_group_that_reads_what_comes_never_grows(
            start in 0_i64..1_000_000,
            lag in 0_i64..10_000,
            came in 0_i64..1_000_000,
            window_ms in 1_i64..600_000,
        ) {
            let kept = offset((start, start + lag), (start + came, start + lag + came), window_ms);
            prop_assert!(!Movement::of(&[&kept]).expect("seen").grows());
        }
    }
}
