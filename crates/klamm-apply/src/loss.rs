//! What a shorter retention would delete: counted before it is done.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use klamm_admin::{Admin, AdminError, OffsetSpec};
use klamm_plan::{Change, ChangeKind, Risk};
use serde::{Deserialize, Serialize};

/// Records that a change deletes, as far as the cluster tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Records that would go; `None` when it follows from sizes, which the cluster does not tell by record.
    pub records: Option<i64>,
    /// Groups of the plan, and how many of these records each has not committed yet.
    pub unread: Vec<(String, i64)>,
    /// When they go.
    pub when: String,
}

impl Loss {
    /// A sentence for people.
    pub fn text(&self) -> String {
        let records = match self.records {
            Some(1) => "deletes 1 record".to_owned(),
            Some(records) => format!("deletes {records} records"),
            None => "deletes the oldest records, by size".to_owned(),
        };
        let unread = self.unread.iter().filter(|(_, records)| *records > 0);
        let unread: Vec<String> =
            unread.map(|(group, records)| format!("group {group} has not read {records} of them")).collect();
        let unread = if unread.is_empty() { String::new() } else { format!("; {}", unread.join(", ")) };
        format!("{records}{unread}; {}", self.when)
    }
}

/// What `change` would delete; `None` for a change that deletes nothing, as things are now. `readers` are groups with the
/// topics that they read.
pub(crate) async fn loss(
    admin: &Admin,
    readers: &[(&str, &[String])],
    change: &Change,
) -> Result<Option<Loss>, AdminError> {
    if change.risk != Risk::LosesData {
        return Ok(None);
    }
    let (name, to) = match &change.kind {
        ChangeKind::SetConfig { name, to, .. } | ChangeKind::RestoreConfig { name, to: Some(to), .. } => {
            (name, to.as_str())
        }
        // The value that is inherited then is the cluster's to know: nothing is counted.
        ChangeKind::RestoreConfig { name, to: None, .. } => (name, ""),
        ChangeKind::DeleteTopic { records } => {
            let when = "at once, with the topic".to_owned();
            return Ok((*records > 0).then(|| Loss { records: Some(*records), unread: Vec::new(), when }));
        }
        _ => return Ok(None),
    };
    let when = match name.as_str() {
        "cleanup.policy" => "as the cleaner or the retention check comes by",
        _ => {
            "at the next retention check (log.retention.check.interval.ms, 5 min) after their segment is closed"
        }
    };
    let cut = match (name.as_str(), to.trim().parse::<i64>()) {
        ("retention.ms", Ok(kept)) if kept >= 0 => older_than(admin, &change.topic, kept).await?,
        _ => return Ok(Some(Loss { records: None, unread: Vec::new(), when: when.to_owned() })),
    };
    let records: i64 = cut.values().map(|(oldest, end)| end - oldest).sum();
    if records == 0 {
        return Ok(None);
    }
    let mut unread = Vec::new();
    for (group, topics) in readers {
        if !topics.contains(&change.topic) {
            continue;
        }
        let committed = admin.group_offsets(group, std::slice::from_ref(&change.topic)).await?;
        let committed: BTreeMap<i32, i64> = committed.iter().map(|at| (at.partition, at.offset)).collect();
        let missing = |(partition, (oldest, end)): (&i32, &(i64, i64))| {
            (end - committed.get(partition).copied().unwrap_or(*oldest).max(*oldest)).max(0)
        };
        unread.push(((*group).to_owned(), cut.iter().map(missing).sum()));
    }
    Ok(Some(Loss { records: Some(records), unread, when: when.to_owned() }))
}

/// By partition: the oldest offset, and the first one that is young enough to stay.
async fn older_than(
    admin: &Admin,
    topic: &str,
    kept_ms: i64,
) -> Result<BTreeMap<i32, (i64, i64)>, AdminError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let cut = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(kept_ms).max(0);
    let oldest = admin.list_offsets(topic, OffsetSpec::Earliest).await?;
    let stays: BTreeMap<i32, i64> =
        admin.list_offsets(topic, OffsetSpec::Timestamp(cut)).await?.into_iter().collect();
    let range = |(partition, oldest): (i32, i64)| {
        (partition, (oldest, stays.get(&partition).copied().unwrap_or(oldest).max(oldest)))
    };
    Ok(oldest.into_iter().map(range).collect())
}
