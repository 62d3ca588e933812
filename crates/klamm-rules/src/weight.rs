//! How strongly the data of each topic must be kept: from the spec, or inferred and said so.

use std::collections::BTreeMap;

use klamm_contract::Consistency;

use crate::Seen;
use crate::evidence::Evidence;
use crate::finding::Weight;

/// Weights of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    topics: BTreeMap<String, Weight>,
}

/// Words in a topic's name that say that its records can be had again, or are only looked at.
const EVENTUAL_WORDS: &[&str] = &[
    "log",
    "logs",
    "metric",
    "metrics",
    "trace",
    "traces",
    "telemetry",
    "clickstream",
    "clicks",
    "debug",
    "tmp",
    "temp",
    "test",
    "heartbeat",
    "heartbeats",
];
/// Words that say that they are money or law.
const STRONG_WORDS: &[&str] = &[
    "payment",
    "payments",
    "order",
    "orders",
    "invoice",
    "invoices",
    "billing",
    "ledger",
    "account",
    "accounts",
    "audit",
    "transaction",
    "transactions",
    "trade",
    "trades",
    "transfer",
    "transfers",
];

impl Weights {
    /// Of everything that was seen.
    pub fn of_evidence(evidence: &Evidence) -> Self {
        let mut topics = BTreeMap::new();
        let live = evidence.live.topics.value().into_iter().flatten();
        for (name, topic) in live {
            topics.insert(
                name.clone(),
                inferred(name, topic.internal, compacted(topic), transactional(evidence, name)),
            );
        }
        if let Seen::Full(spec) | Seen::Partial { value: spec, .. } = &evidence.spec {
            for (name, promise) in &spec.topics {
                let strong = promise.consistency == Consistency::Strong;
                topics.insert(name.clone(), Weight { strong, inferred: None });
            }
        }
        Weights { topics }
    }

    /// A topic's weight; of one that was not seen by its name.
    pub fn of(&self, topic: &str) -> Weight {
        self.topics
            .get(topic)
            .cloned()
            .unwrap_or_else(|| inferred(topic, topic.starts_with("__"), false, false))
    }

    /// The weight of the strongest of these topics; without any that of unknown data.
    pub fn of_all(&self, topics: &[String]) -> Weight {
        let mut weights = topics.iter().map(|topic| self.of(topic));
        let first = weights.next();
        let unknown =
            || Weight { strong: false, inferred: Some("which topics it is about is not known".to_owned()) };
        let first = first.unwrap_or_else(unknown);
        weights.fold(first, |best, next| if next.strong && !best.strong { next } else { best })
    }
}

fn inferred(name: &str, internal: bool, compacted: bool, transactional: bool) -> Weight {
    let words: Vec<String> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase).collect();
    let word = |list: &[&str]| words.iter().find(|word| list.contains(&word.as_str())).cloned();
    let (strong, why) = if internal {
        (true, "Kafka keeps its own state in it".to_owned())
    } else if transactional {
        (true, "it is written in transactions".to_owned())
    } else if let Some(word) = word(EVENTUAL_WORDS) {
        (false, format!("its name has {word:?}"))
    } else if let Some(word) = word(STRONG_WORDS) {
        (true, format!("its name has {word:?}"))
    } else if compacted {
        (true, "it is compacted: its newest records are state".to_owned())
    } else {
        (false, "nothing says that its records may not be lost".to_owned())
    };
    Weight { strong, inferred: Some(why) }
}

fn compacted(topic: &crate::evidence::Topic) -> bool {
    let policy = topic.configs.value().and_then(|configs| configs.get("cleanup.policy"));
    policy.and_then(|fact| fact.value.as_deref()).is_some_and(|policy| policy.contains("compact"))
}

fn transactional(evidence: &Evidence, topic: &str) -> bool {
    let samples = evidence.data.value().into_iter().flatten();
    let sampled = samples.filter(|sample| sample.topic == topic).any(|sample| sample.transactional > 0);
    let open = evidence.live.transactions.value().into_iter().flatten();
    sampled || open.flat_map(|transaction| &transaction.partitions).any(|(name, _)| name == topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inferred_says_so() {
        let weights = Weights::of_evidence(&Evidence::default());
        for (topic, strong) in [
            ("shop.orders", true),
            ("app-logs", false),
            ("__consumer_offsets", true),
            ("orders.debug", false),
            ("x", false),
        ] {
            let weight = weights.of(topic);
            assert_eq!(weight.strong, strong, "{topic}");
            assert!(weight.inferred.is_some(), "{topic}");
        }
    }

    #[test]
    fn the_strongest_topic_decides() {
        let weights = Weights::of_evidence(&Evidence::default());
        let all =
            |topics: &[&str]| weights.of_all(&topics.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert!(all(&["app-logs", "payments"]).strong);
        assert!(!all(&[]).strong);
    }
}
