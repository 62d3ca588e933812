//! Making changes: in few requests, each written down before it is tried.

use std::path::Path;

use klamm_admin::Mode::Execute;
use klamm_admin::{Admin, NewTopic};
use klamm_kafka::Mechanism;
use klamm_plan::{Change, ChangeKind, user_of};
use klamm_wire::sasl::Hash;

use crate::apply::{ApplyOptions, DataLoss, Mode};
use crate::journal::{Journal, Step};
use crate::loss::{Loss, loss};
use crate::reassign::{Control, Mover, unthrottle};
use crate::secret::read_secret;
use crate::{ApplyErrorKind, Done};

/// Topics that one request deletes.
const DELETIONS_AT_ONCE: usize = 100;

/// A change that is to be made.
pub(crate) struct Pending {
    pub change: Change,
    pub loss: Option<Loss>,
}

impl Pending {
    pub fn done(self, bootstrap: &str) -> Done {
        Done::of(self.change, self.loss, bootstrap)
    }

    fn is_creation(&self) -> bool {
        matches!(self.change.kind, ChangeKind::CreateTopic { .. })
    }

    fn is_deletion(&self) -> bool {
        matches!(self.change.kind, ChangeKind::DeleteTopic { .. })
    }

    /// The configuration that it sets or, with `None`, unsets.
    fn config(&self) -> Option<(String, Option<String>)> {
        match &self.change.kind {
            ChangeKind::SetConfig { name, to, .. } => Some((name.clone(), Some(to.clone()))),
            ChangeKind::RestoreConfig { name, to, .. } => Some((name.clone(), to.clone())),
            _ => None,
        }
    }

    /// Configurations of one topic travel together: all of them are taken or none.
    fn goes_with(&self, other: &Pending) -> bool {
        let same_topic = self.change.topic == other.change.topic;
        same_topic && self.config().is_some() && other.config().is_some()
    }
}

/// `changes` with what each deletes; refused when one deletes records and may not.
pub(crate) async fn with_losses(
    admin: &Admin,
    readers: &[(&str, &[String])],
    changes: Vec<Change>,
    options: &ApplyOptions,
) -> Result<Vec<Pending>, ApplyErrorKind> {
    let mut pending = Vec::with_capacity(changes.len());
    for change in changes {
        let loss = loss(admin, readers, &change).await?;
        pending.push(Pending { change, loss });
    }
    let may_lose = options.mode == Mode::DryRun || options.data_loss == DataLoss::Allow;
    if !may_lose && pending.iter().any(|pending| pending.loss.is_some()) {
        let losses =
            pending.into_iter().filter_map(|pending| Some((pending.change, pending.loss?))).collect();
        return Err(ApplyErrorKind::LosesData { losses });
    }
    Ok(pending)
}

/// Makes changes and, where there is a journal, writes each down before it is tried and after it was made.
pub(crate) struct Maker<'a> {
    pub admin: &'a Admin,
    pub bootstrap: &'a str,
    pub journal: Option<&'a mut Journal>,
    pub control: Control<'a>,
}

