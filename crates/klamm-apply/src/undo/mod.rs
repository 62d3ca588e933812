//! Taking a run back, as far as that can be done.

mod back;

use std::collections::BTreeMap;

use klamm_admin::{Admin, AdminError, OffsetSpec};
use klamm_contract::facts::ClusterFacts;
use klamm_plan::{ChangeKind, Risk};

use self::back::{Back, Live};
use crate::apply::{ApplyOptions, Journaling, Mode, bootstrap, close};
use crate::journal::{self, Journal, NewRun, Run, RunRecord};
use crate::layers::access_of;
use crate::make::{Maker, Pending, with_losses};
use crate::reassign::Control;
use crate::receipt::VERSION;
use crate::settle::{self, Look, SETTLE};
use crate::{ApplyError, ApplyErrorKind, Receipt};

/// Takes run `id` of the cluster's journal back: topics that it created are deleted, configurations get their former
/// values. What was changed again since is a conflict and nothing is touched; what cannot be taken back stays and is
/// named in [`Receipt::left`]. A topic with records is deleted only when data loss is allowed. Undoing twice, or again
/// after an interruption, does what is left to do.
pub async fn undo(admin: &Admin, id: u64, options: &ApplyOptions) -> Result<Receipt, ApplyError> {
    undo_watched(admin, id, options, Control::default()).await
}

/// [`undo`], with somebody who watches long work and may stop it.
pub async fn undo_watched(
    admin: &Admin,
    id: u64,
    options: &ApplyOptions,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    let dry_run = options.mode == Mode::DryRun;
    let mut receipt = Receipt { version: VERSION, dry_run, undoes: Some(id), ..Receipt::default() };
    match run(admin, id, options, control, &mut receipt).await {
        Ok(()) => Ok(receipt),
        Err(kind) => Err(ApplyError::new(kind, receipt)),
    }
}

async fn run(
    admin: &Admin,
    id: u64,
    options: &ApplyOptions,
    control: Control<'_>,
    receipt: &mut Receipt,
) -> Result<(), ApplyErrorKind> {
    let record = find(admin, id).await?;
    let (pending, facts) = prepare(admin, &record, options, receipt).await?;
    let bootstrap = bootstrap(&facts);
    if options.mode == Mode::DryRun || pending.is_empty() {
        receipt.done.extend(pending.into_iter().map(|pending| pending.done(&bootstrap)));
        return Ok(());
    }
    let lock_timeout = match options.journal {
        Journaling::Keep { lock_timeout } => lock_timeout,
        // What is taken back is in the journal, and so is the taking back.
        Journaling::Without => std::time::Duration::ZERO,
    };
    let new = NewRun { service: record.run.service.clone(), undoes: Some(id) };
    let mut journal = Journal::open(admin, &new, lock_timeout).await?;
    receipt.run = Some(journal.id());
    // Whoever held the lock before may have changed the run, or the cluster.
    let made = locked(admin, id, options, control, &mut journal, receipt).await;
    let (undone, made) = match made {
        Ok(run) => (Some(run), Ok(())),
        Err(kind) => (None, Err(kind)),
    };
    close(journal, undone.as_ref(), made).await
}

async fn locked(
    admin: &Admin,
    id: u64,
    options: &ApplyOptions,
    control: Control<'_>,
    journal: &mut Journal,
    receipt: &mut Receipt,
) -> Result<Run, ApplyErrorKind> {
    let record = find(admin, id).await?;
    let (pending, facts) = prepare(admin, &record, options, receipt).await?;
    let bootstrap = bootstrap(&facts);
    let mut maker = Maker { admin, bootstrap: &bootstrap, journal: Some(journal), control };
    maker.make_all(pending, &mut receipt.done).await?;
    settled(admin, &record).await?;
    Ok(record.run)
}

async fn find(admin: &Admin, id: u64) -> Result<RunRecord, ApplyErrorKind> {
    let history = journal::history(admin).await?.unwrap_or_default();
    let newest = history.runs.last_key_value().map(|(newest, _)| *newest);
    history.runs.get(&id).cloned().ok_or(ApplyErrorKind::UnknownRun { run: id, newest })
}

async fn prepare(
    admin: &Admin,
    record: &RunRecord,
    options: &ApplyOptions,
    receipt: &mut Receipt,
) -> Result<(Vec<Pending>, ClusterFacts), ApplyErrorKind> {
    let live = look(admin, record).await?;
    receipt.cluster_id.clone_from(&live.cluster.cluster_id);
    let mut back = Back::of(record.steps.values(), &live);
    receipt.left = back.left;
    if !back.conflicts.is_empty() {
        return Err(ApplyErrorKind::Conflict { conflicts: back.conflicts });
    }
    for change in &mut back.changes {
        if let ChangeKind::DeleteTopic { records } = &mut change.kind {
            *records = count(admin, &change.topic).await?;
            change.risk = if *records > 0 { Risk::LosesData } else { Risk::Safe };
        }
    }
    Ok((with_losses(admin, &[], back.changes, options).await?, live.cluster))
}

/// The cluster now, as far as the run is about it.
async fn look(admin: &Admin, record: &RunRecord) -> Result<Live, AdminError> {
    let mut topics: Vec<String> = record.steps.values().map(|step| step.change.topic.clone()).collect();
    // What is about the cluster has no topic.
    topics.retain(|topic| !topic.is_empty());
    topics.sort_unstable();
    topics.dedup();
    let made: Vec<&ChangeKind> = record.steps.values().map(|step| &step.change.kind).collect();
    Ok(Live { cluster: admin.facts(&topics).await?, access: access_of(admin, &made).await? })
}

/// Waits until nothing is left to take back.
async fn settled(admin: &Admin, record: &RunRecord) -> Result<(), ApplyErrorKind> {
    let look = || async {
        let back = Back::of(record.steps.values(), &look(admin, record).await?);
        let missing = back.changes.first().map(|change| format!("the cluster does not show: {change}"));
        Ok(missing.map_or(Look::Shown(()), Look::Missing))
    };
    settle::settled(SETTLE, look).await
}

/// Records that a topic holds, as far as offsets tell.
pub(crate) async fn count(admin: &Admin, topic: &str) -> Result<i64, ApplyErrorKind> {
    let oldest: BTreeMap<i32, i64> =
        admin.list_offsets(topic, OffsetSpec::Earliest).await?.into_iter().collect();
    let newest = admin.list_offsets(topic, OffsetSpec::Latest).await?;
    Ok(newest.iter().map(|(partition, end)| end - oldest.get(partition).unwrap_or(end)).sum())
}
