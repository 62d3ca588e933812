//! Partitions near their readers (KIP-881).

use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether it makes a difference who reads: some partitions are in the rack of a reader, and not all partitions in the same racks.
pub(super) fn matter<'a>(
    readers: &BTreeSet<&str>,
    partitions: impl Iterator<Item = &'a Vec<Arc<str>>> + Clone,
) -> bool {
    let all = set(partitions.clone().flatten());
    !readers.is_disjoint(&all) && !partitions.clone().all(|racks| set(racks.iter()) == all)
}

pub(super) fn contain(racks: &[Arc<str>], rack: &str) -> bool {
    racks.iter().any(|known| known.as_ref() == rack)
}

pub(super) fn set<'a>(racks: impl Iterator<Item = &'a Arc<str>>) -> BTreeSet<&'a str> {
    racks.map(AsRef::as_ref).collect()
}
