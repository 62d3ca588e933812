//! What the loss of brokers or racks takes from one partition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is lost as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Single brokers.
    Broker,
    /// All brokers of a rack.
    Rack,
}

/// The loss that takes the most copies of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Names of what is lost: node ids or racks.
    pub lost: Vec<String>,
    /// Copies that go with it.
    pub copies_lost: u32,
    /// Copies that are left.
    pub copies_left: u32,
}

impl Loss {
    /// Writes go on: the copies that are left reach the floor.
    pub fn keeps_writes(&self, floor: u32) -> bool {
        self.copies_left >= floor.max(1)
    }

    /// No acknowledged record is lost. A record is acknowledged once `floor` copies have it, in the worst case no more
    /// than that; if that many can be lost, so can the record.
    pub fn keeps_records(&self, floor: u32) -> bool {
        self.copies_lost < floor
    }
}

/// The worst loss of any `count` brokers or racks for a partition with copies on `replicas`.
///
/// Partitions are hit independently, so the worst set for each is the one with the most of its copies: no need to try
/// all sets of the cluster (a test tries them and agrees). A broker whose rack is not known counts as a rack of its own.
pub fn worst_loss(replicas: &[i32], racks: &BTreeMap<i32, String>, unit: Unit, count: u32) -> Loss {
    let mut copies: BTreeMap<String, u32> = BTreeMap::new();
    for id in replicas {
        let home = match unit {
            Unit::Broker => id.to_string(),
            Unit::Rack => racks.get(id).cloned().unwrap_or_else(|| format!("broker {id}")),
        };
        *copies.entry(home).or_default() += 1;
    }
    let mut homes: Vec<(String, u32)> = copies.into_iter().collect();
    homes.sort_by_key(|(_, copies)| std::cmp::Reverse(*copies));
    homes.truncate(count as usize);
    let copies_lost = homes.iter().map(|(_, copies)| copies).sum();
    Loss {
        lost: homes.into_iter().map(|(home, _)| home).collect(),
        copies_lost,
        copies_left: (replicas.len() as u32).saturating_sub(copies_lost),
    }
}
