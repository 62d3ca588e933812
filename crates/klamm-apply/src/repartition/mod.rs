//! `klamm repartition`: another number of partitions for a keyed topic, without breaking the order of a key.
//!
//! Partitions are not added in place: keys would move, and their order would break. A new topic is made instead, the
//! records are copied key by key in order, and the groups are cut over to the offsets that stand for the same records.
//! The former topic is only read: until it is deleted, by hand, the way back is to go on with it.
//!
//! Nothing is kept outside of the cluster. Each copy says in a header where it comes from, and a group of its own holds
//! how far the copying is: a run that was killed is continued by the next one, and no record is copied twice.

mod copy;
mod origin;
mod state;
mod translate;

use std::collections::BTreeMap;
use std::time::Duration;

use klamm_admin::{Admin, OffsetSpec};
use klamm_contract::facts::{ConfigSource, TopicFacts};
use klamm_plan::{Change, ChangeKind, Risk};
use serde::{Deserialize, Serialize};

use self::copy::Copier;
pub use self::origin::{HEADER, Misplaced};
use self::state::State;
use crate::apply::{bootstrap, close, created};
use crate::journal::{Journal, NewRun, Step};
use crate::make::{Maker, Pending};
use crate::reassign::Control;
use crate::receipt::VERSION;
use crate::settle::{Look, SETTLE, settled};
use crate::undo::count;
use crate::{ApplyError, ApplyErrorKind, DataLoss, Receipt};

/// How long a topic must stand still before its groups are cut over.
const QUIET: Duration = Duration::from_secs(5);
/// How long a new topic may take to have all its copies.
const READY: Duration = Duration::from_secs(60);
/// Settings of a topic that belong to a move, not to the topic.
const OF_MOVES: &str = "replication.throttled.replicas";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repartition {
    /// The topic as it is.
    pub topic: String,
    /// The topic to be.
    pub target: String,
    /// Its partitions.
    pub partitions: u32,
    /// Records that are not where the partitioner puts their key.
    pub misplaced: Misplaced,
    /// Bytes a second that are copied at most.
    pub throttle: Option<u64>,
    /// How long to wait for somebody else who changes the cluster.
    pub lock_timeout: Duration,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Version of this form.
    pub version: u32,
    /// Cluster.
    pub cluster_id: String,
    /// The topic as it is, and its partitions.
    pub from: (String, u32),
    /// The topic to be, and its partitions.
    pub to: (String, u32),
    /// The topic to be exists.
    pub started: bool,
    /// Offsets of the topic that are not copied yet: records, and what compaction and transactions left of them.
    pub behind: i64,
    /// Each new partition takes from one old partition, so that each offset has exactly one counterpart.
    pub exact: bool,
    /// Records in the new topic that were not copied: its producers have moved.
    pub written: i64,
    /// Groups that have committed offsets in the topic.
    pub groups: Vec<GroupStanding>,
}

/// How far a group is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStanding {
    /// `group.id`.
    pub group: String,
    /// State in Kafka's words.
    pub state: String,
    /// Members, by client id.
    pub members: Vec<String>,
    /// Records of the topic that it has not read.
    pub lag: i64,
}

/// Looks, and changes nothing.
pub async fn repartition_standing(admin: &Admin, what: &Repartition) -> Result<Standing, ApplyError> {
    look(admin, what).await.map_err(|kind| ApplyError::new(kind, Receipt::default()))
}

/// Makes the new topic, unless it is there, and copies until it is as good as level with the topic: what is written
/// meanwhile is copied too, until one pass takes less than a few seconds.
///
/// # Errors
/// `Refused` when a record is not where the partitioner puts its key, and when somebody else writes into the new topic.
pub async fn repartition_copy(
    admin: &Admin,
    what: &Repartition,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    Work { admin, what, control }.run(Stage::Copy).await
}

