//! Look, refuse or change, look again.

use std::time::Duration;

use klamm_admin::{Admin, AdminError};
use klamm_contract::facts::ClusterFacts;
use klamm_contract::{Breach, keeps};
use klamm_plan::{Change, ChangeKind, Conflict, Plan, Risk, diff};

use crate::inbound::{Throttle, set_throttle};
use crate::journal::{self, Journal, NewRun, Run, RunState, Step};
use crate::layers::{Layers, beside_topics};
use crate::make::{Maker, Pending, with_losses};
use crate::reassign::{self, Control};
use crate::receipt::VERSION;
use crate::settle::{self, Look, SETTLE};
use crate::{ApplyError, ApplyErrorKind, Receipt};

/// A broker shows new topics once it has made their logs: some 400 partitions a second on two busy cores.
const SETTLE_PER_PARTITION: Duration = Duration::from_millis(10);

/// What `apply` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions {
    /// With topics that exist.
    pub existing: Existing,
    /// At all.
    pub mode: Mode,
    /// With changes that delete records.
    pub data_loss: DataLoss,
    /// With the cluster's journal.
    pub journal: Journaling,
    /// With layers beside topics.
    pub layers: Layers,
    /// With copies that move: bytes per second that a broker may spend on it; `None` leaves it to the plan.
    pub throttle: Option<u64>,
}

/// What to do with changes that delete records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataLoss {
    /// Say what would go, and change nothing.
    #[default]
    Refuse,
    /// Make them.
    Allow,
}

/// What to do with topics that exist with other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave them alone and say what differs.
    Refuse,
    /// Bring them to the plan.
    Adjust,
}

/// Whether to change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Say what would change.
    DryRun,
    /// Change it.
    Apply,
}

/// Whether changes are written down in the cluster's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journaling {
    /// They are, with what takes them back, and nobody else changes the cluster meanwhile.
    Keep {
        /// How long to wait for somebody else who does.
        lock_timeout: Duration,
    },
    /// They are not: for a cluster that is made for one run, or where the caller may not write the journal.
    Without,
}

/// Brings the cluster behind `admin` to `plan`.
///
/// Refuses, before it changes anything, a cluster that cannot keep the plan's contracts, another cluster than the plan
/// was made for, and differences that it may not or cannot change. Cancelling it leaves each change whole: made or not;
/// the journal then says that the run was interrupted.
pub async fn apply(admin: &Admin, plan: &Plan, options: &ApplyOptions) -> Result<Receipt, ApplyError> {
    apply_watched(admin, plan, options, Control::default()).await
}

/// [`apply`], with somebody who watches long work and may stop it.
pub async fn apply_watched(
    admin: &Admin,
    plan: &Plan,
    options: &ApplyOptions,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    let mut receipt =
        Receipt { version: VERSION, dry_run: options.mode == Mode::DryRun, ..Receipt::default() };
    match run(admin, plan, options, control, &mut receipt).await {
        Ok(()) => Ok(receipt),
        Err(kind) => Err(ApplyError::new(kind, receipt)),
    }
}

async fn run(
    admin: &Admin,
    plan: &Plan,
    options: &ApplyOptions,
    control: Control<'_>,
    receipt: &mut Receipt,
) -> Result<(), ApplyErrorKind> {
    let facts = look(admin, plan).await?;
    let changes = prepare(admin, plan, options, &facts, receipt).await?;
    let bootstrap = bootstrap(&facts);
    if options.mode == Mode::DryRun {
        receipt.done.extend(changes.into_iter().map(|pending| pending.done(&bootstrap)));
        return Ok(());
    }
    if changes.is_empty() {
        return Ok(());
    }
    let Journaling::Keep { lock_timeout } = options.journal else {
        let mut maker = Maker { admin, bootstrap: &bootstrap, journal: None, control };
        maker.make_all(changes, &mut receipt.done).await?;
        return settled(admin, plan, options.layers).await.map(drop);
    };
    let new = NewRun { service: plan.service.clone(), undoes: None };
    let mut journal = Journal::open(admin, &new, lock_timeout).await?;
    receipt.run = Some(journal.id());
    let made = locked(admin, plan, options, control, &mut journal, receipt).await;
    close(journal, None, made).await
}

/// The part that is done under the lock.
async fn locked(
    admin: &Admin,
    plan: &Plan,
    options: &ApplyOptions,
    control: Control<'_>,
    journal: &mut Journal,
    receipt: &mut Receipt,
) -> Result<(), ApplyErrorKind> {
    // Whoever held the lock before may have changed what was looked at.
    let facts = look(admin, plan).await?;
    let changes = prepare(admin, plan, options, &facts, receipt).await?;
    let bootstrap = bootstrap(&facts);
    let mut maker = Maker { admin, bootstrap: &bootstrap, journal: Some(&mut *journal), control };
    let mut steps = maker.make_all(changes, &mut receipt.done).await?;
    let facts = settled(admin, plan, options.layers).await?;
    created(&mut steps, &facts);
    Ok(journal.write(&steps).await?)
}

