//! Topic names and the in-sync floor.

use std::fmt;

/// Longest topic name that Kafka accepts: it becomes part of a folder name.
pub const MAX_TOPIC_NAME: usize = 249;

/// Why a topic name is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicNameError {
    /// No characters.
    Empty,
    /// `.` or `..`.
    Dots,
    /// Longer than [`MAX_TOPIC_NAME`].
    TooLong {
        /// Length in characters.
        length: usize,
    },
    /// Only ASCII letters, digits, `.`, `_` and `-` are allowed.
    Character {
        /// The first one that is not allowed.
        found: char,
    },
}

impl fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicNameError::Empty => f.write_str("a topic name cannot be empty"),
            TopicNameError::Dots => f.write_str("a topic cannot be named \".\" or \"..\""),
            TopicNameError::TooLong { length } => {
                write!(f, "a topic name has at most {MAX_TOPIC_NAME} characters, this one has {length}")
            }
            TopicNameError::Character { found } => {
                write!(f, "a topic name is made of ASCII letters, digits, '.', '_' and '-', not {found:?}")
            }
        }
    }
}

impl std::error::Error for TopicNameError {}

/// Checks `name` by the rule of `org.apache.kafka.common.internals.Topic`.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameError::Dots);
    }
    if let Some(found) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        return Err(TopicNameError::Character { found });
    }
    if name.len() > MAX_TOPIC_NAME {
        return Err(TopicNameError::TooLong { length: name.len() });
    }
    Ok(())
}

/// The name of a topic in Kafka's metrics: two names that collide have the same.
pub fn metric_name(topic: &str) -> String {
    topic.replace('.', "_")
}

/// Do two different names collide? Kafka's metric names turn `.` into `_`, so it refuses the second of
/// `orders.events` and `orders_events`.
pub fn topic_names_collide(one: &str, other: &str) -> bool {
    metric_name(one) == metric_name(other)
}

/// The floor that the broker enforces: `min(min.insync.replicas, replication factor)` (KAFKA-15583).
///
/// One copy with a floor of two therefore accepts `acks=all` as if all was well.
pub fn in_sync_floor(min_insync_replicas: u32, replication_factor: u32) -> u32 {
    min_insync_replicas.min(replication_factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rule() {
        for good in ["orders.events", "a", "A-1_b.c", "...", &"x".repeat(249)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_topic_name(""), Err(TopicNameError::Empty));
        assert_eq!(check_topic_name(".."), Err(TopicNameError::Dots));
        assert_eq!(check_topic_name("a b"), Err(TopicNameError::Character { found: ' ' }));
        assert_eq!(check_topic_name("größe"), Err(TopicNameError::Character { found: 'ö' }));
        assert_eq!(check_topic_name(&"x".repeat(250)), Err(TopicNameError::TooLong { length: 250 }));
    }

    #[test]
    fn dot_and_underscore_collide() {
        assert!(topic_names_collide("orders.events", "orders_events"));
        assert_eq!(metric_name("orders.events"), metric_name("orders_events"));
        assert!(!topic_names_collide("orders.events", "orders-events"));
        assert!(!topic_names_collide("orders.events", "orders.event"));
    }

    #[test]
    fn the_floor_is_never_above_the_copies() {
        assert_eq!(in_sync_floor(2, 3), 2);
        assert_eq!(in_sync_floor(2, 1), 1);
    }
}
