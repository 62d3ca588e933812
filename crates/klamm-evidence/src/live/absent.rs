//! Brokers that are down are in no list of brokers: the copies that they should have still name them.

use std::collections::BTreeSet;

use klamm_rules::Seen;
use klamm_rules::evidence::Live;

/// Marks what would be asked of each broker as partial when one that should have copies is not alive.
pub(super) fn note(live: &mut Live) {
    let Some(brokers) = live.brokers.value() else { return };
    let alive: BTreeSet<i32> = brokers.iter().map(|broker| broker.id).collect();
    let topics = live.topics.value().into_iter().flatten();
    let replicas = topics
        .flat_map(|(_, topic)| &topic.partitions)
        .flat_map(|partition| partition.replicas.iter().copied());
    let absent: BTreeSet<i32> = replicas.filter(|id| !alive.contains(id)).collect();
    let lines: Vec<String> =
        absent.iter().map(|id| format!("broker {id}: it should have copies and is not alive")).collect();
    add(&mut live.brokers, &lines);
    add(&mut live.log_dirs, &lines);
    add(&mut live.features, &lines);
}

fn add<T>(part: &mut Seen<T>, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    *part = match std::mem::take(part) {
        Seen::Full(value) => Seen::Partial { value, missing: lines.to_vec() },
        Seen::Partial { value, missing } => {
            Seen::Partial { value, missing: [missing, lines.to_vec()].concat() }
        }
        other => other,
    };
}

#[cfg(test)]
mod tests {
    use klamm_contract::facts::PartitionFacts;
    use klamm_rules::evidence::{Broker, Topic};

    use super::*;

    fn live(alive: &[i32]) -> Live {
        let partition = PartitionFacts { index: 0, leader: Some(1), replicas: vec![1, 2], isr: vec![1] };
        let topic = Topic { partitions: vec![partition], ..Topic::default() };
        let broker = |id: &i32| Broker { id: *id, ..Broker::default() };
        Live {
            brokers: Seen::Full(alive.iter().map(broker).collect()),
            topics: Seen::Full([("orders".to_owned(), topic)].into()),
            log_dirs: Seen::Full(Vec::new()),
            features: Seen::Denied { permission: "nothing".to_owned() },
            ..Live::default()
        }
    }

    #[test]
    fn a_broker_that_is_down_is_missed_in_what_is_asked_of_each() {
        let mut whole = live(&[1, 2]);
        note(&mut whole);
        assert_eq!(whole, live(&[1, 2]));
        let mut part = live(&[1]);
        note(&mut part);
        for missing in [part.brokers.map(|_| ()), part.log_dirs.map(|_| ())] {
            let Seen::Partial { missing, .. } = missing else { unreachable!("it is partial") };
            assert_eq!(missing, ["broker 2: it should have copies and is not alive"]);
        }
        assert_eq!(part.features, live(&[1]).features, "what was not had at all stays so");
    }
}
