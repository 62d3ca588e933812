//! Taking a broker out of service: what its stop would cost, and moving its copies elsewhere first.

use std::collections::BTreeSet;

use klamm_admin::{Admin, AdminError};
use klamm_contract::facts::{ClusterFacts, TopicFacts};
use klamm_plan::placement::{Wanted, moves};
use klamm_plan::{Change, ChangeKind, Conflict, Risk};
use serde::{Deserialize, Serialize};

use crate::apply::{ApplyOptions, Mode, bootstrap, close};
use crate::inbound::{Throttle, set_throttle};
use crate::journal::{Journal, NewRun};
use crate::make::{Maker, Pending};
use crate::reassign::Control;
use crate::receipt::VERSION;
use crate::{ApplyError, ApplyErrorKind, Journaling, Receipt};

/// Bytes per second that a broker may spend on maintenance, unless the caller says otherwise.
const DEFAULT_THROTTLE: u64 = 50_000_000;

/// What the stop of a broker would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopReport {
    /// The broker.
    pub broker: i32,
    /// Copies that it holds.
    pub holds: usize,
    /// Partitions that it leads: their clients go to another leader.
    pub leads: usize,
    /// Partitions that would not go on.
    pub blocked: Vec<Blocked>,
}

/// A partition that would not go on without a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// In-sync copies that would be left.
    pub in_sync: usize,
    /// Copies that must be in sync for a write with acks=all: min.insync.replicas, at most all copies (KAFKA-15583).
    pub floor: usize,
}

impl Blocked {
    /// Reading stops, too: no in-sync copy is left.
    pub fn is_offline(&self) -> bool {
        self.in_sync == 0
    }
}

/// What stopping `broker` now would cost, over all topics that the caller may see.
pub async fn can_stop(admin: &Admin, broker: i32) -> Result<StopReport, AdminError> {
    let facts = admin.facts(&admin.list_topics().await?).await?;
    Ok(stop_report(&facts, broker))
}

pub(crate) fn stop_report(facts: &ClusterFacts, broker: i32) -> StopReport {
    let mut report = StopReport { broker, holds: 0, leads: 0, blocked: Vec::new() };
    for (name, topic) in &facts.topics {
        for partition in &topic.partitions {
            report.holds += usize::from(partition.replicas.contains(&broker));
            report.leads += usize::from(partition.leader == Some(broker));
            if !partition.isr.contains(&broker) {
                continue;
            }
            let (in_sync, floor) = (partition.isr.len() - 1, floor(topic, partition.replicas.len()));
            if in_sync < floor {
                let (topic, partition) = (name.clone(), partition.index);
                report.blocked.push(Blocked { topic, partition, in_sync, floor });
            }
        }
    }
    report
}

fn floor(topic: &TopicFacts, copies: usize) -> usize {
    let set = topic.configs.as_ref().and_then(|configs| configs.get("min.insync.replicas"));
    let set = set.and_then(|fact| fact.value.as_ref()?.parse().ok()).unwrap_or(1_usize);
    set.clamp(1, copies.max(1))
}

/// Moves every copy of `broker` elsewhere: to the brokers that hold least, or all to `instead`. Each topic keeps as
/// many copies as it has, over as many racks; refused, before anything moves, when the other brokers cannot hold them.
pub async fn drain(
    admin: &Admin,
    broker: i32,
    instead: Option<i32>,
    options: &ApplyOptions,
    control: Control<'_>,
) -> Result<Receipt, ApplyError> {
    let dry_run = options.mode == Mode::DryRun;
    let mut receipt = Receipt { version: VERSION, dry_run, ..Receipt::default() };
    let drain = Drain { admin, broker, instead, options, control };
    match drain.run(&mut receipt).await {
        Ok(()) => Ok(receipt),
        Err(kind) => Err(ApplyError::new(kind, receipt)),
    }
}

struct Drain<'a> {
    admin: &'a Admin,
    broker: i32,
    instead: Option<i32>,
    options: &'a ApplyOptions,
    control: Control<'a>,
}

