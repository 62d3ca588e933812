//! How new the newest record of each topic is.

use std::collections::{BTreeMap, BTreeSet};

use klamm_admin::{Admin, Leaders};
use klamm_rules::Seen;
use klamm_rules::evidence::{Live, Topic};

use super::missing::{Missing, lacking, why};

/// Time stamp of the newest record of each of `topics` that this cluster has, by its own name or behind the alias of
/// the cluster that it is copied from (`east.orders`); -1 without records. What is to be compared between two clusters is
/// asked of both at once: so it is no part of [`collect`](super::collect).
///
/// A topic of which not all partitions tell is left out: it would seem older than it is.
pub async fn newest(admin: &Admin, live: &Live, topics: &BTreeSet<String>) -> Seen<BTreeMap<String, i64>> {
    let (known, hidden) = match &live.topics {
        Seen::Full(known) => (known, Vec::new()),
        Seen::Partial { value, missing } => (value, missing.clone()),
        other => return other.clone().map(|_| BTreeMap::new()),
    };
    let leaders: Leaders = known
        .iter()
        .filter(|(name, _)| is_wanted(name, topics))
        .map(|(name, topic)| (name.clone(), leaders(topic)))
        .collect();
    let (mut found, mut missing) = (BTreeMap::new(), Missing::default());
    for (topic, partitions) in admin.newest_times_of(&leaders).await {
        let mut newest = Some(-1);
        for (partition, told) in partitions {
            match told {
                Ok(time) => newest = newest.map(|newest: i64| newest.max(time.unwrap_or(-1))),
                Err(error) => {
                    let denied = error.is_denied();
                    let reason =
                        if denied { lacking(&format!("DESCRIBE on Topic:{topic}")) } else { why(&error) };
                    missing.note(format!("topic {topic} partition {partition}"), reason);
                    newest = None;
                }
            }
        }
        found.extend(newest.map(|newest| (topic, newest)));
    }
    Seen::from_parts(found, [hidden, missing.lines()].concat())
}

fn is_wanted(name: &str, topics: &BTreeSet<String>) -> bool {
    // Both an alias and a name may have dots.
    let behind_alias = name.match_indices('.').any(|(dot, _)| topics.contains(&name[dot + 1..]));
    topics.contains(name) || behind_alias
}

fn leaders(topic: &Topic) -> BTreeMap<i32, Option<i32>> {
    topic.partitions.iter().map(|partition| (partition.index, partition.leader)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_wanted_behind_any_alias() {
        let topics = ["orders".to_owned(), "eu.payments".to_owned()].into();
        for (name, wanted) in [
            ("orders", true),
            ("east.orders", true),
            ("eu.payments", true),
            ("dc.east.eu.payments", true),
            ("payments", false),
            ("orders.dlq", false),
            ("reorders", false),
        ] {
            assert_eq!(is_wanted(name, &topics), wanted, "{name}");
        }
    }
}
