//! Taking a run back, as far as that can be done.

use std::collections::BTreeMap;

use klamm_admin::{Admin, OffsetSpec};
use klamm_contract::facts::{ClusterFacts, ConfigFact, ConfigSource, TopicFacts};
use klamm_kafka::topic_config;
use klamm_plan::{Change, ChangeKind, Conflict, Risk, risk_of};
use tokio::time::{Instant, sleep};

use crate::apply::{ApplyOptions, FIRST_LOOK, Journaling, Mode, SETTLE, SLOWEST_LOOK, bootstrap, close};
use crate::journal::{self, Inverse, Journal, NewRun, Run, RunRecord, Step};
use crate::make::{Maker, Pending, with_losses};
use crate::reassign::Control;
use crate::receipt::VERSION;
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
    let changes: Vec<Change> = pending.iter().map(|pending| pending.change.clone()).collect();
    let mut maker = Maker { admin, bootstrap: &bootstrap, journal: Some(journal), control };
    maker.make_all(pending, &mut receipt.done).await?;
    settled(admin, &changes).await?;
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
    let mut topics: Vec<String> = record.steps.values().map(|step| step.change.topic.clone()).collect();
    // What is about the cluster has no topic.
    topics.retain(|topic| !topic.is_empty());
    topics.sort_unstable();
    topics.dedup();
    let facts = admin.facts(&topics).await?;
    receipt.cluster_id.clone_from(&facts.cluster_id);
    let mut back = Back::default();
    for step in record.steps.values().rev() {
        back.take(step, facts.topics.get(&step.change.topic));
    }
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
    Ok((with_losses(admin, &[], back.changes, options).await?, facts))
}

/// Records that a topic holds, as far as offsets tell.
async fn count(admin: &Admin, topic: &str) -> Result<i64, ApplyErrorKind> {
    let oldest: BTreeMap<i32, i64> =
        admin.list_offsets(topic, OffsetSpec::Earliest).await?.into_iter().collect();
    let newest = admin.list_offsets(topic, OffsetSpec::Latest).await?;
    Ok(newest.iter().map(|(partition, end)| end - oldest.get(partition).unwrap_or(end)).sum())
}

/// The way back, as it is found step by step.
#[derive(Debug, Default)]
struct Back {
    changes: Vec<Change>,
    left: Vec<String>,
    conflicts: Vec<Conflict>,
}

impl Back {
    /// Adds what takes `step` back, given the topic as it is now.
    fn take(&mut self, step: &Step, live: Option<&TopicFacts>) {
        let topic = &step.change.topic;
        match (&step.inverse, live) {
            (Inverse::Never { why }, _) => self.left.push(format!("{}: {why}", step.change)),
            (Inverse::Revoke | Inverse::SetBack, _) => self.set_back(&step.change.kind),
            // The topic is gone, and what was set on it went with it.
            (_, None) => {}
            (Inverse::DeleteTopic, Some(live)) => {
                if step.topic_id.is_some() && live.id != step.topic_id {
                    let (has, wants) = (live.id.clone(), step.topic_id.clone());
                    let why = "it was deleted and made again since";
                    return self.conflict(topic, "topic id", has, wants, why);
                }
                let kind = ChangeKind::DeleteTopic { records: 0 };
                self.changes.push(Change { topic: topic.clone(), kind, risk: Risk::LosesData });
            }
            (Inverse::MoveBack, Some(live)) => self.move_back(step, live),
            (Inverse::RestoreConfig { name, to }, Some(live)) => self.restore(step, name, to.as_ref(), live),
        }
    }

    /// What is about the cluster is set to what it was; that somebody changed it since is not looked for.
    fn set_back(&mut self, made: &ChangeKind) {
        let kind = match made.clone() {
            ChangeKind::Allow { acl } => ChangeKind::Revoke { acl },
            ChangeKind::SetQuota { principal, name, from, to } => {
                ChangeKind::SetQuota { principal, name, from: to, to: from }
            }
            ChangeKind::SetBrokers { name, from, told, to } => {
                ChangeKind::SetBrokers { name, from: to, told: true, to: from.filter(|_| told) }
            }
            _ => return,
        };
        self.changes.push(Change { topic: String::new(), kind, risk: Risk::Safe });
    }

