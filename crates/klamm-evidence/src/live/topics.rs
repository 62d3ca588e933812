//! Topics with configurations, offsets and open transactions; and whether Kafka has shown all of them.

use std::collections::{BTreeMap, BTreeSet};

use klamm_admin::{Admin, AdminError, Leaders, OffsetSpec, PerPartition, TopicRights, TopicsFound};
use klamm_contract::facts::TopicFacts;
use klamm_rules::Seen;
use klamm_rules::evidence::{ActiveProducer, LogDir, PartitionOffsets, Topic, Transaction};

use super::missing::{Missing, lacking, seen, why};

/// A name that nothing has: who may describe it may describe everything that is not denied by name.
pub(crate) const PROBE: &str = "klamm-audit-probe";

const DESCRIBE_ALL: &str = "DESCRIBE on Topic:*";
const READ_ALL: &str = "READ on Topic:*";

/// Topics that were listed, with all that is asked of each.
pub(super) struct Described {
    pub(super) topics: Seen<BTreeMap<String, Topic>>,
    pub(super) offsets: Seen<BTreeMap<String, Vec<PartitionOffsets>>>,
    pub(super) producers: Seen<Vec<ActiveProducer>>,
    /// Whether a topic that does not exist may be described.
    probe: Result<bool, AdminError>,
}

impl Described {
    pub(super) async fn collect(admin: &Admin, listed: &Result<TopicsFound, AdminError>) -> Described {
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                let failed = || why(error);
                return Described {
                    topics: Seen::Failed { why: failed() },
                    offsets: Seen::Failed { why: failed() },
                    producers: Seen::Failed { why: failed() },
                    probe: Err(error.clone()),
                };
            }
        };
        let names: Vec<String> = listed.found.keys().cloned().collect();
        let (configs, (offsets, producers), probe) = tokio::join!(
            admin.topic_configs(&names),
            offsets_and_producers(admin, listed.leaders()),
            probe(admin),
        );
        Described { topics: topics(listed, configs), offsets, producers, probe }
    }
}

async fn probe(admin: &Admin) -> Result<bool, AdminError> {
    let rights = admin.topic_rights(&[PROBE.to_owned()]).await?;
    Ok(rights.get(PROBE) != Some(&TopicRights::Denied))
}

fn topics(
    listed: &TopicsFound,
    mut configs: BTreeMap<String, Result<klamm_admin::Configs, AdminError>>,
) -> Seen<BTreeMap<String, Topic>> {
    let topic = |(name, facts): (&String, &TopicFacts)| {
        let configs = match configs.remove(name) {
            Some(told) => seen(told, &format!("DESCRIBE_CONFIGS on Topic:{name}")),
            None => Seen::NotAsked,
        };
        let (internal, partitions) = (facts.internal, facts.partitions.clone());
        (name.clone(), Topic { internal, partitions, configs })
    };
    let topics = listed.found.iter().map(topic).collect();
    let mut missing = Missing::default();
    for (name, error) in &listed.failed {
        missing.note(format!("topic {name}"), why(error));
    }
    Seen::from_parts(topics, missing.lines())
}

async fn offsets_and_producers(
    admin: &Admin,
    mut leaders: Leaders,
) -> (Seen<BTreeMap<String, Vec<PartitionOffsets>>>, Seen<Vec<ActiveProducer>>) {
    let mut missing = Missing::default();
    // One after the other: a transaction that was open as the ends were told is open now, or done.
    let ends = keep(admin.list_offsets_of(&leaders, OffsetSpec::Latest).await, &mut leaders, &mut missing);
    let stables =
        keep(admin.list_offsets_of(&leaders, OffsetSpec::LatestStable).await, &mut leaders, &mut missing);
    let mut suspects = Leaders::new();
    for (topic, partitions) in &leaders {
        for (partition, leader) in partitions {
            if stables.get(topic, *partition) < ends.get(topic, *partition) {
                suspects.entry(topic.clone()).or_default().insert(*partition, *leader);
            }
        }
    }
    let (starts, producers) = tokio::join!(
        admin.list_offsets_of(&leaders, OffsetSpec::Earliest),
        admin.describe_producers(&suspects),
    );
    let producers = open_transactions(producers, &suspects, missing.clone());
    let starts = keep(starts, &mut leaders, &mut missing);
    let mut found = BTreeMap::new();
    for (topic, partitions) in &leaders {
        let of = |partition: &i32| {
            let stable = stables.get(topic, *partition)?;
            // Told later, the stable offset may have passed the end as it was.
            let end = ends.get(topic, *partition)?.max(stable);
            let start = starts.get(topic, *partition)?;
            Some(PartitionOffsets { partition: *partition, start, end, stable })
        };
        found.insert(topic.clone(), partitions.keys().filter_map(of).collect());
    }
    (whole_or_denied(found, &missing, DESCRIBE_ALL), producers)
}