impl Maker<'_> {
    /// Makes the changes in as few requests as the brokers' limits allow, and adds each that was made to `done`.
    pub async fn make_all(
        &mut self,
        changes: Vec<Pending>,
        done: &mut Vec<Done>,
    ) -> Result<Vec<Step>, ApplyErrorKind> {
        let (creations, rest): (Vec<_>, Vec<_>) = changes.into_iter().partition(Pending::is_creation);
        let (deletions, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(Pending::is_deletion);
        let mut steps = self.create(creations, done).await?;
        let mut others = others.into_iter().peekable();
        while let Some(first) = others.next() {
            let mut together = vec![first];
            while let Some(next) = others.next_if(|next| next.goes_with(&together[0])) {
                together.push(next);
            }
            let intended = self.intend(&together).await?;
            self.change(&together).await?;
            steps.extend(self.made(intended, together, done).await?);
        }
        let mut deletions = deletions.into_iter();
        loop {
            let some: Vec<Pending> = deletions.by_ref().take(DELETIONS_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(steps);
            }
            let names: Vec<String> = some.iter().map(|pending| pending.change.topic.clone()).collect();
            let intended = self.intend(&some).await?;
            self.admin.delete_topics(&names).await?;
            steps.extend(self.made(intended, some, done).await?);
        }
    }

    async fn create(
        &mut self,
        creations: Vec<Pending>,
        done: &mut Vec<Done>,
    ) -> Result<Vec<Step>, ApplyErrorKind> {
        let intended = self.intend(&creations).await?;
        let new: Vec<NewTopic> = creations.iter().filter_map(|pending| new_topic(&pending.change)).collect();
        let outcomes = self.admin.create_topics_each(&new, Execute).await;
        let (mut made, mut created, mut failed) = (Vec::new(), Vec::new(), None);
        let mut intended = intended.into_iter();
        for (pending, outcome) in creations.into_iter().zip(outcomes) {
            let step = intended.next();
            match outcome.result {
                Ok(()) => {
                    created.push(pending);
                    made.extend(step);
                }
                // Those beside it may have been made.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let made = self.made(made, created, done).await?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(made),
        }
    }

    async fn intend(&mut self, pending: &[Pending]) -> Result<Vec<Step>, ApplyErrorKind> {
        let Some(journal) = &mut self.journal else { return Ok(Vec::new()) };
        let changes: Vec<&Change> = pending.iter().map(|pending| &pending.change).collect();
        Ok(journal.intend(&changes).await?)
    }

    async fn made(
        &mut self,
        steps: Vec<Step>,
        pending: Vec<Pending>,
        done: &mut Vec<Done>,
    ) -> Result<Vec<Step>, ApplyErrorKind> {
        done.extend(pending.into_iter().map(|pending| pending.done(self.bootstrap)));
        let Some(journal) = &self.journal else { return Ok(Vec::new()) };
        Ok(journal.made(steps).await?)
    }

    /// One change of a topic that exists, or all of its configurations.
    async fn change(&self, together: &[Pending]) -> Result<(), ApplyErrorKind> {
        let Some(first) = together.first() else { return Ok(()) };
        let (admin, topic) = (self.admin, &first.change.topic);
        match &first.change.kind {
            ChangeKind::AddPartitions { to, .. } => {
                admin.create_partitions(topic, i32::try_from(*to).unwrap_or(i32::MAX)).await?;
            }
            ChangeKind::Reassign { moves, throttle } => {
                let (throttle, control) = (*throttle, self.control);
                Mover { admin, topic, moves, throttle, control }.run().await?;
            }
            ChangeKind::Allow { acl } => admin.create_acls(std::slice::from_ref(acl)).await?,
            ChangeKind::Revoke { acl } => admin.delete_acls(std::slice::from_ref(acl)).await?,
            ChangeKind::SetQuota { principal, name, to, .. } => {
                // Quotas are decimal numbers there; bytes a second below 2^53 are exact.
                admin.alter_quota(user_of(principal), name, to.map(|rate| rate as f64)).await?;
            }
            ChangeKind::MoveGroup { group, offsets, .. } => {
                let at = |(partition, offset): &(i32, i64)| (topic.clone(), *partition, *offset);
                admin.commit_offsets(group, &offsets.iter().map(at).collect::<Vec<_>>()).await?;
            }
            ChangeKind::SetPassword { user, mechanism, password, .. } => {
                let unread = |why| ApplyErrorKind::Refused {
                    why: format!("user {user} was not made: {why}"),
                    fix: "put the password where the spec says, or say where it is".to_owned(),
                };
                let place = password.clone();
                let read = tokio::task::spawn_blocking(move || read_secret(&place, Path::new("")));
                let secret = read.await.unwrap_or_else(|error| Err(error.to_string())).map_err(unread)?;
                admin.set_scram_password(user, hash(*mechanism)?, &secret).await?;
            }
            ChangeKind::RemoveUser { user, mechanism } => {
                admin.delete_scram_user(user, hash(*mechanism)?).await?;
            }
            ChangeKind::SetBrokers { name, to, .. } => {
                admin.alter_all_brokers_configs(&[(name.clone(), to.clone())]).await?;
            }
            ChangeKind::Unthrottle { brokers, throttle } => {
                let brokers = brokers.iter().copied().collect();
                unthrottle(admin, topic, &brokers, *throttle).await?;
            }
            _ => {
                let configs: Vec<_> = together.iter().filter_map(Pending::config).collect();
                admin.alter_configs(topic, &configs).await?;
            }
        }
        Ok(())
    }
}

fn hash(mechanism: Mechanism) -> Result<Hash, ApplyErrorKind> {
    Hash::of(mechanism).ok_or_else(|| ApplyErrorKind::Refused {
        why: format!("brokers keep no users of mechanism {mechanism}"),
        fix: "write `mechanism: SCRAM-SHA-512`; users of PLAIN are in the brokers' own files".to_owned(),
    })
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
