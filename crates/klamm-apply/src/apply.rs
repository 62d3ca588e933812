//! Look, refuse or change, look again.

use std::time::Duration;

use klamm_admin::Mode::Execute;
use klamm_admin::{Admin, AdminError, NewTopic};
use klamm_contract::facts::ClusterFacts;
use klamm_contract::{Breach, keeps};
use klamm_plan::{Change, ChangeKind, Conflict, Plan, Risk, diff};
use tokio::time::{Instant, sleep};

use crate::loss::{Loss, loss};
use crate::receipt::VERSION;
use crate::{ApplyError, ApplyErrorKind, Done, Receipt};

/// How long the brokers may take to show a change.
const SETTLE: Duration = Duration::from_secs(30);
/// Pause between looks: the first ones are quick, because one broker settles in milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const SLOWEST_LOOK: Duration = Duration::from_millis(500);

/// What `apply` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions {
    /// With topics that exist.
    pub existing: Existing,
    /// At all.
    pub mode: Mode,
    /// With changes that delete records.
    pub data_loss: DataLoss,
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

/// Brings the cluster behind `admin` to `plan`.
///
/// Refuses, before it changes anything, a cluster that cannot keep the plan's contracts, another cluster than the plan
/// was made for, and differences that it may not or cannot change. Cancelling it leaves each change whole: made or not.
pub async fn apply(admin: &Admin, plan: &Plan, options: &ApplyOptions) -> Result<Receipt, ApplyError> {
    let mut receipt =
        Receipt { version: VERSION, dry_run: options.mode == Mode::DryRun, ..Receipt::default() };
    let facts = match look(admin, plan).await {
        Ok(facts) => facts,
        Err(error) => return Err(ApplyError::new(ApplyErrorKind::Admin(error), receipt)),
    };
    receipt.cluster_id.clone_from(&facts.cluster_id);
    let difference = diff(plan, &facts);
    if let Some(kind) = refusal(plan, &facts, &difference, options.existing) {
        return Err(ApplyError::new(kind, receipt));
    }
    receipt.unchanged = difference.unchanged;
    let losses = match losses(admin, plan, &difference.changes).await {
        Ok(losses) => losses,
        Err(error) => return Err(ApplyError::new(ApplyErrorKind::Admin(error), receipt)),
    };
    let loses = losses.iter().any(Option::is_some);
    if loses && options.mode == Mode::Apply && options.data_loss == DataLoss::Refuse {
        let losses = difference.changes.into_iter().zip(losses);
        let losses = losses.filter_map(|(change, loss)| Some((change, loss?))).collect();
        return Err(ApplyError::new(ApplyErrorKind::LosesData { losses }, receipt));
    }
    let changes: Vec<Pending> =
        difference.changes.into_iter().zip(losses).map(|(change, loss)| Pending { change, loss }).collect();
    let bootstrap = bootstrap(&facts);
    match options.mode {
        Mode::DryRun => receipt.done.extend(changes.into_iter().map(|pending| pending.done(&bootstrap))),
        Mode::Apply => {
            let made = make_all(admin, changes, &bootstrap, &mut receipt.done).await;
            made.map_err(|error| ApplyError::new(ApplyErrorKind::Admin(error), receipt.clone()))?;
        }
    }
    if options.mode == Mode::Apply && !receipt.done.is_empty() {
        settled(admin, plan).await.map_err(|kind| ApplyError::new(kind, receipt.clone()))?;
    }
    Ok(receipt)
}