impl Drain<'_> {
    async fn run(&self, receipt: &mut Receipt) -> Result<(), ApplyErrorKind> {
        let (pending, bootstrap) = self.look(receipt).await?;
        if self.options.mode == Mode::DryRun {
            receipt.done.extend(pending.into_iter().map(|pending| pending.done(&bootstrap)));
            return Ok(());
        }
        if pending.is_empty() {
            return Ok(());
        }
        let (admin, control) = (self.admin, self.control);
        let Journaling::Keep { lock_timeout } = self.options.journal else {
            let mut maker = Maker { admin, bootstrap: &bootstrap, journal: None, control };
            return maker.make_all(pending, &mut receipt.done).await.map(drop);
        };
        let new = NewRun { service: format!("drain of broker {}", self.broker), undoes: None };
        let mut journal = Journal::open(admin, &new, lock_timeout).await?;
        receipt.run = Some(journal.id());
        let made = self.locked(&mut journal, receipt).await;
        close(journal, None, made).await
    }

    async fn locked(&self, journal: &mut Journal, receipt: &mut Receipt) -> Result<(), ApplyErrorKind> {
        // Somebody may have changed the cluster meanwhile; and the journal itself may be new, with a copy on the broker.
        let (pending, bootstrap) = self.look(receipt).await?;
        let (admin, control) = (self.admin, self.control);
        let mut maker = Maker { admin, bootstrap: &bootstrap, journal: Some(journal), control };
        maker.make_all(pending, &mut receipt.done).await.map(drop)
    }

    async fn look(&self, receipt: &mut Receipt) -> Result<(Vec<Pending>, String), ApplyErrorKind> {
        let facts = self.admin.facts(&self.admin.list_topics().await?).await?;
        receipt.cluster_id.clone_from(&facts.cluster_id);
        let mut changes = self.changes(&facts)?;
        let throttle = self.options.throttle.map_or(Throttle::Planned, Throttle::Asked);
        set_throttle(self.admin, &mut changes, throttle).await?;
        let pending = changes.into_iter().map(|change| Pending { change, loss: None }).collect();
        Ok((pending, bootstrap(&facts)))
    }

    fn changes(&self, facts: &ClusterFacts) -> Result<Vec<Change>, ApplyErrorKind> {
        let known = |id: i32| facts.brokers.iter().any(|broker| broker.id == id);
        if let Some(instead) = self.instead.filter(|id| !known(*id) || *id == self.broker) {
            let ids: Vec<String> = facts.brokers.iter().map(|broker| broker.id.to_string()).collect();
            let (has, wants) = (format!("brokers {}", ids.join(", ")), format!("broker {instead}"));
            let why = "the replacement is not a live broker other than the one that goes".to_owned();
            let fix = "start it, or name another".to_owned();
            let conflict =
                Conflict { topic: "all".to_owned(), setting: "brokers".to_owned(), has, wants, why, fix };
            return Err(ApplyErrorKind::Conflict { conflicts: vec![conflict] });
        }
        let without = BTreeSet::from([self.broker]);
        let wanted = Wanted { copies: None, without: &without, instead: self.instead };
        let throttle = DEFAULT_THROTTLE;
        let (mut changes, mut conflicts) = (Vec::new(), Vec::new());
        let held = facts.topics.iter().filter(|(_, topic)| {
            topic.partitions.iter().any(|partition| partition.replicas.contains(&self.broker))
        });
        for (name, topic) in held {
            match moves(&affected(topic, self.broker), facts, &wanted) {
                Ok(moves) => changes.push(Change {
                    topic: name.clone(),
                    kind: ChangeKind::Reassign { moves, throttle },
                    risk: Risk::CopiesData,
                }),
                Err(brokers) => {
                    let copies = topic.partitions.iter().map(|partition| partition.replicas.len()).max();
                    conflicts.push(Conflict {
                        topic: name.clone(),
                        setting: "copies".to_owned(),
                        has: copies.unwrap_or(0).to_string(),
                        wants: format!("{brokers} brokers without {}", self.broker),
                        why: "each copy needs a broker of its own".to_owned(),
                        fix: "add a broker first, and `klamm broker replace`".to_owned(),
                    });
                }
            }
        }
        if conflicts.is_empty() { Ok(changes) } else { Err(ApplyErrorKind::Conflict { conflicts }) }
    }
}

/// The topic with only the partitions that have a copy on `broker`: the others stay as they are.
fn affected(topic: &TopicFacts, broker: i32) -> TopicFacts {
    let mut topic = topic.clone();
    topic.partitions.retain(|partition| partition.replicas.contains(&broker));
    topic
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use klamm_contract::facts::{ConfigFact, ConfigSource, PartitionFacts};

    use super::*;

    #[test]
    fn a_stop_is_held_against_the_floor_that_holds_for_so_many_copies() {
        let topic = |floor: &str, isr: &[i32], replicas: &[i32]| TopicFacts {
            id: None,
            internal: false,
            partitions: vec![PartitionFacts {
                index: 0,
                leader: isr.first().copied(),
                replicas: replicas.to_vec(),
                isr: isr.to_vec(),
            }],
            configs: Some(BTreeMap::from([(
                "min.insync.replicas".to_owned(),
                ConfigFact { value: Some(floor.to_owned()), source: ConfigSource::Topic },
            )])),
        };
        let topics = BTreeMap::from([
            ("fine".to_owned(), topic("2", &[1, 2, 3], &[1, 2, 3])),
            ("thin".to_owned(), topic("2", &[1, 2], &[1, 2, 3])),
            ("single".to_owned(), topic("2", &[1], &[1])),
            ("elsewhere".to_owned(), topic("2", &[2, 3], &[1, 2, 3])),
        ]);
        let report = stop_report(&ClusterFacts { topics, ..ClusterFacts::default() }, 1);
        assert_eq!((report.holds, report.leads), (4, 3));
        let blocked: Vec<(&str, usize, usize, bool)> =
            report.blocked.iter().map(|b| (b.topic.as_str(), b.in_sync, b.floor, b.is_offline())).collect();
        assert_eq!(blocked, [("single", 0, 1, true), ("thin", 1, 2, false)]);
    }
}
