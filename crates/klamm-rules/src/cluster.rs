//! Where copies are, what is left without some of them, and where missing ones would go.

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::facts::PartitionFacts;
use klamm_plan::placement::Move;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::check::{Cx, Out};
use crate::evidence::{Broker, Topic};
use crate::finding::Fix;
use crate::text::{listed, number};

/// Bytes a second that a printed move may take of each broker.
const THROTTLE: u64 = 50_000_000;

/// Copies of the partition that has least.
pub fn copies(topic: &Topic) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
}

/// In-sync copies that a write needs: no more than there are copies (KAFKA-15583).
pub fn floor_of(partition: &PartitionFacts, min_isr: i64) -> usize {
    usize::try_from(min_isr).unwrap_or(1).clamp(1, partition.replicas.len().max(1))
}

/// `min.insync.replicas` of a topic; writes down when it was not told.
pub fn min_isr(out: &mut Out, name: &str, topic: &Topic) -> Option<i64> {
    let configs = out.see(&format!("configuration of topic {name}"), &topic.configs)?;
    let floor = number(configs, "min.insync.replicas");
    if floor.is_none() {
        out.unclear(&format!("topic {name}"), "min.insync.replicas was not told");
    }
    floor
}

/// Rack of each broker that has one.
pub fn racks(brokers: &[Broker]) -> BTreeMap<i32, String> {
    brokers.iter().filter_map(|broker| Some((broker.id, broker.rack.clone()?))).collect()
}

/// `1 topic (a)`, `14 topics (a, b and 12 more)`.
pub fn topics_text(names: &[&str]) -> String {
    let noun = if names.len() == 1 { "topic" } else { "topics" };
    format!("{} {noun} ({})", names.len(), listed(names, 2))
}

/// `1 partition`, `3 partitions`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Finds brokers for copies: in racks that have none yet, and there the one that holds least.
#[derive(Debug)]
pub struct Placer {
    held: BTreeMap<i32, usize>,
    racks: BTreeMap<i32, String>,
}

impl Placer {
    /// Over live brokers, with what they hold.
    pub fn new(brokers: &[Broker], topics: &BTreeMap<String, Topic>) -> Self {
        let mut held: BTreeMap<i32, usize> = brokers.iter().map(|broker| (broker.id, 0)).collect();
        for id in topics.values().flat_map(|topic| &topic.partitions).flat_map(|p| &p.replicas) {
            held.entry(*id).and_modify(|copies| *copies += 1);
        }
        Placer { held, racks: racks(brokers) }
    }

    /// Brokers that can hold copies.
    pub fn brokers(&self) -> usize {
        self.held.len()
    }

    /// `replicas` and more, up to `copies` or as many as there are brokers; those that are there stay, in their order.
    pub fn grow(&mut self, replicas: &[i32], copies: usize) -> Vec<i32> {
        let mut to = replicas.to_vec();
        while to.len() < copies {
            let Some(id) = self.best(&to, &to) else { break };
            self.held.entry(id).and_modify(|copies| *copies += 1);
            to.push(id);
        }
        to
    }

    /// `replicas` over as many racks as they can reach; the preferred leader stays.
    pub fn spread(&mut self, replicas: &[i32]) -> Vec<i32> {
        let mut to = replicas.to_vec();
        for index in (1..to.len()).rev() {
            let rest: Vec<i32> = to.iter().copied().filter(|id| *id != to[index]).collect();
            if !rest.iter().any(|id| self.rack(*id) == self.rack(to[index])) {
                continue;
            }
            let Some(id) = self.best(&rest, &to).filter(|id| !self.is_used(&rest, *id)) else { continue };
            self.held.entry(to[index]).and_modify(|copies| *copies = copies.saturating_sub(1));
            self.held.entry(id).and_modify(|copies| *copies += 1);
            to[index] = id;
        }
        to
    }

    fn best(&self, rest: &[i32], taken: &[i32]) -> Option<i32> {
        let free = self.held.iter().filter(|(id, _)| !taken.contains(id));
        free.min_by_key(|(id, copies)| (self.is_used(rest, **id), **copies, **id)).map(|(id, _)| *id)
    }

    fn is_used(&self, rest: &[i32], id: i32) -> bool {
        rest.iter().any(|other| self.rack(*other) == self.rack(id))
    }