/// Offsets by topic and partition.
struct Offsets(BTreeMap<String, BTreeMap<i32, i64>>);

impl Offsets {
    fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(topic)?.get(&partition).copied()
    }
}

/// What was told. What was not is written down, and not asked for again.
fn keep(told: PerPartition<i64>, leaders: &mut Leaders, missing: &mut Missing) -> Offsets {
    let mut offsets = BTreeMap::<String, BTreeMap<i32, i64>>::new();
    for (topic, partitions) in told {
        for (partition, told) in partitions {
            match told {
                Ok(offset) => {
                    offsets.entry(topic.clone()).or_default().insert(partition, offset);
                }
                Err(error) => {
                    if let Some(known) = leaders.get_mut(&topic) {
                        known.remove(&partition);
                    }
                    let what = format!("topic {topic} partition {partition}");
                    let denied = || lacking(&format!("DESCRIBE on Topic:{topic}"));
                    missing.note(what, if error.is_denied() { denied() } else { reason(&error) });
                }
            }
        }
    }
    Offsets(offsets)
}

/// The same for all partitions of a broker, where the error allows it.
fn reason(error: &AdminError) -> String {
    match error.code() {
        Some(code) => code.to_string(),
        None => why(error),
    }
}

fn open_transactions(
    told: PerPartition<Vec<klamm_admin::ProducerState>>,
    leaders: &Leaders,
    mut missing: Missing,
) -> Seen<Vec<ActiveProducer>> {
    let (mut found, mut denied) = (Vec::new(), 0_usize);
    for (topic, partitions) in told {
        for (partition, told) in partitions {
            let leader = leaders.get(&topic).and_then(|topic| topic.get(&partition)).copied().flatten();
            match told {
                Ok(states) => found.extend(states.into_iter().filter_map(|state| {
                    Some(ActiveProducer {
                        topic: topic.clone(),
                        partition,
                        broker: leader.unwrap_or(-1),
                        producer_id: state.producer_id,
                        epoch: state.epoch,
                        coordinator_epoch: state.coordinator_epoch,
                        transaction_start: state.transaction_start?,
                        last_timestamp_ms: state.last_timestamp_ms,
                    })
                })),
                Err(error) if error.is_denied() => {
                    denied += 1;
                    let permission = lacking(&format!("READ on Topic:{topic}"));
                    missing.note(format!("topic {topic} partition {partition}"), permission);
                }
                Err(error) => {
                    missing.note(format!("topic {topic} partition {partition}"), reason(&error));
                }
            }
        }
    }
    let asked: usize = leaders.values().map(BTreeMap::len).sum();
    match found.is_empty() && denied > 0 && denied == asked {
        true => Seen::Denied { permission: READ_ALL.to_owned() },
        false => Seen::from_parts(found, missing.lines()),
    }
}

fn whole_or_denied(
    found: BTreeMap<String, Vec<PartitionOffsets>>,
    missing: &Missing,
    permission: &str,
) -> Seen<BTreeMap<String, Vec<PartitionOffsets>>> {
    let lines = missing.lines();
    let nothing = found.values().all(Vec::is_empty);
    let denied = !lines.is_empty() && lines.iter().all(|line| line.ends_with(" is missing"));
    match nothing && denied {
        true => Seen::Denied { permission: permission.to_owned() },
        false => Seen::from_parts(found, lines),
    }
}

