//! Changes that no plan asks for: those that an audit proposes.

use klamm_admin::{Admin, AdminError};
use klamm_contract::facts::ClusterFacts;
use klamm_plan::{Change, ChangeKind, Conflict};

use crate::apply::{ApplyOptions, Journaling, Mode, bootstrap, close};
use crate::journal::{Journal, NewRun};
use crate::make::{Maker, Pending, with_losses};
use crate::reassign::Control;
use crate::receipt::VERSION;
use crate::settle::{self, Look, SETTLE};
use crate::{ApplyError, ApplyErrorKind, Receipt};

/// Makes `changes` on the cluster `cluster_id`, for the reason `service` in the journal: settings of topics and of all brokers, each
/// still as it was seen.
///
/// Refuses, before it changes anything, another cluster, a setting that has changed since (a conflict), and changes
/// that delete records unless the options allow it. What is as wanted already is left alone. Cancelling it leaves each change
/// whole; the journal then says that the run was interrupted.
pub async fn amend(
    admin: &Admin,
    cluster_id: &str,
    service: &str,
    changes: &[Change],
    options: &ApplyOptions,
) -> Result<Receipt, ApplyError> {
    let dry_run = options.mode == Mode::DryRun;
    let mut receipt = Receipt { version: VERSION, dry_run, ..Receipt::default() };
    let wanted = Wanted { admin, cluster_id, changes };
    match wanted.run(service, options, &mut receipt).await {
        Ok(()) => Ok(receipt),
        Err(kind) => Err(ApplyError::new(kind, receipt)),
    }
}

/// Whether [`amend`] makes such a change; others are `apply`'s, from a spec.
pub fn amends(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::SetConfig { .. } | ChangeKind::SetBrokers { to: Some(_), .. })
}

struct Wanted<'a> {
    admin: &'a Admin,
    cluster_id: &'a str,
    changes: &'a [Change],
}

impl Wanted<'_> {
    async fn run(
        &self,
        service: &str,
        options: &ApplyOptions,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        let (pending, facts) = self.prepare(options).await?;
        receipt.cluster_id.clone_from(&facts.cluster_id);
        let bootstrap = bootstrap(&facts);
        if options.mode == Mode::DryRun || pending.is_empty() {
            receipt.done.extend(pending.into_iter().map(|pending| pending.done(&bootstrap)));
            return Ok(());
        }
        let Journaling::Keep { lock_timeout } = options.journal else {
            self.make(pending, &bootstrap, None, receipt).await?;
            return self.settled().await;
        };
        let new = NewRun { service: service.to_owned(), undoes: None };
        let mut journal = Journal::open(self.admin, &new, lock_timeout).await?;
        receipt.run = Some(journal.id());
        let made = self.locked(options, &bootstrap, &mut journal, receipt).await;
        close(journal, None, made).await
    }

    async fn locked(
        &self,
        options: &ApplyOptions,
        bootstrap: &str,
        journal: &mut Journal,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        // Whoever held the lock before may have changed what was looked at.
        let (pending, _) = self.prepare(options).await?;
        self.make(pending, bootstrap, Some(journal), receipt).await?;
        self.settled().await
    }

    async fn make(
        &self,
        pending: Vec<Pending>,
        bootstrap: &str,
        journal: Option<&mut Journal>,
        receipt: &mut Receipt,
    ) -> Result<(), ApplyErrorKind> {
        let mut maker = Maker { admin: self.admin, bootstrap, journal, control: Control::default() };
        maker.make_all(pending, &mut receipt.done).await.map(drop)
    }

    async fn prepare(&self, options: &ApplyOptions) -> Result<(Vec<Pending>, ClusterFacts), ApplyErrorKind> {
        let facts = self.look().await?;
        if facts.cluster_id != self.cluster_id {
            let (planned, found) = (self.cluster_id.to_owned(), facts.cluster_id);
            return Err(ApplyErrorKind::OtherCluster { planned, found });
        }
        let mut left = Vec::new();
        let mut conflicts = Vec::new();
        for change in self.changes {
            match standing(change, &facts)? {
                Standing::Done => {}
                Standing::AsSeen => left.push(change.clone()),
                Standing::Changed(has) => conflicts.push(conflict(change, has)),
            }
        }
        if !conflicts.is_empty() {
            return Err(ApplyErrorKind::Conflict { conflicts });
        }
        Ok((with_losses(self.admin, &[], left, options).await?, facts))
    }

    async fn look(&self) -> Result<ClusterFacts, AdminError> {
        let mut topics: Vec<String> = self.changes.iter().map(|change| change.topic.clone()).collect();
        topics.retain(|topic| !topic.is_empty());
        topics.sort_unstable();
        topics.dedup();
        self.admin.facts(&topics).await
    }

    async fn settled(&self) -> Result<(), ApplyErrorKind> {
        settle::settled(SETTLE, || async {
            let facts = self.look().await?;
            let hidden =
                self.changes.iter().find(|change| !matches!(standing(change, &facts), Ok(Standing::Done)));
            let missing = hidden.map(|change| format!("the cluster does not show yet: {change}"));
            Ok(missing.map_or(Look::Shown(()), Look::Missing))
        })
        .await
    }
}

/// How a change stands to the cluster as it is.
enum Standing {
    /// It has been made.
    Done,
    /// What it changes is as it was seen.
    AsSeen,
    /// It is something else by now.
    Changed(String),
}

fn standing(change: &Change, facts: &ClusterFacts) -> Result<Standing, ApplyErrorKind> {
    let (now, from, to): (Vec<Option<String>>, _, _) = match &change.kind {
        ChangeKind::SetConfig { name, from, to, .. } => {
            let topic = facts.topics.get(&change.topic);
            let configs = topic.and_then(|topic| topic.configs.as_ref());
            (vec![configs.and_then(|configs| configs.get(name)?.value.clone())], from, to.as_str())
        }
        ChangeKind::SetBrokers { name, from, to: Some(to), .. } => {
            let told = |broker: &klamm_contract::facts::BrokerFacts| broker.configs.get(name)?.value.clone();
            (facts.brokers.iter().map(told).collect(), from, to.as_str())
        }
        other => {
            return Err(ApplyErrorKind::Refused {
                why: format!("{other:?} is no change that an audit makes"),
                fix: "`klamm apply` makes it from a spec".to_owned(),
            });
        }
    };
    if now.iter().all(|now| now.as_deref() == Some(to)) {
        return Ok(Standing::Done);
    }
    let seen = |now: &Option<String>| now.as_deref() == Some(to) || now == from;
    Ok(match now.iter().find(|now| !seen(now)) {
        None => Standing::AsSeen,
        Some(other) => Standing::Changed(other.clone().unwrap_or_else(|| "not readable".to_owned())),
    })
}

fn conflict(change: &Change, has: String) -> Conflict {
    let (setting, wants) = match &change.kind {
        ChangeKind::SetConfig { name, to, .. } => (name.clone(), to.clone()),
        ChangeKind::SetBrokers { name, to, .. } => (name.clone(), to.clone().unwrap_or_default()),
        _ => Default::default(),
    };
    Conflict {
        topic: if change.topic.is_empty() { "all brokers".to_owned() } else { change.topic.clone() },
        setting,
        has,
        wants,
        why: "somebody has changed it since the audit looked".to_owned(),
        fix: "run the audit again".to_owned(),
    }
}
