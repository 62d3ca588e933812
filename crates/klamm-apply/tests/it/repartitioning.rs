//! Another number of partitions for a keyed topic: order, counterparts of offsets, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use klamm_admin::{Admin, Mode as AdminMode, NewTopic, OffsetSpec};
use klamm_apply::{
    ApplyErrorKind, COPY_HEADER, Control, DataLoss, Misplaced, Repartition, repartition_copy,
    repartition_cut_over, repartition_roll_back, repartition_standing,
};
use klamm_kafka::partition_for_key;
use klamm_testkit::{Dice, eventually};
use klamm_wire::batch::{BatchBuilder, Compression, Header};

use crate::applying::admin;
use crate::{Cluster, unique};

const OLD: i32 = 3;
const READY: Duration = Duration::from_secs(30);
/// Long enough for the turns of the tests that share a cluster, and for a lock whose holder was dropped.
const PATIENCE: Duration = Duration::from_secs(90);

fn ask(topic: &str, partitions: u32) -> Repartition {
    Repartition {
        topic: topic.to_owned(),
        target: format!("{topic}-{partitions}"),
        partitions,
        misplaced: Misplaced::Refuse,
        throttle: None,
        lock_timeout: PATIENCE,
    }
}

async fn topic(admin: &Admin) -> Result<String> {
    let name = unique("narrow");
    let configs = vec![("retention.ms".to_owned(), "-1".to_owned())];
    let new = NewTopic { name: name.clone(), partitions: OLD, replication_factor: 1, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&name), READY).await?;
    Ok(name)
}

fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

/// A key and a value.
type KeyValue = (Option<String>, Option<String>);

/// `count` records of 40 keys, some without a key, some tombstones, in batches of random sizes.
async fn write(admin: &Admin, topic: &str, count: usize, dice: &mut Dice) -> Result<()> {
    let mut waiting: BTreeMap<i32, Vec<KeyValue>> = BTreeMap::new();
    for number in 0..count {
        let key = (dice.among(0..10) > 0).then(|| format!("key-{}", dice.among(0..40)));
        let partition = match &key {
            Some(key) => partition_for_key(key.as_bytes(), OLD),
            None => dice.among(0..OLD as u64) as i32,
        };
        let value = (dice.among(0..12) > 0).then(|| format!("{number}"));
        waiting.entry(partition).or_default().push((key, value));
    }
    for (partition, mut records) in waiting {
        while !records.is_empty() {
            let size = (1 + dice.among(0..60) as usize).min(records.len());
            let mut batch = BatchBuilder::new(Compression::Lz4);
            for (key, value) in records.drain(..size) {
                let (key, value) = (key.as_ref().map(String::as_bytes), value.as_ref().map(String::as_bytes));
                batch.append(now_ms()?, key, value, &[Header { key: b"trace", value: None }]);
            }
            admin.append(topic, partition, batch.finish()?).await?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: i64,
    from: Option<(i32, i64)>,
}

async fn read(admin: &Admin, topic: &str) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for (partition, end) in admin.list_offsets(topic, OffsetSpec::Latest).await? {
        let mut each = |record: klamm_wire::batch::RecordView<'_>| {
            let from = record.headers().find(|header| header.key == COPY_HEADER.as_bytes());
            let from = from.and_then(|header| {
                let (partition, offset) = std::str::from_utf8(header.value?).ok()?.split_once(':')?;
                Some((partition.parse().ok()?, offset.parse().ok()?))
            });
            all.push(Seen {
                partition,
                offset: record.offset,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                timestamp_ms: record.timestamp_ms,
                from,
            });
        };
        admin.read(topic, partition, 0, end, &mut each).await?;
    }
    Ok(all)
}

/// Every record is there once, where the partitioner puts its key, in the order of its key.
fn is_whole_and_in_order(source: &[Seen], target: &[Seen], partitions: i32) -> Result<()> {
    let at: BTreeMap<(i32, i64), &Seen> =
        source.iter().map(|seen| ((seen.partition, seen.offset), seen)).collect();
    let mut copied = BTreeSet::new();
    let mut newest: BTreeMap<(i32, i32), i64> = BTreeMap::new();
    for copy in target {
        let from = copy.from.context("a record that is no copy")?;
        let original = at.get(&from).with_context(|| format!("a copy of nothing: {copy:?}"))?;
        ensure!(copied.insert(from), "copied twice: {copy:?}");
        ensure!(
            (&copy.key, &copy.value, copy.timestamp_ms)
                == (&original.key, &original.value, original.timestamp_ms)
        );
        if let Some(key) = &copy.key {
            ensure!(copy.partition == partition_for_key(key, partitions), "{copy:?}");
        }
        // The records of a key are in one old partition: its order there is the order of the key.
        let before = newest.insert((copy.partition, from.0), from.1);
        ensure!(before.is_none_or(|before| before < from.1), "out of order: {copy:?} after {before:?}");
    }
    ensure!(copied.len() == source.len(), "{} of {} records were copied", copied.len(), source.len());
    Ok(())
}

