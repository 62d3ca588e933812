//! What stands more than once in a request: Kafka refuses it, each time with the same words.

use std::collections::HashSet;
use std::hash::Hash;

/// The keys that come more than once.
pub(crate) fn repeated<K: Eq + Hash + Clone>(keys: impl IntoIterator<Item = K>) -> HashSet<K> {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    for key in keys {
        if !seen.insert(key.clone()) {
            repeated.insert(key);
        }
    }
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_once_is_not_repeated() {
        assert_eq!(repeated(["a", "b", "a", "c", "a", "b"]), HashSet::from(["a", "b"]));
        assert!(repeated(["a", "b"]).is_empty());
    }
}