/// Copies what is left and moves the groups: each starts in the new topic where it stopped in the former.
///
/// # Errors
/// `Refused` when the topic is still written or a group still has members: both would go wrong.
pub async fn repartition_cut_over(
    admin: &Admin,
    what: &Repartition,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    Work { admin, what, control }.run(Stage::CutOver).await
}

/// Deletes the new topic. The former one is as it was, and so are the offsets of its groups.
///
/// # Errors
/// `LosesData`, unless allowed, when the new topic holds records that its producers wrote.
pub async fn repartition_roll_back(
    admin: &Admin,
    what: &Repartition,
    data_loss: DataLoss,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    Work { admin, what, control }.run(Stage::RollBack(data_loss)).await
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Copy,
    CutOver,
    RollBack(DataLoss),
}

fn refused(why: impl Into<String>, fix: impl Into<String>) -> ApplyErrorKind {
    ApplyErrorKind::Refused { why: why.into(), fix: fix.into() }
}

/// The two topics as they are.
struct Pair {
    cluster_id: String,
    bootstrap: String,
    source: TopicFacts,
    target: Option<TopicFacts>,
}

impl Pair {
    async fn of(admin: &Admin, what: &Repartition) -> Result<Pair, ApplyErrorKind> {
        let Repartition { topic, target, partitions, .. } = what;
        if topic == target {
            return Err(refused("a topic is not copied into itself", "name another with `--to`"));
        }
        let mut facts = admin.facts(&[topic.clone(), target.clone()]).await?;
        let bootstrap = bootstrap(&facts);
        let Some(source) = facts.topics.remove(topic) else {
            return Err(refused(format!("there is no topic {topic}"), "`klamm import` lists what there is"));
        };
        let found = facts.topics.remove(target);
        let has = |facts: &TopicFacts| facts.partitions.len() as u32;
        // With the same number only misplaced records have somewhere to go.
        if has(&source) == *partitions && what.misplaced == Misplaced::Refuse {
            let why = format!("{topic} has {partitions} partitions already");
            return Err(refused(
                why,
                "ask for another number, or bring misplaced records to their places with `--misplaced copy`",
            ));
        }
        if let Some(found) = found.as_ref().filter(|found| has(found) != *partitions) {
            let why = format!("{target} exists with {} partitions, not {partitions}", has(found));
            return Err(refused(why, "name another topic with `--to`, or ask for that number"));
        }
        Ok(Pair { cluster_id: facts.cluster_id, bootstrap, source, target: found })
    }
}

async fn look(admin: &Admin, what: &Repartition) -> Result<Standing, ApplyErrorKind> {
    let pair = Pair::of(admin, what).await?;
    let old = pair.source.partitions.len() as u32;
    let state = match pair.target.is_some() {
        true => Some(State::load(admin, what).await?),
        false => None,
    };
    let ends = admin.list_offsets(&what.topic, OffsetSpec::Latest).await?;
    let starts: BTreeMap<i32, i64> =
        admin.list_offsets(&what.topic, OffsetSpec::Earliest).await?.into_iter().collect();
    let copied = |partition: &i32| {
        let copied = state.as_ref().and_then(|state| state.read_to.get(partition));
        copied.or_else(|| starts.get(partition)).copied().unwrap_or(0)
    };
    Ok(Standing {
        version: VERSION,
        cluster_id: pair.cluster_id,
        from: (what.topic.clone(), old),
        to: (what.target.clone(), what.partitions),
        started: pair.target.is_some(),
        behind: ends.iter().map(|(partition, end)| (end - copied(partition)).max(0)).sum(),
        exact: what.misplaced == Misplaced::Refuse && what.partitions.is_multiple_of(old.max(1)),
        written: state.map_or(0, |state| state.written),
        groups: groups(admin, &what.topic, &ends).await?,
    })
}