    fn rack(&self, id: i32) -> Result<&str, i32> {
        self.racks.get(&id).map(String::as_str).ok_or(id)
    }
}

/// Different racks of these brokers; one whose rack is not known counts as one.
pub fn racks_of(replicas: &[i32], racks: &BTreeMap<i32, String>) -> usize {
    let home = |id: &i32| racks.get(id).map(String::as_str).ok_or(*id);
    replicas.iter().map(home).collect::<BTreeSet<_>>().len()
}

/// The fix that moves copies of one topic: Kafka's own tool, throttled, and the way back.
pub fn reassign(cx: &Cx<'_>, what: String, topic: &str, moves: Vec<Move>) -> Fix {
    let (forth, back) = (format!("{topic}.move.json"), format!("{topic}.back.json"));
    let side = |to: fn(&Move) -> &Vec<i32>| {
        let parts: Vec<String> = moves
            .iter()
            .map(|step| {
                let ids: Vec<String> = to(step).iter().map(ToString::to_string).collect();
                let ids = ids.join(",");
                format!(r#"{{"topic":"{topic}","partition":{},"replicas":[{ids}]}}"#, step.partition)
            })
            .collect();
        format!(r#"{{"version":1,"partitions":[{}]}}"#, parts.join(","))
    };
    let tool = |file: &str, rest: &str| {
        let server = cx.bootstrap();
        format!(
            "kafka-reassign-partitions.sh --bootstrap-server {server} --reassignment-json-file {file} {rest}"
        )
    };
    let execute = format!("--execute --additional --throttle {THROTTLE}");
    let fix = Fix::new(what, Risk::CopiesData)
        .command(format!("echo '{}' > {forth}", side(|step| &step.to)))
        .command(tool(&forth, &execute))
        .command(tool(&forth, "--verify"))
        .ask("repeat --verify until every move is complete: that takes the throttle away again")
        .undo(format!("echo '{}' > {back}", side(|step| &step.from)))
        .undo(tool(&back, &execute))
        .undo(tool(&back, "--verify"));
    let kind = ChangeKind::Reassign { moves, throttle: THROTTLE };
    fix.change(Change { topic: topic.to_owned(), kind, risk: Risk::CopiesData })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brokers(homes: &[u8]) -> Vec<Broker> {
        let broker = |(id, rack): (usize, &u8)| Broker {
            id: id as i32,
            rack: Some(format!("rack {rack}")),
            ..Broker::default()
        };
        homes.iter().enumerate().map(broker).collect()
    }

    proptest! {
        #[test]
        fn copies_that_are_added_are_on_other_brokers_and_the_old_ones_stay(
            homes in prop::collection::vec(0_u8..4, 1..8),
            first in 0_usize..8,
            copies in 1_usize..6,
        ) {
            let first = (first % homes.len()) as i32;
            let to = Placer::new(&brokers(&homes), &BTreeMap::new()).grow(&[first], copies);
            prop_assert_eq!(to[0], first);
            prop_assert_eq!(to.len(), copies.min(homes.len()));
            prop_assert_eq!(to.iter().collect::<BTreeSet<_>>().len(), to.len());
        }

        #[test]
        fn copies_that_are_spread_reach_every_rack_they_can(
            homes in prop::collection::vec(0_u8..4, 1..8),
            copies in 1_usize..6,
        ) {
            let brokers = brokers(&homes);
            let from: Vec<i32> = (0..copies.min(homes.len()) as i32).collect();
            let to = Placer::new(&brokers, &BTreeMap::new()).spread(&from);
            let reach = homes.iter().collect::<BTreeSet<_>>().len();
            prop_assert_eq!(to[0], from[0]);
            prop_assert_eq!(to.iter().collect::<BTreeSet<_>>().len(), from.len());
            prop_assert_eq!(racks_of(&to, &racks(&brokers)), from.len().min(reach));
        }
    }

    #[test]
    fn a_floor_is_never_above_the_copies_nor_below_one() {
        let partition = PartitionFacts { index: 0, leader: Some(1), replicas: vec![1, 2], isr: vec![1] };
        assert_eq!([3, 2, 1, 0, -1].map(|floor| floor_of(&partition, floor)), [2, 2, 1, 1, 1]);
    }
}