/// Whether all topics were shown.
pub(super) enum Completeness {
    All,
    /// Not one was, and there may be some.
    Denied,
    /// Some may be hidden, and why that is thought.
    Some(Vec<String>),
    /// Topics could not be listed.
    Failed(String),
}

impl Completeness {
    /// A part that is about all topics.
    pub(super) fn of<T>(&self, part: Seen<T>) -> Seen<T> {
        let hidden = match self {
            Completeness::All => return part,
            Completeness::Denied => match part {
                Seen::Full(_) => return Seen::Denied { permission: DESCRIBE_ALL.to_owned() },
                other => return other,
            },
            Completeness::Failed(why) => match part {
                Seen::Full(_) => return Seen::Failed { why: why.clone() },
                other => return other,
            },
            Completeness::Some(hidden) => hidden,
        };
        match part {
            Seen::Full(value) => Seen::Partial { value, missing: hidden.clone() },
            Seen::Partial { value, missing } => {
                Seen::Partial { value, missing: [missing, hidden.clone()].concat() }
            }
            other => other,
        }
    }
}

impl Completeness {
    /// Kafka leaves partitions of hidden topics out of the transactions that it describes.
    pub(super) fn of_transactions(&self, part: Seen<Vec<Transaction>>) -> Seen<Vec<Transaction>> {
        let hides = matches!(self, Completeness::Denied | Completeness::Some(_));
        let (value, mut missing) = match part {
            Seen::Full(value) if hides && !value.is_empty() => (value, Vec::new()),
            Seen::Partial { value, missing } if hides => (value, missing),
            other => return other,
        };
        missing
            .push(format!("partitions of transactions in topics that are hidden: {}", lacking(DESCRIBE_ALL)));
        Seen::Partial { value, missing }
    }
}

/// Kafka leaves topics out that one may not describe. Those that lie in log directories cannot be hidden so.
pub(super) async fn completeness(
    admin: &Admin,
    listed: &Result<TopicsFound, AdminError>,
    described: &Described,
    log_dirs: &Seen<Vec<LogDir>>,
) -> Completeness {
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return Completeness::Failed(why(error)),
    };
    let stored: BTreeSet<&String> = log_dirs
        .value()
        .into_iter()
        .flatten()
        .flat_map(|dir| &dir.replicas)
        .map(|copy| &copy.topic)
        .collect();
    let known = |name: &String| listed.found.contains_key(name) || listed.failed.contains_key(name);
    let unknown: Vec<String> = stored.into_iter().filter(|name| !known(name)).cloned().collect();
    let mut missing = Missing::default();
    if !unknown.is_empty() {
        // What was deleted or made in between is not hidden.
        match admin.topic_rights(&unknown).await {
            Ok(rights) => {
                for (name, _) in rights.iter().filter(|(_, rights)| **rights == TopicRights::Denied) {
                    missing.note(format!("topic {name}"), lacking("DESCRIBE on the topic"));
                }
            }
            Err(error) => missing.note("topics of log directories that are not listed", why(&error)),
        }
    }
    match &described.probe {
        Ok(true) => {}
        Ok(false) if matches!(log_dirs, Seen::Full(_)) => {}
        Ok(false) => missing.note("topics that are hidden from this user", lacking(DESCRIBE_ALL)),
        Err(error) => missing.note("whether topics are hidden from this user", why(error)),
    }
    match missing.is_empty() {
        true => Completeness::All,
        false if listed.found.is_empty() => Completeness::Denied,
        false => Completeness::Some(missing.lines()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_about_topics_is_no_more_whole_than_the_list_of_them() {
        let full = || Seen::Full(1);
        assert_eq!(Completeness::All.of(full()), Seen::Full(1));
        assert_eq!(Completeness::Denied.of(full()), Seen::Denied { permission: DESCRIBE_ALL.to_owned() });
        let hidden = Completeness::Some(vec!["topic t: hidden".to_owned()]);
        assert_eq!(hidden.of(full()).gap(), hidden.of(Seen::from_parts(1, vec![])).gap());
        assert!(matches!(hidden.of(full()), Seen::Partial { value: 1, missing } if missing.len() == 1));
        let denied = Seen::<i32>::Denied { permission: "x".to_owned() };
        assert_eq!(hidden.of(denied.clone()), denied);
    }
}