/// Commits offsets for `group` somewhere in the topic: in the middle, at the end, or not at all.
async fn read_some(admin: &Admin, topic: &str, group: &str, dice: &mut Dice) -> Result<BTreeMap<i32, i64>> {
    let mut at = BTreeMap::new();
    for (partition, end) in admin.list_offsets(topic, OffsetSpec::Latest).await? {
        match dice.among(0..4) {
            0 => {}
            1 => drop(at.insert(partition, end)),
            _ => drop(at.insert(partition, dice.among(0..end as u64 + 1) as i64)),
        }
    }
    let offsets: Vec<_> =
        at.iter().map(|(partition, offset)| (topic.to_owned(), *partition, *offset)).collect();
    if !offsets.is_empty() {
        admin.commit_offsets(group, &offsets).await?;
    }
    Ok(at)
}

/// What `group` will read is what it had not read; with `exact` no more than that.
async fn goes_on(
    admin: &Admin,
    group: &str,
    target: (&str, &[Seen]),
    source: (&[Seen], &BTreeMap<i32, i64>),
    exact: bool,
) -> Result<()> {
    let at: BTreeMap<i32, i64> = admin
        .group_offsets(group, &[target.0.to_owned()])
        .await?
        .into_iter()
        .map(|at| (at.partition, at.offset))
        .collect();
    let read = |seen: &Seen| source.1.get(&seen.partition).is_some_and(|next| seen.offset < *next);
    let left: BTreeSet<(i32, i64)> =
        source.0.iter().filter(|seen| !read(seen)).map(|seen| (seen.partition, seen.offset)).collect();
    let ahead = |seen: &&Seen| at.get(&seen.partition).is_some_and(|next| seen.offset >= *next);
    let will: BTreeSet<(i32, i64)> = target.1.iter().filter(ahead).filter_map(|seen| seen.from).collect();
    ensure!(left.is_subset(&will), "{group} would miss {:?}", left.difference(&will).next());
    ensure!(!exact || left == will, "{group} would read {:?} again", will.difference(&left).next());
    Ok(())
}

async fn to(admin: &Admin, partitions: u32, dice: &mut Dice) -> Result<()> {
    let topic = topic(admin).await?;
    let what = ask(&topic, partitions);
    write(admin, &topic, 1_500, dice).await?;
    let first = repartition_copy(admin, &what, Control::default()).await?;
    ensure!(first.copied == Some(1_500) && first.done.len() == 1, "{first:?}");
    write(admin, &topic, 500, dice).await?;
    let groups = [format!("{topic}-a"), format!("{topic}-b"), format!("{topic}-c")];
    let mut read_by = BTreeMap::new();
    for group in &groups {
        read_by.insert(group.clone(), read_some(admin, &topic, group, dice).await?);
    }
    let standing = repartition_standing(admin, &what).await?;
    ensure!(standing.behind == 500 && standing.started && standing.written == 0, "{standing:?}");
    let exact = partitions.is_multiple_of(OLD as u32);
    ensure!(standing.exact == exact);

    let done = repartition_cut_over(admin, &what, Control::default()).await?;
    ensure!(done.copied == Some(500), "{done:?}");
    let (source, target) = (read(admin, &topic).await?, read(admin, &what.target).await?);
    is_whole_and_in_order(&source, &target, partitions as i32)?;
    for (group, read) in read_by.iter().filter(|(_, read)| !read.is_empty()) {
        goes_on(admin, group, (&what.target, &target), (&source, read), exact).await?;
    }
    let again = repartition_cut_over(admin, &what, Control::default()).await?;
    ensure!(again.done.is_empty() && again.copied == Some(0), "{again:?}");
    Ok(())
}

