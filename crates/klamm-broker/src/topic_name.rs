//! What cannot be a topic's name, refused in the words of `org.apache.kafka.common.internals.Topic`: tools print them.

use klamm_kafka::{ErrorCode, MAX_TOPIC_NAME, TopicNameError, check_topic_name};

use crate::error::Refusal;

/// Refuses a name with `INVALID_TOPIC_EXCEPTION`.
pub fn check(name: &str) -> Result<(), Refusal> {
    let why = match check_topic_name(name) {
        Ok(()) => return Ok(()),
        Err(TopicNameError::Empty) => "the empty string is not allowed".to_owned(),
        Err(TopicNameError::Dots) => format!("'{name}' is not allowed"),
        // Kafka looks at the length first.
        Err(_) if name.chars().count() > MAX_TOPIC_NAME => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME}")
        }
        Err(_) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
    };
    Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, format!("Topic name is invalid: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_refused_in_kafkas_words() {
        let told = |name: &str| check(name).err().map(|refusal| refusal.message);
        assert_eq!(told("orders"), None);
        assert_eq!(told("").as_deref(), Some("Topic name is invalid: the empty string is not allowed"));
        assert_eq!(told("..").as_deref(), Some("Topic name is invalid: '..' is not allowed"));
        let long = "é".repeat(250);
        let length = format!(
            "Topic name is invalid: the length of '{long}' is longer than the max allowed length 249"
        );
        assert_eq!(told(&long), Some(length));
        let slash = "Topic name is invalid: 'a/b' contains one or more characters other than ASCII \
                     alphanumerics, '.', '_' and '-'";
        assert_eq!(told("a/b").as_deref(), Some(slash));
    }
}