    fn move_back(&mut self, step: &Step, live: &TopicFacts) {
        let ChangeKind::Reassign { moves, throttle } = &step.change.kind else { return };
        let mut back = Vec::new();
        for planned in moves {
            let Some(now) = live.partitions.iter().find(|found| found.index == planned.partition) else {
                continue;
            };
            if now.replicas == planned.from {
                continue;
            }
            if now.replicas != planned.to {
                let setting = format!("copies of partition {}", planned.partition);
                let (has, wants) = (format!("{:?}", now.replicas), format!("{:?}", planned.to));
                let topic = &step.change.topic;
                return self.conflict(topic, &setting, Some(has), Some(wants), "they were moved since");
            }
            back.push(planned.back());
        }
        if !back.is_empty() {
            let kind = ChangeKind::Reassign { moves: back, throttle: *throttle };
            self.changes.push(Change { topic: step.change.topic.clone(), kind, risk: Risk::CopiesData });
        }
    }

    fn restore(&mut self, step: &Step, name: &str, to: Option<&String>, live: &TopicFacts) {
        let topic = &step.change.topic;
        let Some(configs) = &live.configs else {
            let why = "what cannot be read cannot be compared (DESCRIBE_CONFIGS is denied)";
            return self.conflict(topic, name, None, to.cloned(), why);
        };
        let now = configs.get(name);
        if is_restored(now, to) {
            return;
        }
        let value = now.and_then(|fact| fact.value.clone());
        let set = match &step.change.kind {
            ChangeKind::SetConfig { to, .. } => Some(to.clone()),
            ChangeKind::RestoreConfig { to, .. } => to.clone(),
            _ => None,
        };
        let ours = match (&set, &value) {
            (Some(set), Some(value)) => topic_config(name).map_or(set == value, |c| c.same_value(set, value)),
            (None, _) => now.is_none_or(|fact| fact.source != ConfigSource::Topic),
            (Some(_), None) => false,
        };
        if !ours {
            return self.conflict(topic, name, value, set, "it was changed since");
        }
        let default = topic_config(name).map(|config| config.default);
        let risk = risk_of(name, value.as_deref(), to.map(String::as_str).or(default).unwrap_or_default());
        let kind = ChangeKind::RestoreConfig { name: name.to_owned(), from: value, to: to.cloned() };
        self.changes.push(Change { topic: topic.clone(), kind, risk });
    }

    fn conflict(
        &mut self,
        topic: &str,
        setting: &str,
        has: Option<String>,
        wants: Option<String>,
        why: &str,
    ) {
        let text = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
        self.conflicts.push(Conflict {
            topic: topic.to_owned(),
            setting: setting.to_owned(),
            has: text(has),
            wants: text(wants),
            why: why.to_owned(),
            fix: "change it by hand, or let the spec say what it is to be and apply".to_owned(),
        });
    }
}

/// The topic's own value is `to`; with `None`, it has none.
fn is_restored(now: Option<&ConfigFact>, to: Option<&String>) -> bool {
    let own = now.filter(|fact| fact.source == ConfigSource::Topic);
    match (own, to) {
        (None, None) => true,
        (Some(fact), Some(to)) => fact.value.as_ref() == Some(to),
        _ => false,
    }
}

/// Waits until the cluster shows that `changes` were made.
async fn settled(admin: &Admin, changes: &[Change]) -> Result<(), ApplyErrorKind> {
    let mut topics: Vec<String> = changes.iter().map(|change| change.topic.clone()).collect();
    topics.retain(|topic| !topic.is_empty());
    topics.dedup();
    let deadline = Instant::now() + SETTLE;
    let mut pause = FIRST_LOOK;
    loop {
        let facts = admin.facts(&topics).await?;
        let Some(missing) = changes.iter().find(|change| !shows(&facts, change)) else { return Ok(()) };
        if Instant::now() + pause > deadline {
            let missing = format!("after {SETTLE:?} the cluster does not show: {missing}");
            return Err(ApplyErrorKind::NotSettled { missing });
        }
        sleep(pause).await;
        pause = (pause * 2).min(SLOWEST_LOOK);
    }
}

fn shows(facts: &ClusterFacts, change: &Change) -> bool {
    let live = facts.topics.get(&change.topic);
    match (&change.kind, live) {
        (ChangeKind::DeleteTopic { .. }, live) => live.is_none(),
        (ChangeKind::RestoreConfig { name, to, .. }, Some(live)) => {
            let configs = live.configs.as_ref();
            configs.is_none_or(|configs| is_restored(configs.get(name), to.as_ref()))
        }
        (ChangeKind::SetBrokers { name, to: Some(to), .. }, _) => facts.brokers.iter().all(|broker| {
            let shown = broker.configs.get(name).and_then(|fact| fact.value.as_deref());
            shown.is_none_or(|shown| shown == to)
        }),
        (ChangeKind::Reassign { moves, .. }, Some(live)) => moves.iter().all(|step| {
            let now = live.partitions.iter().find(|found| found.index == step.partition);
            now.is_none_or(|now| now.replicas == step.to)
        }),
        _ => true,
    }
}