pub async fn keys_keep_their_order_and_groups_go_on_where_they_stopped(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let mut dice = Dice::new();
    for partitions in [6, 5, 2] {
        to(&admin, partitions, &mut dice).await?;
    }
    Ok(())
}

pub async fn copying_that_was_cut_off_anywhere_loses_nothing_and_copies_nothing_twice(
    cluster: Cluster,
) -> Result<()> {
    let admin = admin(&cluster).await?;
    let mut dice = Dice::new();
    let topic = topic(&admin).await?;
    let what = ask(&topic, 6);
    write(&admin, &topic, 4_000, &mut dice).await?;
    for _ in 0..6 {
        let within = Duration::from_millis(300 + dice.among(0..900));
        // Cut off without a word, as a kill does; whatever was sent may still arrive.
        let _ = tokio::time::timeout(within, repartition_copy(&admin, &what, Control::default())).await;
    }
    repartition_copy(&admin, &what, Control::default()).await?;
    let (source, target) = (read(&admin, &topic).await?, read(&admin, &what.target).await?);
    is_whole_and_in_order(&source, &target, 6)?;
    // Without its own notes (they expire) it looks at all copies.
    admin.delete_group(&format!("klamm.repartition.{topic}.{}", what.target)).await?;
    write(&admin, &topic, 300, &mut dice).await?;
    let more = repartition_copy(&admin, &what, Control::default()).await?;
    ensure!(more.copied == Some(300), "{more:?}");
    let (source, target) = (read(&admin, &topic).await?, read(&admin, &what.target).await?);
    is_whole_and_in_order(&source, &target, 6)
}

fn why(error: &klamm_apply::ApplyError) -> Result<String> {
    match error.kind() {
        ApplyErrorKind::Refused { why, .. } => Ok(why.clone()),
        other => bail!("not refused: {other:?}"),
    }
}

pub async fn what_would_break_the_order_is_refused_and_a_copy_is_rolled_back(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let mut dice = Dice::new();
    let topic = topic(&admin).await?;
    let what = ask(&topic, 6);
    let early = repartition_cut_over(&admin, &what, Control::default()).await.expect_err("nothing is copied");
    ensure!(why(&early)?.contains("nothing was copied"), "{early}");
    let same = repartition_standing(&admin, &ask(&topic, OLD as u32)).await.expect_err("as many already");
    ensure!(why(&same)?.contains("has 3 partitions already"), "{same}");
    let places = Repartition { misplaced: Misplaced::Copy, ..ask(&topic, OLD as u32) };
    repartition_standing(&admin, &places).await.context("misplaced records have somewhere to go")?;

    write(&admin, &topic, 100, &mut dice).await?;
    repartition_copy(&admin, &what, Control::default()).await?;
    let wrong = (partition_for_key(b"astray", OLD) + 1) % OLD;
    let record = |key: &'static [u8]| -> Result<Vec<u8>> {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(now_ms()?, Some(key), Some(b"x"), &[]);
        Ok(batch.finish()?)
    };
    let at = admin.append(&topic, wrong, record(b"astray")?).await?;
    let astray = repartition_copy(&admin, &what, Control::default()).await.expect_err("misplaced");
    ensure!(why(&astray)?.starts_with(&format!("{topic}-{wrong} offset {at} has a key")), "{astray}");
    let all = Repartition { misplaced: Misplaced::Copy, ..what.clone() };
    let copied = repartition_copy(&admin, &all, Control::default()).await?;
    ensure!(copied.copied == Some(1), "{copied:?}");

    // A producer that has moved already: from here on copies would come too late.
    admin.append(&what.target, partition_for_key(b"new", 6), record(b"new")?).await?;
    let moved = repartition_copy(&admin, &all, Control::default()).await.expect_err("written by others");
    ensure!(why(&moved)?.contains("holds 1 records that are no copies"), "{moved}");
    let kept = repartition_roll_back(&admin, &all, DataLoss::Refuse, Control::default()).await;
    ensure!(why(&kept.expect_err("a record would be lost"))?.contains("1 records that its producers wrote"));
    repartition_roll_back(&admin, &all, DataLoss::Allow, Control::default()).await?;
    eventually(READY, "the copy is gone", || async {
        Ok::<_, klamm_admin::AdminError>(!admin.list_topics().await?.contains(&what.target))
    })
    .await?;
    ensure!(read(&admin, &topic).await?.len() == 101, "the topic is as it was");
    Ok(())
}