/// Of `steps`, those that made topics, now with the ids that the topics got.
pub(crate) fn created(steps: &mut Vec<Step>, facts: &ClusterFacts) {
    steps.retain(|step| matches!(step.change.kind, ChangeKind::CreateTopic { .. }));
    for step in steps {
        step.topic_id = facts.topics.get(&step.change.topic).and_then(|topic| topic.id.clone());
    }
}

/// Ends the run in the journal with what became of it. `undone` is the run that it took back, when it did.
pub(crate) async fn close(
    journal: Journal,
    undone: Option<&Run>,
    result: Result<(), ApplyErrorKind>,
) -> Result<(), ApplyErrorKind> {
    match result {
        Ok(()) => Ok(journal.close(RunState::Done, undone).await?),
        // The lock is somebody else's by now.
        Err(kind @ ApplyErrorKind::Fenced { .. }) => Err(kind),
        Err(kind) => {
            let why = ApplyError::new(kind, Receipt::default());
            // The error that ended the run is the one to tell; without this record the next run marks it as interrupted.
            let _ = journal.close(RunState::Failed { why: why.to_string() }, None).await;
            Err(why.into_kind())
        }
    }
}

/// What is to be changed, once nothing speaks against it.
async fn prepare(
    admin: &Admin,
    plan: &Plan,
    options: &ApplyOptions,
    facts: &ClusterFacts,
    receipt: &mut Receipt,
) -> Result<Vec<Pending>, ApplyErrorKind> {
    receipt.cluster_id.clone_from(&facts.cluster_id);
    let mut difference = diff(plan, facts);
    if let Some(kind) = refusal(plan, facts, &difference, options.existing) {
        return Err(kind);
    }
    receipt.unchanged = std::mem::take(&mut difference.unchanged);
    let readers: Vec<(&str, &[String])> = plan
        .consumers
        .iter()
        .map(|consumer| (consumer.contract.group.as_str(), consumer.contract.topics.as_slice()))
        .collect();
    let mut changes = match options.journal {
        Journaling::Keep { .. } => {
            let history = journal::history(admin).await?.unwrap_or_default();
            reassign::leftovers(admin, &history).await?
        }
        Journaling::Without => Vec::new(),
    };
    // A move that goes on is not started anew, to somewhere else.
    let goes_on = |change: &Change| {
        let reassign = |change: &Change| matches!(change.kind, ChangeKind::Reassign { .. });
        reassign(change) && changes.iter().any(|left| left.topic == change.topic && reassign(left))
    };
    let mut new: Vec<Change> = difference.changes.into_iter().filter(|change| !goes_on(change)).collect();
    let throttle = match options.throttle {
        Some(wanted) => asked_throttle(plan, &new, wanted)?,
        None => Throttle::Planned,
    };
    set_throttle(admin, &mut new, throttle).await?;
    changes.extend(new);
    let beside = beside_topics(admin, plan, options.layers, facts).await?;
    changes.extend(beside.changes);
    receipt.remarks = beside.remarks;
    with_losses(admin, &readers, changes, options).await
}

/// The throttle that was asked for; refused at or below what the plan expects to be written at the peak.
fn asked_throttle(plan: &Plan, changes: &[Change], wanted: u64) -> Result<Throttle, ApplyErrorKind> {
    for change in changes.iter().filter(|change| matches!(change.kind, ChangeKind::Reassign { .. })) {
        let inbound = plan.topic(&change.topic).map_or(0, |topic| topic.sizing.peak_bytes_per_second);
        if wanted <= inbound {
            let topic = change.topic.clone();
            return Err(ApplyErrorKind::ThrottleTooLow { topic, throttle: wanted, inbound });
        }
    }
    Ok(Throttle::Asked(wanted))
}

async fn look(admin: &Admin, plan: &Plan) -> Result<ClusterFacts, AdminError> {
    let topics: Vec<String> = plan.topics.iter().map(|topic| topic.name().to_owned()).collect();
    admin.facts(&topics).await
}

