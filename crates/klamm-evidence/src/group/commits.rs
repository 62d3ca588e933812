//! When idle groups last committed: only `__consumer_offsets` tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::iter;
use klamm_admin::{Admin, AdminError, CONSUMER_OFFSETS, Leaders, OffsetCommit, OffsetSpec};
use klamm_kafka::offsets_partition;
use klamm_rules::evidence::{Group, GroupKind, Live};

use crate::live::{lacking, why};

/// Bytes that are read in all.
const BYTES: i64 = 32 << 20;
/// Bytes of one fetch.
const FETCH_BYTES: i32 = 1 << 20;
/// Partitions that are read at once.
const AT_ONCE: usize = 4;

/// Group, topic and partition: offset, and when it was committed.
type Commits = BTreeMap<(String, String, i32), (i64, i64)>;

/// Puts the time of the commit into offsets of groups that have no members and did not commit in the window.
pub(super) async fn put(admin: &Admin, live: &Live, groups: &mut [Group]) {
    let idle: Vec<&mut Group> = groups.iter_mut().filter(|group| is_idle(group)).collect();
    if idle.is_empty() {
        return;
    }
    if live.cluster.value().is_some_and(|cluster| cluster.embedded) {
        let why = format!("when offsets were committed: the embedded broker has no {CONSUMER_OFFSETS}");
        idle.into_iter().for_each(|group| group.missing.push(why.clone()));
        return;
    }
    let read = match partitions(admin).await {
        Ok(leaders) => {
            let count = i32::try_from(leaders.len()).unwrap_or(i32::MAX);
            let wanted = idle.iter().map(|group| offsets_partition(&group.name, count)).collect();
            let read = read(admin, live, leaders, &wanted).await;
            Ok((count, read))
        }
        Err(error) => Err(reason(&error)),
    };
    for group in idle {
        let why = match &read {
            Ok((count, (commits, unread))) => match unread.get(&offsets_partition(&group.name, *count)) {
                None => {
                    fill(group, commits);
                    continue;
                }
                Some(why) => why,
            },
            Err(why) => why,
        };
        group.missing.push(format!("when offsets were committed: {why}"));
    }
}

fn is_idle(group: &Group) -> bool {
    let commits = !matches!(group.kind, GroupKind::Share | GroupKind::Other);
    let moved = group.offsets.iter().any(|offset| offset.committed != offset.committed_first);
    commits && group.members.is_empty() && !group.offsets.is_empty() && !moved
}

fn fill(group: &mut Group, commits: &Commits) {
    for offset in &mut group.offsets {
        let at = (group.name.clone(), offset.topic.clone(), offset.partition);
        // Another offset than the coordinator's is not the last commit.
        let found = commits.get(&at).filter(|(committed, _)| *committed == offset.committed);
        offset.committed_at_ms = found.map(|(_, at_ms)| *at_ms);
    }
}

/// Leaders of `__consumer_offsets`.
async fn partitions(admin: &Admin) -> Result<BTreeMap<i32, Option<i32>>, AdminError> {
    let names = [CONSUMER_OFFSETS.to_owned()];
    Ok(admin.leaders(&names).await?.remove(CONSUMER_OFFSETS).unwrap_or_default())
}

/// What was committed, and which partitions were not read to their end.
async fn read(
    admin: &Admin,
    live: &Live,
    leaders: BTreeMap<i32, Option<i32>>,
    wanted: &BTreeSet<i32>,
) -> (Commits, BTreeMap<i32, String>) {
    let mut leaders: Leaders = [(CONSUMER_OFFSETS.to_owned(), leaders)].into();
    for leaders in leaders.values_mut() {
        leaders.retain(|partition, _| wanted.contains(partition));
    }
    let (starts, ends) = tokio::join!(
        admin.list_offsets_of(&leaders, OffsetSpec::Earliest),
        admin.list_offsets_of(&leaders, OffsetSpec::LatestStable),
    );
    let of = |told: &klamm_admin::PerPartition<i64>, partition| {
        told.get(CONSUMER_OFFSETS)?.get(&partition).cloned()
    };
    let (sizes, left) = (sizes(live), AtomicI64::new(BYTES));
    let commits = Mutex::new(Commits::new());
    let one = |partition: i32| {
        let (left, commits, size) = (&left, &commits, sizes.get(&partition).copied().unwrap_or(0));
        let range = (of(&starts, partition), of(&ends, partition));
        async move {
            let outcome = match range {
                (Some(Ok(start)), Some(Ok(end))) => {
                    read_partition(admin, partition, (start, end), size, left).await
                }
                (Some(Err(error)), _) | (_, Some(Err(error))) => Err(reason(&error)),
                _ => Err(lacking(&format!("DESCRIBE on Topic:{CONSUMER_OFFSETS}"))),
            };
            match outcome {
                Ok(found) => {
                    commits.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                    None
                }
                Err(why) => Some((partition, why)),
            }
        }
    };
    let unread: Vec<_> = iter(wanted.iter().copied()).map(one).buffer_unordered(AT_ONCE).collect().await;
    let commits = commits.into_inner().unwrap_or_else(PoisonError::into_inner);
    (commits, unread.into_iter().flatten().collect())
}

/// All of a partition or nothing: what is read of the beginning alone may have been overwritten later.
async fn read_partition(
    admin: &Admin,
    partition: i32,
    (start, end): (i64, i64),
    size: i64,
    left: &AtomicI64,
) -> Result<Commits, String> {
    let too_much = || format!("{CONSUMER_OFFSETS} is larger than the {} MiB that are read", BYTES >> 20);
    if size > left.load(Ordering::Relaxed) {
        return Err(too_much());
    }
    let (mut commits, mut next) = (Commits::new(), start);
    while next < end {
        if left.fetch_sub(i64::from(FETCH_BYTES).min(size.max(1 << 16)), Ordering::Relaxed) <= 0 {
            return Err(too_much());
        }
        let mut each = |record: klamm_wire::batch::RecordView<'_>| {
            let Some(read) = record.key.and_then(|key| OffsetCommit::read(key, record.value)) else { return };
            let at = (read.group, read.topic, read.partition);
            match read.committed {
                Some(committed) => commits.insert(at, committed),
                None => commits.remove(&at),
            };
        };
        next = admin
            .fetch_committed(CONSUMER_OFFSETS, partition, (next, end), FETCH_BYTES, &mut each)
            .await
            .map_err(|error| reason(&error))?;
    }
    Ok(commits)
}

/// Bytes of the largest copy of each partition, as log directories tell.
fn sizes(live: &Live) -> BTreeMap<i32, i64> {
    let copies = live.log_dirs.value().into_iter().flatten().flat_map(|dir| &dir.replicas);
    let mut sizes = BTreeMap::new();
    for copy in copies.filter(|copy| copy.topic == CONSUMER_OFFSETS) {
        let size: &mut i64 = sizes.entry(copy.partition).or_default();
        *size = (*size).max(i64::try_from(copy.bytes).unwrap_or(i64::MAX));
    }
    sizes
}

fn reason(error: &AdminError) -> String {
    match error.is_denied() {
        true => lacking(&format!("READ on Topic:{CONSUMER_OFFSETS}")),
        false => why(error),
    }
}
