//! Committed offsets beside the ends of what is committed, at the first and the last look.

use std::collections::BTreeMap;

use klamm_admin::{Admin, AdminError, Committed, GroupProtocol, Leaders, OffsetSpec, PerPartition};
use klamm_rules::evidence::{Group, GroupKind, GroupOffset, Live};
use tokio::time::Instant;

use super::look::Look;
use crate::live::{Missing, lacking, why};

/// Groups whose offsets are fetched, those with members first.
const GROUPS: usize = 5_000;

/// What is asked of partitions beside the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Ends,
    EndsAndStarts,
}

/// Offsets of all groups at one moment.
pub(super) struct OffsetLook {
    at: Instant,
    committed: Committed,
    ends: PerPartition<i64>,
    starts: PerPartition<i64>,
}

impl OffsetLook {
    pub(super) async fn take(admin: &Admin, live: &Live, look: &Look, wanted: Wanted) -> OffsetLook {
        let at = Instant::now();
        let (plain, share) = coordinators(look);
        let (committed, shared) =
            tokio::join!(admin.offsets_of_groups(&plain), admin.offsets_of_share_groups(&share));
        let committed: Committed = committed.into_iter().chain(shared).collect();
        // The end after the commit: what is behind it was written, and is not read.
        let leaders = leaders(admin, live, &committed).await;
        let starts = async {
            match wanted {
                Wanted::Ends => PerPartition::new(),
                Wanted::EndsAndStarts => admin.list_offsets_of(&leaders, OffsetSpec::Earliest).await,
            }
        };
        let (ends, starts) = tokio::join!(admin.list_offsets_of(&leaders, OffsetSpec::LatestStable), starts);
        OffsetLook { at, committed, ends, starts }
    }

    fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let committed = self.committed.get(group)?.as_ref().ok()?;
        let at =
            |offset: &&klamm_admin::CommittedOffset| offset.partition == partition && offset.topic == topic;
        committed.iter().find(at).map(|offset| offset.offset)
    }
}

/// Names of groups by their coordinator: those that commit, and share groups.
fn coordinators(look: &Look) -> (BTreeMap<i32, Vec<String>>, BTreeMap<i32, Vec<String>>) {
    let mut known: Vec<_> = look.groups.iter().collect();
    known.sort_by_key(|(_, known)| {
        known.described.as_ref().is_ok_and(|described| described.members.is_empty())
    });
    let (mut plain, mut share) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for (name, known) in known.into_iter().take(GROUPS) {
        let groups = if known.protocol == GroupProtocol::Share { &mut share } else { &mut plain };
        groups.entry(known.coordinator).or_default().push(name.clone());
    }
    (plain, share)
}

/// Leaders of the partitions that groups have committed in: as they were seen, or asked for now.
async fn leaders(admin: &Admin, live: &Live, committed: &Committed) -> Leaders {
    let mut wanted = BTreeMap::<&str, Vec<i32>>::new();
    for offset in committed.values().flatten().flatten() {
        wanted.entry(&offset.topic).or_default().push(offset.partition);
    }
    let seen = live.topics.value();
    let known = |topic: &str| {
        let partitions = &seen?.get(topic)?.partitions;
        Some(partitions.iter().map(|partition| (partition.index, partition.leader)).collect())
    };
    let (mut found, mut unknown) = (Leaders::new(), Vec::new());
    for topic in wanted.keys() {
        match known(topic) {
            Some(leaders) => {
                found.insert((*topic).to_owned(), leaders);
            }
            None => unknown.push((*topic).to_owned()),
        }
    }
    if !unknown.is_empty() {
        // A failure leaves the ends unknown, which each offset shows.
        found.extend(admin.leaders(&unknown).await.unwrap_or_default());
    }
    for (topic, leaders) in &mut found {
        let wanted = wanted.get(topic.as_str());
        leaders.retain(|partition, _| wanted.is_some_and(|wanted| wanted.contains(partition)));
    }
    found
}

/// Puts offsets into groups.
pub(super) fn put(groups: &mut [Group], first: &OffsetLook, last: Option<&OffsetLook>) {
    for group in groups {
        let newest = match last {
            Some(last) if last.committed.contains_key(&group.name) => last,
            _ => first,
        };
        let mut missing = Missing::default();
        match newest.committed.get(&group.name) {
            Some(Ok(committed)) => {
                let offset =
                    |at: &klamm_admin::CommittedOffset| offset(&group.name, at, first, newest, &mut missing);
                group.offsets = committed.iter().map(offset).collect();
                group.offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            }
            Some(Err(error)) if error.is_denied() => {
                missing.note("committed offsets", lacking(&format!("DESCRIBE on Group:{}", group.name)));
            }
            // Connect and registries coordinate by groups, and commit nothing there.
            Some(Err(_)) if group.kind == GroupKind::Other => {}
            Some(Err(error)) => missing.note("committed offsets", why(error)),
            None => missing.note("committed offsets", format!("those of {GROUPS} groups are fetched")),
        }
        group.missing.extend(missing.lines());
    }
}

fn offset(
    group: &str,
    at: &klamm_admin::CommittedOffset,
    first: &OffsetLook,
    newest: &OffsetLook,
    missing: &mut Missing,
) -> GroupOffset {
    let (topic, partition) = (&at.topic, at.partition);
    let end = told(&newest.ends, topic, partition, missing);
    let start = told(&newest.starts, topic, partition, missing);
    let before = first.committed(group, topic, partition).filter(|_| newest.at > first.at);
    let window = newest.at.duration_since(first.at).as_millis();
    GroupOffset {
        topic: topic.clone(),
        partition,
        // What was first committed within the window was looked at once.
        committed_first: before.unwrap_or(at.offset),
        committed: at.offset,
        end_first: before.map_or(end, |_| told(&first.ends, topic, partition, missing)),
        end,
        start,
        window_ms: before.map_or(0, |_| i64::try_from(window).unwrap_or(i64::MAX)),
        committed_at_ms: None,
        oldest_unread_ms: None,
    }
}

fn told(offsets: &PerPartition<i64>, topic: &str, partition: i32, missing: &mut Missing) -> Option<i64> {
    match offsets.get(topic).and_then(|topic| topic.get(&partition)) {
        Some(Ok(offset)) => Some(*offset),
        Some(Err(error)) => {
            missing.note(format!("offsets of topic {topic} partition {partition}"), reason(error));
            None
        }
        None if offsets.is_empty() => None,
        None => {
            missing.note(
                format!("offsets of topic {topic} partition {partition}"),
                "metadata has no such partition",
            );
            None
        }
    }
}

fn reason(error: &AdminError) -> String {
    error.code().map_or_else(|| why(error), |code| code.to_string())
}
