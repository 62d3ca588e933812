//! What a topic goes on through, by trying every loss on where its copies are.

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::{Durability, Survive, Unit, worst_loss};
use klamm_kafka::{Version, in_sync_floor};
use serde::{Deserialize, Serialize};

use crate::copies::MAX_COPIES;
use crate::text;

/// What is left of a topic when so many brokers or racks are lost at once: the worst choice of them decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survival {
    /// What is lost.
    pub unit: Unit,
    /// How many at once.
    pub count: u32,
    /// Every partition has a copy that can be read.
    pub reads: bool,
    /// Every partition takes writes with `acks=all`.
    pub writes: bool,
    /// Every acknowledged record is on a copy that is left.
    pub records: bool,
    /// The worst choice: what is lost, and the partition that it hits.
    pub witness: String,
}

/// Where the copies of a topic are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Node ids of each partition's copies.
    pub partitions: Vec<Vec<i32>>,
    /// Racks of the brokers that say theirs.
    pub racks: BTreeMap<i32, String>,
}

impl Placement {
    /// A placement as Kafka makes it for a new topic: copies next to each other in a list of brokers that takes racks in
    /// turn, leaders round robin.
    pub fn fresh(brokers: u32, racks: &[String], partitions: u32, copies: u32) -> Placement {
        let ids: Vec<i32> = (1..=brokers.max(1) as i32).collect();
        let rack = |id: i32| racks.get((id as usize - 1) % racks.len().max(1)).cloned();
        let racks = ids.iter().filter_map(|id| Some((*id, rack(*id)?))).collect();
        let partitions = (0..partitions as usize).map(|partition| {
            (0..(copies as usize).min(ids.len())).map(|copy| ids[(partition + copy) % ids.len()]).collect()
        });
        Placement { partitions: partitions.collect(), racks }
    }
}

/// Each loss, from one broker up to the first that stops everything; then the same for racks.
///
/// Partitions fail independently of each other, so the worst set of brokers for a topic is the worst one for one of its
/// partitions: trying the distinct replica sets covers every set of brokers (a test tries those, too, and agrees).
pub fn survivals(placement: &Placement, floor: u32) -> Vec<Survival> {
    let distinct: BTreeSet<(usize, &Vec<i32>)> = {
        let mut seen: BTreeMap<&Vec<i32>, usize> = BTreeMap::new();
        for (index, replicas) in placement.partitions.iter().enumerate() {
            seen.entry(replicas).or_insert(index);
        }
        seen.into_iter().map(|(replicas, index)| (index, replicas)).collect()
    };
    let racks: BTreeSet<&String> = placement.racks.values().collect();
    let most = placement.partitions.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let units = [(Unit::Broker, most), (Unit::Rack, racks.len() as u32)];
    let mut table = Vec::new();
    for (unit, most) in units.into_iter().filter(|(unit, _)| *unit == Unit::Broker || racks.len() > 1) {
        for count in 1..=most {
            let row = survival(&distinct, placement, floor, unit, count);
            let dead = !row.reads && !row.writes && !row.records;
            table.push(row);
            if dead {
                break;
            }
        }
    }
    table
}

fn survival(
    distinct: &BTreeSet<(usize, &Vec<i32>)>,
    placement: &Placement,
    floor: u32,
    unit: Unit,
    count: u32,
) -> Survival {
    let mut row = Survival { unit, count, reads: true, writes: true, records: true, witness: String::new() };
    let mut worst = u32::MAX;
    for (index, replicas) in distinct {
        let loss = worst_loss(replicas, &placement.racks, unit, count);
        // Kafka lowers the floor to the number of copies (KAFKA-15583).
        let floor = in_sync_floor(floor, replicas.len() as u32);
        row.reads &= loss.copies_left > 0;
        row.writes &= loss.keeps_writes(floor);
        row.records &= loss.keeps_records(floor);
        if loss.copies_left < worst {
            worst = loss.copies_left;
            let names = loss.lost.join(" and ");
            let unit = if unit == Unit::Rack { "rack" } else { "broker" };
            row.witness = format!("without {unit} {names} partition {index} has {}", text::copies(worst));
        }
    }
    row
}

/// Does the placement go on through what is asked?
pub fn holds(table: &[Survival], durability: Durability) -> bool {
    let Survive { brokers, racks } = durability.survive;
    let strong = durability.consistency == klamm_contract::Consistency::Strong;
    let fine = |row: &Survival| row.reads && row.writes && (row.records || !strong);
    let asked = |row: &&Survival| match row.unit {
        Unit::Broker => row.count <= brokers,
        Unit::Rack => row.count <= racks,
    };
    let reaches =
        |unit: Unit, count: u32| count == 0 || table.iter().any(|row| row.unit == unit && row.count == count);
    table.iter().filter(asked).all(fine) && reaches(Unit::Broker, brokers) && reaches(Unit::Rack, racks)
}

