//! Consumer groups, over a window of time: looked at as it begins, once or twice between, and as it ends. No group is
//! joined and nothing is committed.
//!
//! A group is asked of the broker that lists it, which is its coordinator: finding coordinators would create Kafka's own
//! topic where it does not exist. What is sent to each of B brokers, for G groups that are spread evenly:
//!
//! | Request | At each look | First and last look |
//! | --- | --- | --- |
//! | ListGroups | 1 | |
//! | Describe, of groups with members, 50 in each | G / B / 50 for each protocol | |
//! | OffsetFetch, 50 groups in each, 5,000 groups at most | | G / B / 50 |
//! | ListOffsets: last stable offset; at the end the start, too; 5,000 partitions in each | | 3 in all |
//! | DescribeConfigs, of groups of the consumer, share and streams protocols, 100 in each | | G / B / 100 at the end |
//! | Fetch of `__consumer_offsets`, for groups that are idle | | 32 MiB in all, 1 MiB in each |
//! | Fetch of the batch at committed offsets, 32 partitions in each | | 256 partitions in all |
//! | Metadata of topics that are not known; rights on a group that does not exist | | 3 to one of them |

mod commits;
mod configs;
mod expiry;
mod look;
mod offsets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klamm_admin::{Admin, GroupProtocol};
use klamm_rules::Seen;
use klamm_rules::evidence::{AssignedPartitions, Group, GroupKind, Live, Member, StateSample};
use tokio::time::{Instant, sleep_until};

use crate::live::{DESCRIBE_CLUSTER, Missing, PROBE, lacking, why};
use look::{Known, Look};
use offsets::OffsetLook;

/// The longest time for one call, its retries together.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Looks at all groups for the length of `window`; once when it is zero. `live` gives topics and settings that were seen.
pub async fn collect(admin: &Admin, live: &Live, window: Duration) -> Seen<Vec<Group>> {
    let admin = &admin.with_api_timeout(CALL_TIMEOUT.min(admin.options().api_timeout));
    let started = Instant::now();
    let (first, may_see_all) = tokio::join!(Look::take(admin, started), may_see_all(admin));
    if let Some(nothing) = first.nothing() {
        return nothing;
    }
    let mut looks = vec![first];
    let wanted = if window.is_zero() { offsets::Wanted::EndsAndStarts } else { offsets::Wanted::Ends };
    let offsets_first = OffsetLook::take(admin, live, &looks[0], wanted).await;
    for at in between(window) {
        sleep_until(started + at).await;
        looks.push(Look::take(admin, started).await);
    }
    let offsets_last = match window.is_zero() {
        true => None,
        false => {
            sleep_until(started + window).await;
            let last = Look::take(admin, started).await;
            let offsets = OffsetLook::take(admin, live, &last, offsets::Wanted::EndsAndStarts).await;
            looks.push(last);
            Some(offsets)
        }
    };
    let hidden = match &may_see_all {
        Ok(true) => None,
        Ok(false) => Some(lacking(DESCRIBE_CLUSTER)),
        Err(error) => Some(why(error)),
    };
    let mut groups = join(&looks, live);
    offsets::put(&mut groups, &offsets_first, offsets_last.as_ref());
    if live.topics.gap().is_some() {
        for group in groups.iter_mut().filter(|group| group.kind != GroupKind::Other) {
            group.missing.push("offsets in topics that are hidden from this user are not shown".to_owned());
        }
    }
    configs::put(admin, &mut groups).await;
    commits::put(admin, live, &mut groups).await;
    expiry::put(admin, live, &mut groups).await;
    whole(groups, &looks, hidden)
}

/// DESCRIBE on the cluster shows all groups; DESCRIBE on every group does as well.
async fn may_see_all(admin: &Admin) -> Result<bool, klamm_admin::AdminError> {
    let (cluster, group) = tokio::join!(admin.cluster_rights(), admin.may_describe_group(PROBE));
    let cluster = cluster?.is_some_and(|rights| rights.allows(klamm_admin::Operation::Describe));
    Ok(cluster || group?)
}

/// When a group is looked at between the first and the last look: twice in a window that is long enough.
fn between(window: Duration) -> Vec<Duration> {
    match window.as_millis() {
        0..1_000 => Vec::new(),
        1_000..3_000 => vec![window / 2],
        _ => vec![window / 3, window / 3 * 2],
    }
}