/// What each change deletes.
async fn losses(admin: &Admin, plan: &Plan, changes: &[Change]) -> Result<Vec<Option<Loss>>, AdminError> {
    let mut losses = Vec::with_capacity(changes.len());
    for change in changes {
        losses.push(loss(admin, plan, change).await?);
    }
    Ok(losses)
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
            "write `partitions: {from}` into the spec, or make a new topic of {to}, copy in the order of the keys, and cut \
             its groups over"
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
                change.topic == topic
                    && matches!(&change.kind, ChangeKind::SetConfig { name, .. } if *name == breach.setting)
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

/// A change that is to be made.
struct Pending {
    change: Change,
    loss: Option<Loss>,
}

impl Pending {
    fn done(self, bootstrap: &str) -> Done {
        Done::of(self.change, self.loss, bootstrap)
    }

    fn is_creation(&self) -> bool {
        matches!(self.change.kind, ChangeKind::CreateTopic { .. })
    }

    /// Configurations of one topic travel together: all of them are taken or none.
    fn goes_with(&self, other: &Pending) -> bool {
        let config = |pending: &Pending| matches!(pending.change.kind, ChangeKind::SetConfig { .. });
        self.change.topic == other.change.topic && config(self) && config(other)
    }
}

/// Makes the changes in as few requests as the brokers' limits allow, and adds each that was made to `done`.
async fn make_all(
    admin: &Admin,
    changes: Vec<Pending>,
    bootstrap: &str,
    done: &mut Vec<Done>,
) -> Result<(), AdminError> {
    let (creations, others): (Vec<Pending>, Vec<Pending>) =
        changes.into_iter().partition(Pending::is_creation);
    let new: Vec<NewTopic> = creations.iter().filter_map(|pending| new_topic(&pending.change)).collect();
    let mut failed = None;
    for (pending, outcome) in creations.into_iter().zip(admin.create_topics_each(&new, Execute).await) {
        match outcome.result {
            Ok(()) => done.push(pending.done(bootstrap)),
            // Those beside it may have been made.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let mut others = others.into_iter().peekable();
    while let Some(first) = others.next() {
        let mut together = vec![first];
        while let Some(next) = others.next_if(|next| next.goes_with(&together[0])) {
            together.push(next);
        }
        change(admin, &together).await?;
        done.extend(together.into_iter().map(|pending| pending.done(bootstrap)));
    }
    Ok(())
}

fn new_topic(change: &Change) -> Option<NewTopic> {
    let ChangeKind::CreateTopic { partitions, replication_factor, configs } = &change.kind else {
        return None;
    };
    Some(NewTopic {
        name: change.topic.clone(),
        partitions: i32::try_from(*partitions).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(*replication_factor).unwrap_or(i16::MAX),
        configs: configs.clone(),
    })
}

/// One change of a topic that exists, or all of its configurations.
async fn change(admin: &Admin, together: &[Pending]) -> Result<(), AdminError> {
    let Some(first) = together.first() else { return Ok(()) };
    let topic = &first.change.topic;
    if let ChangeKind::AddPartitions { to, .. } = &first.change.kind {
        return admin.create_partitions(topic, i32::try_from(*to).unwrap_or(i32::MAX)).await;
    }
    let configs = together.iter().filter_map(|pending| match &pending.change.kind {
        ChangeKind::SetConfig { name, to, .. } => Some((name.clone(), Some(to.clone()))),
        // A kind that this version does not know cannot come from this version's planner.
        _ => None,
    });
    admin.alter_configs(topic, &configs.collect::<Vec<_>>()).await
}

/// Waits until the cluster shows the plan: no difference, a leader and all copies in sync for each partition.
async fn settled(admin: &Admin, plan: &Plan) -> Result<(), ApplyErrorKind> {
    let deadline = Instant::now() + SETTLE;
    let mut pause = FIRST_LOOK;
    loop {
        let missing = match look(admin, plan).await {
            Ok(facts) => match missing(plan, &facts) {
                None => return Ok(()),
                Some(missing) => missing,
            },
            Err(error) if error.is_retryable() => error.to_string(),
            Err(error) => return Err(ApplyErrorKind::Admin(error)),
        };
        if Instant::now() + pause > deadline {
            return Err(ApplyErrorKind::NotSettled { missing: format!("after {SETTLE:?} {missing}") });
        }
        sleep(pause).await;
        pause = (pause * 2).min(SLOWEST_LOOK);
    }
}

fn missing(plan: &Plan, facts: &ClusterFacts) -> Option<String> {
    let difference = diff(plan, facts);
    if let Some(change) = difference.changes.first() {
        return Some(format!("the cluster does not show yet: {change}"));
    }
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

fn bootstrap(facts: &ClusterFacts) -> String {
    facts
        .brokers
        .first()
        .map_or_else(|| "HOST:PORT".to_owned(), |broker| format!("{}:{}", broker.host, broker.port))
}
