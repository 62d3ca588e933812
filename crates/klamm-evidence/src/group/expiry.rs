//! How long unread records stay: by the time stamp of the batch at the committed offset and the topic's retention.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use klamm_admin::{Admin, Leaders, PerPartition};
use klamm_rules::evidence::{Group, GroupOffset, Live, Topic};

use crate::live::{Missing, lacking, why};

/// Batches that are looked at, those nearest to the log start first.
const BATCHES: usize = 256;
/// Different offsets of one partition that are looked at, one after the other.
const ROUNDS: usize = 4;

/// Where a group goes on reading.
#[derive(Debug, Clone)]
struct Place {
    group: usize,
    offset: usize,
    topic: String,
    partition: i32,
    at: i64,
    retention_ms: i64,
}

/// Puts the time that is left into offsets of groups that lag, where retention is by time.
pub(super) async fn put(admin: &Admin, live: &Live, groups: &mut [Group]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    let mut notes: BTreeMap<usize, Missing> = BTreeMap::new();
    let mut places = places(live, groups);
    let beyond = places.split_off(places.len().min(BATCHES));
    let (rounds, left) = rounds(places);
    for place in beyond.iter().chain(&left) {
        let what = format!("how long unread records of topic {} stay", place.topic);
        let bound = format!("{BATCHES} partitions and {ROUNDS} offsets of each are looked at");
        notes.entry(place.group).or_default().note(what, bound);
    }
    for round in rounds {
        let (leaders, offsets) = request(live, &round);
        let times = admin.batch_times(&leaders, &offsets).await;
        for place in round {
            let what = format!("how long unread records of topic {} stay", place.topic);
            let note = notes.entry(place.group).or_default();
            match told(&times, &place) {
                Some(Ok(Some(time))) if *time >= 0 => {
                    let left = time.saturating_add(place.retention_ms).saturating_sub(now_ms).max(0);
                    if let Some(offset) = groups[place.group].offsets.get_mut(place.offset) {
                        offset.oldest_unread_ms = Some(left);
                    }
                }
                Some(Err(error)) if error.is_denied() => {
                    note.note(what, lacking(&format!("READ on Topic:{}", place.topic)));
                }
                Some(Err(error)) => note.note(what, why(error)),
                _ => note.note(what, "the batch has no time stamp, or is too large for a look"),
            }
        }
    }
    for (group, notes) in notes {
        groups[group].missing.extend(notes.lines());
    }
}

/// Places with lag in topics that delete by time, nearest to the log start first.
fn places(live: &Live, groups: &[Group]) -> Vec<Place> {
    let mut places = Vec::new();
    for (group, known) in groups.iter().enumerate() {
        for (index, offset) in known.offsets.iter().enumerate() {
            let topic = live.topics.value().and_then(|topics| topics.get(&offset.topic));
            let Some(retention_ms) = topic.and_then(retention) else { continue };
            if offset.lag().is_none_or(|lag| lag == 0) {
                continue;
            }
            let place = Place {
                group,
                offset: index,
                topic: offset.topic.clone(),
                partition: offset.partition,
                at: offset.committed.max(offset.start.unwrap_or(0)),
                retention_ms,
            };
            places.push((distance(offset), place));
        }
    }
    places.sort_by_key(|(distance, _)| *distance);
    places.into_iter().map(|(_, place)| place).collect()
}

fn distance(offset: &GroupOffset) -> i64 {
    offset.committed - offset.start.unwrap_or(0)
}

/// `retention.ms` of a topic that deletes by time.
fn retention(topic: &Topic) -> Option<i64> {
    let configs = topic.configs.value()?;
    let value = |name: &str| configs.get(name)?.value.as_deref();
    let deletes = value("cleanup.policy")?.split(',').any(|policy| policy.trim() == "delete");
    let retention = value("retention.ms")?.parse().ok()?;
    (deletes && retention >= 0).then_some(retention)
}

/// One offset of each partition at a time, since a request has no more; and the places that are left.
fn rounds(places: Vec<Place>) -> (Vec<Vec<Place>>, Vec<Place>) {
    let (mut rounds, mut left) = (Vec::<Vec<Place>>::new(), Vec::new());
    for place in places {
        let agrees = |other: &Place| {
            (&other.topic, other.partition) != (&place.topic, place.partition) || other.at == place.at
        };
        match rounds.iter().position(|round| round.iter().all(agrees)) {
            Some(index) => rounds[index].push(place),
            None if rounds.len() < ROUNDS => rounds.push(vec![place]),
            None => left.push(place),
        }
    }
    (rounds, left)
}

fn request(live: &Live, places: &[Place]) -> (Leaders, BTreeMap<String, BTreeMap<i32, i64>>) {
    let (mut leaders, mut offsets) = (Leaders::new(), BTreeMap::<String, BTreeMap<i32, i64>>::new());
    for place in places {
        let topic = live.topics.value().and_then(|topics| topics.get(&place.topic));
        let known = topic
            .and_then(|topic| topic.partitions.iter().find(|partition| partition.index == place.partition));
        let leader = known.and_then(|partition| partition.leader);
        leaders.entry(place.topic.clone()).or_default().insert(place.partition, leader);
        offsets.entry(place.topic.clone()).or_default().insert(place.partition, place.at);
    }
    (leaders, offsets)
}

fn told<'a>(
    times: &'a PerPartition<Option<i64>>,
    place: &Place,
) -> Option<&'a Result<Option<i64>, klamm_admin::AdminError>> {
    times.get(&place.topic)?.get(&place.partition)
}

#[cfg(test)]
mod tests {
    use klamm_contract::facts::{ConfigFact, ConfigSource};
    use klamm_rules::Seen;

    use super::*;

    fn topic(policy: &str, retention: &str) -> Topic {
        let fact = |value: &str| ConfigFact { value: Some(value.to_owned()), source: ConfigSource::Topic };
        let configs = [("cleanup.policy", policy), ("retention.ms", retention)];
        let configs = configs.into_iter().map(|(name, value)| (name.to_owned(), fact(value))).collect();
        Topic { configs: Seen::Full(configs), ..Topic::default() }
    }

    #[test]
    fn only_topics_that_delete_by_time_have_a_retention() {
        assert_eq!(retention(&topic("compact,delete", "60000")), Some(60_000));
        assert_eq!(retention(&topic("compact", "60000")), None);
        assert_eq!(retention(&topic("delete", "-1")), None);
        assert_eq!(retention(&Topic::default()), None);
    }

    #[test]
    fn places_of_one_partition_are_looked_at_one_after_the_other() {
        let place = |group, partition, at| Place {
            group,
            offset: 0,
            topic: "t".to_owned(),
            partition,
            at,
            retention_ms: 1,
        };
        let places = vec![place(0, 0, 5), place(1, 0, 5), place(2, 0, 6), place(3, 1, 9)];
        let (rounds, left) = rounds(places);
        assert!(left.is_empty());
        let groups: Vec<Vec<usize>> =
            rounds.iter().map(|round| round.iter().map(|place| place.group).collect()).collect();
        assert_eq!(groups, [vec![0, 1, 3], vec![2]]);
    }
}