/// Groups with offsets in `topic`, but for those of klamm's own copying.
async fn groups(
    admin: &Admin,
    topic: &str,
    ends: &[(i32, i64)],
) -> Result<Vec<GroupStanding>, ApplyErrorKind> {
    let mut found = Vec::new();
    for group in admin.list_groups().await? {
        if group.starts_with(state::GROUP_PREFIX) {
            continue;
        }
        let offsets = admin.group_offsets(&group, &[topic.to_owned()]).await?;
        if offsets.is_empty() {
            continue;
        }
        let at: BTreeMap<i32, i64> = offsets.iter().map(|at| (at.partition, at.offset)).collect();
        let lag = ends.iter().map(|(partition, end)| (end - at.get(partition).unwrap_or(&0)).max(0)).sum();
        let described = admin.describe_group(&group).await?;
        let members = described.members.into_iter().map(|member| member.client_id).collect();
        found.push(GroupStanding { group, state: described.state, members, lag });
    }
    Ok(found)
}

struct Work<'a> {
    admin: &'a Admin,
    what: &'a Repartition,
    control: Control<'a>,
}

impl Work<'_> {
    async fn run(&self, stage: Stage) -> Result<Receipt, ApplyError> {
        let mut receipt = Receipt { version: VERSION, ..Receipt::default() };
        match self.journalled(stage, &mut receipt).await {
            Ok(()) => Ok(receipt),
            Err(kind) => Err(ApplyError::new(kind, receipt)),
        }
    }

    async fn journalled(&self, stage: Stage, receipt: &mut Receipt) -> Result<(), ApplyErrorKind> {
        // What is wrong from the start is said before anything is written.
        let pair = Pair::of(self.admin, self.what).await?;
        receipt.cluster_id.clone_from(&pair.cluster_id);
        if !matches!(stage, Stage::Copy) && pair.target.is_none() {
            let why = format!("there is no topic {}: nothing was copied", self.what.target);
            return Err(refused(why, "copy first: the same command without this option"));
        }
        let service = format!("repartition of {}", self.what.topic);
        let new = NewRun { service, undoes: None };
        let mut journal = Journal::open(self.admin, &new, self.what.lock_timeout).await?;
        receipt.run = Some(journal.id());
        let made = match stage {
            Stage::Copy => self.copy(&pair, &mut journal, receipt).await,
            Stage::CutOver => self.cut_over(&pair, &mut journal, receipt).await,
            Stage::RollBack(data_loss) => self.roll_back(&pair, data_loss, &mut journal, receipt).await,
        };
        close(journal, None, made).await
    }

    async fn copy(
        &self,
        pair: &Pair,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        if pair.target.is_none() {
            self.create(pair, journal, receipt).await?;
        }
        let mut copier = Copier::open(self.admin, self.what, self.control).await?;
        let copied = copier.until_level().await?;
        receipt.copied = Some(copied);
        Ok(())
    }

    /// The new topic, with the copies and settings of the former.
    async fn create(
        &self,
        pair: &Pair,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        let what = self.what;
        let own = pair
            .source
            .configs
            .iter()
            .flatten()
            .filter(|(name, fact)| fact.source == ConfigSource::Topic && !name.ends_with(OF_MOVES));
        let configs = own.filter_map(|(name, fact)| Some((name.clone(), fact.value.clone()?))).collect();
        let copies = pair.source.partitions.iter().map(|partition| partition.replicas.len()).max();
        let kind = ChangeKind::CreateTopic {
            partitions: what.partitions,
            replication_factor: copies.unwrap_or(1) as u32,
            configs,
        };
        let mut steps = self.make(kind, Risk::Safe, pair, journal, receipt).await?;
        let target = std::slice::from_ref(&what.target);
        self.admin.wait_until_ready(target, READY).await?;
        let facts = self.admin.facts(target).await?;
        created(&mut steps, &facts);
        Ok(journal.write(&steps).await?)
    }

    async fn make(
        &self,
        kind: ChangeKind,
        risk: Risk,
        pair: &Pair,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<Vec<Step>, ApplyErrorKind> {
        let change = Change { topic: self.what.target.clone(), kind, risk };
        let (admin, control) = (self.admin, self.control);
        let mut maker = Maker { admin, bootstrap: &pair.bootstrap, journal: Some(journal), control };
        maker.make_all(vec![Pending { change, loss: None }], &mut receipt.done).await
    }

    async fn cut_over(
        &self,
        pair: &Pair,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        let (admin, topic) = (self.admin, &self.what.topic);
        let ends = self.quiet().await?;
        let groups = groups(admin, topic, &ends).await?;
        let alive = groups.iter().find(|group| !group.members.is_empty());
        if let Some(GroupStanding { group, members, .. }) = alive {
            let count = members.len();
            let why = format!(
                "group {group} has {count} members ({}): they would go on reading {topic}",
                members.join(", ")
            );
            return Err(refused(why, "stop them; they start again on the new topic"));
        }
        let mut copier = Copier::open(admin, self.what, self.control).await?;
        let copied = copier.up_to(&ends.iter().copied().collect()).await?;
        receipt.copied = Some(copied);
        let state = copier.into_state();
        for standing in &groups {
            let Some(at) = translate::positions(admin, self.what, &state, &standing.group).await? else {
                receipt.unchanged.push(format!("group {}", standing.group));
                continue;
            };
            let (group, from) = (standing.group.clone(), topic.clone());
            let kind = ChangeKind::MoveGroup { group, from, offsets: at.offsets, again: at.again };
            self.make(kind, Risk::RestartsClients, pair, journal, receipt).await?;
        }
        // Whoever wrote meanwhile wrote records that no group would read.
        if self.admin.list_offsets(topic, OffsetSpec::Latest).await? != ends {
            let why = format!(
                "{topic} was written during the cut-over: its newest records are not in {}",
                self.what.target
            );
            return Err(refused(why, "stop the producers and cut over again: it does what is left"));
        }
        Ok(())
    }

    /// The ends of the topic, once nobody writes any more.
    async fn quiet(&self) -> Result<Vec<(i32, i64)>, ApplyErrorKind> {
        let (admin, topic) = (self.admin, &self.what.topic);
        let before = admin.list_offsets(topic, OffsetSpec::Latest).await?;
        self.control.pause(QUIET).await;
        if self.control.is_stopped() {
            return Err(ApplyErrorKind::Stopped { what: "the cut-over".to_owned() });
        }
        let ends = admin.list_offsets(topic, OffsetSpec::Latest).await?;
        let more: i64 = ends.iter().zip(&before).map(|((_, now), (_, then))| now - then).sum();
        if more > 0 {
            let why = format!("{topic} is still written: {more} records in {QUIET:?}");
            return Err(refused(why, "stop its producers, then cut over"));
        }
        if admin.list_offsets(topic, OffsetSpec::LatestStable).await? != ends {
            let why = format!("a transaction is open on {topic}: what it wrote cannot be copied yet");
            return Err(refused(
                why,
                "stop its producers; the broker aborts it after transaction.timeout.ms",
            ));
        }
        Ok(ends)
    }

    async fn roll_back(
        &self,
        pair: &Pair,
        data_loss: DataLoss,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        let State { written, .. } = State::load(self.admin, self.what).await?;
        let target = &self.what.target;
        if written > 0 && data_loss == DataLoss::Refuse {
            let why = format!(
                "{target} holds {written} records that its producers wrote, and that {} has not",
                self.what.topic
            );
            return Err(refused(why, "`--allow-data-loss` deletes them with the topic"));
        }
        // Copies are records, too, but nothing is lost with them.
        let risk = if written > 0 { Risk::LosesData } else { Risk::Safe };
        let records = count(self.admin, target).await?;
        self.make(ChangeKind::DeleteTopic { records }, risk, pair, journal, receipt).await?;
        self.admin.delete_group(&state::group(self.what)).await?;
        let gone = || async {
            let shown = self.admin.list_topics().await?.contains(target);
            Ok(if shown { Look::Missing(format!("{target} is still listed")) } else { Look::Shown(()) })
        };
        settled(SETTLE, gone).await
    }
}
