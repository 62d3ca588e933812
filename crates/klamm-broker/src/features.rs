//! The features of the cluster (KIP-584): which levels are known, and which one is in force.
//!
//! `ApiVersions` tells this table and `UpdateFeatures` checks against it. A feature stands here with its level when what it
//! promises is there: clients decide by it.

use std::ops::RangeInclusive;

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feature {
    pub name: &'static str,
    /// Levels that can be in force.
    pub supported: RangeInclusive<i16>,
    /// The level that is in force; 0 is not told.
    pub finalized: i16,
}

/// All of them, by name. A Kafka 4.3.1 node has `metadata.version` 30 and, when it was formatted with `--standalone`,
/// `kraft.version` 1.
pub(crate) const FEATURES: &[Feature] = &[
    Feature { name: "group.version", supported: 0..=1, finalized: 1 },
    Feature { name: "kraft.version", supported: 0..=1, finalized: 1 },
    Feature { name: "metadata.version", supported: 7..=30, finalized: 30 },
    Feature { name: "transaction.version", supported: 0..=2, finalized: 2 },
];

/// The feature of this name.
pub(crate) fn find(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_supported_and_the_names_are_in_order() {
        assert!(FEATURES.iter().all(|feature| feature.supported.contains(&feature.finalized)));
        assert!(FEATURES.is_sorted_by_key(|feature| feature.name));
    }
}