/// The least that makes a fresh placement hold: another floor before more copies, more copies before more brokers.
pub fn smallest_change(
    room: (u32, &[String]),
    copies: u32,
    floor: u32,
    durability: Durability,
) -> Option<(u32, u32)> {
    let (brokers, racks) = room;
    let mut options: Vec<(u32, u32)> = (1..=brokers.min(MAX_COPIES))
        .flat_map(|copies| (1..=copies).map(move |floor| (copies, floor)))
        .collect();
    options.sort_by_key(|(c, f)| (c.abs_diff(copies), f.abs_diff(floor)));
    options.into_iter().find(|(copies, floor)| {
        let placement = Placement::fresh(brokers, racks, brokers, *copies);
        holds(&survivals(&placement, *floor), durability)
    })
}

/// What happens after the in-sync copies went one after another, and which may lead again.
pub fn after_all_are_down(version: Version, copies: u32, floor: u32) -> String {
    let floor = in_sync_floor(floor, copies);
    if copies < 2 {
        return "the only copy has to come back".to_owned();
    }
    if floor == 1 {
        return format!(
            "Kafka {version}: the last copy in sync has to come back, with a floor of 1 the others may lack records"
        );
    }
    if version.has_elr() {
        return format!(
            "Kafka {version}: any eligible leader replica may lead (KIP-966): the last {} in sync hold every acknowledged \
             record, so {} of them may be gone for good",
            text::copies(floor),
            floor - 1
        );
    }
    let remark = if version >= Version::new(4, 0) {
        "eligible leader replicas are there but off"
    } else {
        "no eligible leader replicas"
    };
    format!(
        "Kafka {version}: only the last in-sync copy may lead ({remark}, KIP-966): if its disk is gone, acknowledged \
         records may be, and somebody has to elect an unclean leader"
    )
}

#[cfg(test)]
mod tests {
    use klamm_contract::Consistency;
    use proptest::prelude::*;

    use super::*;

    fn racks(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn row(table: &[Survival], unit: Unit, count: u32) -> (bool, bool, bool) {
        let row = table.iter().find(|row| row.unit == unit && row.count == count).expect("in the table");
        (row.reads, row.writes, row.records)
    }

    #[test]
    fn three_copies_with_a_floor_of_two_lose_writes_and_records_with_the_second_broker() {
        let table = survivals(&Placement::fresh(5, &racks(&["a", "b", "c"]), 12, 3), 2);
        assert_eq!(row(&table, Unit::Broker, 1), (true, true, true));
        assert_eq!(row(&table, Unit::Broker, 2), (true, false, false));
        assert_eq!(row(&table, Unit::Broker, 3), (false, false, false));
        assert!(table[1].witness.contains("partition 0 has 1 copy"), "{}", table[1].witness);
    }

    #[test]
    fn the_smallest_change_keeps_what_can_stay() {
        let asked = |brokers, racks| Durability {
            consistency: Consistency::Strong,
            survive: Survive { brokers, racks },
        };
        assert_eq!(smallest_change((3, &[]), 3, 3, asked(1, 0)), Some((3, 2)));
        assert_eq!(smallest_change((5, &[]), 3, 2, asked(2, 0)), Some((5, 3)));
        assert_eq!(smallest_change((2, &[]), 2, 1, asked(1, 0)), None);
        assert_eq!(smallest_change((6, &racks(&["a", "b"])), 3, 2, asked(1, 1)), None);
    }

    #[test]
    fn eligible_leader_replicas_make_the_difference_after_a_whole_outage() {
        assert!(after_all_are_down(Version::new(3, 9), 3, 2).contains("only the last in-sync copy"));
        assert!(after_all_are_down(Version::new(4, 0), 3, 2).contains("there but off"));
        assert!(after_all_are_down(Version::new(4, 1), 3, 2).contains("1 of them may be gone"));
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_trying_every_set_of_brokers(
            brokers in 1..7_u32, rack_count in 0..4_usize, partitions in 1..8_u32, copies in 1..5_u32, floor in 1..5_u32,
        ) {
            let names: Vec<String> = (0..rack_count).map(|rack| format!("r{rack}")).collect();
            let placement = Placement::fresh(brokers, &names, partitions, copies);
            for row in survivals(&placement, floor).iter().filter(|row| row.unit == Unit::Broker) {
                let mut seen = (true, true, true);
                for set in (0_u32..1 << brokers).filter(|set| set.count_ones() == row.count) {
                    for replicas in &placement.partitions {
                        let left = replicas.iter().filter(|id| set & (1 << (**id - 1)) == 0).count() as u32;
                        let floor = floor.min(replicas.len() as u32);
                        seen.0 &= left > 0;
                        seen.1 &= left >= floor;
                        seen.2 &= replicas.len() as u32 - left < floor;
                    }
                }
                prop_assert_eq!((row.reads, row.writes, row.records), seen);
            }
        }
    }
}