fn refusal(
    plan: &Plan,
    facts: &ClusterFacts,
    difference: &klamm_plan::Diff,
    existing: Existing,
) -> Option<ApplyErrorKind> {
    if let Some(planned) = plan.cluster.cluster_id.as_ref().filter(|planned| **planned != facts.cluster_id) {
        let found = facts.cluster_id.clone();
        return Some(ApplyErrorKind::OtherCluster { planned: planned.clone(), found });
    }
    let breaches = breaches_that_stay(plan, facts, difference, existing);
    if !breaches.is_empty() {
        return Some(ApplyErrorKind::Weak { breaches });
    }
    let mut conflicts = difference.conflicts.clone();
    conflicts.extend(difference.changes.iter().filter_map(moves_keys));
    if !conflicts.is_empty() {
        return Some(ApplyErrorKind::Conflict { conflicts });
    }
    let alter = |change: &&Change| !matches!(change.kind, ChangeKind::CreateTopic { .. });
    let changes: Vec<Change> = difference.changes.iter().filter(alter).cloned().collect();
    if existing == Existing::Refuse && !changes.is_empty() {
        return Some(ApplyErrorKind::Differs { changes });
    }
    None
}

/// More partitions on a keyed topic are never added in place.
fn moves_keys(change: &Change) -> Option<Conflict> {
    let ChangeKind::AddPartitions { from, to } = &change.kind else { return None };
    (change.risk == Risk::MovesKeys).then(|| Conflict {
        topic: change.topic.clone(),
        setting: "partitions".to_owned(),
        has: from.to_string(),
        wants: to.to_string(),
        why: "from then on records of a key go to another partition: their order breaks once, and joins go wrong".to_owned(),
        fix: format!(
            "write `partitions: {from}` into the spec, or `klamm repartition {} --partitions {to}`: a new topic, copied in \
             the order of the keys, its groups cut over",
            change.topic
        ),
    })
}

/// Breaches that the changes themselves do not mend: what `apply` is about to set may be wrong now.
fn breaches_that_stay(
    plan: &Plan,
    facts: &ClusterFacts,
    difference: &klamm_plan::Diff,
    existing: Existing,
) -> Vec<(String, Breach)> {
    let mended = |topic: &str, breach: &Breach| {
        existing == Existing::Adjust
            && difference.changes.iter().any(|change| {
                let mends = match &change.kind {
                    ChangeKind::SetConfig { name, .. } => *name == breach.setting,
                    ChangeKind::Reassign { .. } => {
                        ["replication factor", "replica placement"].contains(&breach.setting.as_str())
                    }
                    _ => false,
                };
                change.topic == topic && mends
            })
    };
    plan.topics
        .iter()
        .flat_map(|topic| {
            keeps(&topic.contract, facts).into_iter().map(|breach| (topic.name().to_owned(), breach))
        })
        .filter(|(topic, breach)| !mended(topic, breach))
        .collect()
}

/// Waits until the cluster shows the plan: no difference, a leader and all copies in sync for each partition.
async fn settled(admin: &Admin, plan: &Plan, layers: Layers) -> Result<ClusterFacts, ApplyErrorKind> {
    let partitions: u32 = plan.topics.iter().map(|topic| topic.contract.layer_topic.partitions).sum();
    let within = SETTLE + SETTLE_PER_PARTITION.saturating_mul(partitions);
    settle::settled(within, || shown(admin, plan, layers)).await
}

/// The cluster, and what of the plan it does not show yet.
async fn shown(admin: &Admin, plan: &Plan, layers: Layers) -> Result<Look<ClusterFacts>, AdminError> {
    let facts = look(admin, plan).await?;
    // That a password was set again does not show.
    let layers = Layers { passwords: false, ..layers };
    let mut changes = diff(plan, &facts).changes;
    changes.extend(beside_topics(admin, plan, layers, &facts).await?.changes);
    let hidden = changes.first().map(|change| format!("the cluster does not show yet: {change}"));
    let missing = hidden.or_else(|| out_of_sync(plan, &facts));
    Ok(missing.map_or(Look::Shown(facts), Look::Missing))
}

fn out_of_sync(plan: &Plan, facts: &ClusterFacts) -> Option<String> {
    for topic in &plan.topics {
        let Some(live) = facts.topics.get(topic.name()) else { continue };
        for partition in &live.partitions {
            if partition.leader.is_none() || partition.isr.len() < partition.replicas.len() {
                let (name, index) = (topic.name(), partition.index);
                let (isr, all) = (partition.isr.len(), partition.replicas.len());
                return Some(format!("{name}-{index} has {isr} of {all} copies in sync"));
            }
        }
    }
    None
}

pub(crate) fn bootstrap(facts: &ClusterFacts) -> String {
    facts
        .brokers
        .first()
        .map_or_else(|| "HOST:PORT".to_owned(), |broker| format!("{}:{}", broker.host, broker.port))
}