fn whole(groups: Vec<Group>, looks: &[Look], hidden: Option<String>) -> Seen<Vec<Group>> {
    let mut missing = Missing::default();
    for line in looks.iter().flat_map(|look| &look.missing) {
        missing.note("groups", line.clone());
    }
    match hidden {
        None => {}
        Some(_) if groups.is_empty() && looks.iter().all(|look| look.missing.is_empty()) => {
            return Seen::Denied { permission: DESCRIBE_CLUSTER.to_owned() };
        }
        Some(why) => missing.note("groups that are hidden from this user", why),
    }
    Seen::from_parts(groups, missing.lines())
}

/// Groups as the last look has them, with their states at each. When the last look is not whole, those that earlier looks
/// had are kept.
fn join(looks: &[Look], live: &Live) -> Vec<Group> {
    let Some(last) = looks.last() else { return Vec::new() };
    let mut names: BTreeSet<&String> = last.groups.keys().collect();
    if !last.missing.is_empty() {
        names.extend(looks.iter().flat_map(|look| look.groups.keys()));
    }
    let partitions = partition_counts(live);
    names.into_iter().filter_map(|name| group(name, looks, &partitions)).collect()
}

fn group(name: &str, looks: &[Look], partitions: &BTreeMap<&str, i32>) -> Option<Group> {
    let known: Vec<(i64, &Known)> =
        looks.iter().filter_map(|look| Some((look.at_ms, look.groups.get(name)?))).collect();
    let (_, newest) = known.last()?;
    let mut group = Group {
        name: name.to_owned(),
        kind: kind(newest.protocol, &newest.protocol_type),
        protocol_type: newest.protocol_type.clone(),
        ..Group::default()
    };
    for (at_ms, known) in &known {
        match &known.described {
            Ok(described) => {
                let mut members: Vec<String> =
                    described.members.iter().map(|member| member.member_id.clone()).collect();
                members.sort_unstable();
                let (at_ms, state) = (*at_ms, described.state.clone());
                group.states.push(StateSample { at_ms, state, members, epoch: described.epoch });
                group.assignor.clone_from(&described.assignor);
                group.members = described.members.iter().map(|told| member(told, partitions)).collect();
            }
            Err(why) => {
                let line = format!("state and members: {why}");
                if !group.missing.contains(&line) {
                    group.missing.push(line);
                }
            }
        }
    }
    Some(group)
}

fn kind(protocol: GroupProtocol, protocol_type: &str) -> GroupKind {
    match protocol {
        // A group that only commits has no protocol.
        GroupProtocol::Classic if matches!(protocol_type, "consumer" | "") => GroupKind::Classic,
        GroupProtocol::Classic => GroupKind::Other,
        GroupProtocol::Consumer => GroupKind::Consumer,
        GroupProtocol::Share => GroupKind::Share,
        GroupProtocol::Streams => GroupKind::Streams,
    }
}

fn member(told: &klamm_admin::GroupMember, counts: &BTreeMap<&str, i32>) -> Member {
    let exists = |topic: &str, partition: i32| counts.get(topic).is_none_or(|count| partition < *count);
    let assigned = told.assigned.as_ref().map(|assigned| {
        let of_topic = |(topic, partitions): &(String, Vec<i32>)| AssignedPartitions {
            topic: topic.clone(),
            // A task of Streams has the same partition of every topic that it reads, where there is one.
            partitions: partitions.iter().copied().filter(|partition| exists(topic, *partition)).collect(),
        };
        assigned.iter().map(of_topic).collect()
    });
    Member {
        id: told.member_id.clone(),
        instance_id: told.instance_id.clone(),
        client_id: told.client_id.clone(),
        host: told.host.clone(),
        assigned,
        subscribed: told.subscribed.clone(),
    }
}

fn partition_counts(live: &Live) -> BTreeMap<&str, i32> {
    let topics = live.topics.value().into_iter().flatten();
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    topics.map(|(name, topic)| (name.as_str(), count(topic.partitions.len()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_looks_between_when_it_is_long_enough() {
        let seconds = Duration::from_secs;
        assert!(between(Duration::ZERO).is_empty());
        assert_eq!(between(seconds(2)), [seconds(1)]);
        assert_eq!(between(seconds(30)), [seconds(10), seconds(20)]);
    }

    #[test]
    fn what_is_no_consumer_is_another_kind() {
        assert_eq!(kind(GroupProtocol::Classic, ""), GroupKind::Classic);
        assert_eq!(kind(GroupProtocol::Classic, "connect"), GroupKind::Other);
        assert_eq!(kind(GroupProtocol::Share, "share"), GroupKind::Share);
    }
}
