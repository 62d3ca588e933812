//! What is written to topics now: a move that is throttled below that never ends.

use std::collections::BTreeMap;
use std::time::Duration;

use klamm_admin::{Admin, AdminError};
use klamm_plan::{Change, ChangeKind};
use tokio::time::{Instant, sleep};

use crate::ApplyErrorKind;

/// How long it is looked at. Short for a rate that goes up and down: the floor is twice what was seen.
const LOOK: Duration = Duration::from_secs(2);

/// How the throttle of moves comes about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Throttle {
    /// Somebody asked for it: refused where it is no more than what is written.
    Asked(u64),
    /// What the changes say, raised to twice what is written where that is more.
    Planned,
}

/// Sets the throttle of all moves in `changes`, so that each can end.
pub(crate) async fn set_throttle(
    admin: &Admin,
    changes: &mut [Change],
    wanted: Throttle,
) -> Result<(), ApplyErrorKind> {
    let mut moved: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for change in changes.iter() {
        if let ChangeKind::Reassign { moves, .. } = &change.kind
            && moves.iter().any(|step| step.adding().next().is_some())
        {
            moved.insert(change.topic.clone(), moves.iter().map(|step| step.partition).collect());
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    let inbound = inbound(admin, &moved).await?;
    for change in changes {
        let ChangeKind::Reassign { throttle, .. } = &mut change.kind else { continue };
        let written = inbound.get(&change.topic).copied().unwrap_or(0);
        *throttle = match wanted {
            Throttle::Planned => (*throttle).max(written.saturating_mul(2)),
            Throttle::Asked(rate) if rate > written => rate,
            Throttle::Asked(rate) => {
                let topic = change.topic.clone();
                return Err(ApplyErrorKind::ThrottleTooLow { topic, throttle: rate, inbound: written });
            }
        };
    }
    Ok(())
}

/// Bytes a second that are written to the partitions of each topic, together.
async fn inbound(
    admin: &Admin,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> Result<BTreeMap<String, u64>, AdminError> {
    let (started, before) = (Instant::now(), admin.log_sizes(partitions).await?);
    sleep(LOOK).await;
    let (after, elapsed) = (admin.log_sizes(partitions).await?, started.elapsed());
    let mut rates = BTreeMap::new();
    for ((topic, partition), size) in after {
        let then = before.get(&(topic.clone(), partition)).copied().unwrap_or(size);
        // What was deleted meanwhile hides what was written; another partition tells.
        let grown = size.saturating_sub(then) as f64 / elapsed.as_secs_f64();
        *rates.entry(topic).or_default() += grown as u64;
    }
    Ok(rates)
}
