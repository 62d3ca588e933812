//! The same questions to the embedded broker and to Apache Kafka: the answers are the same.
//!
//! Each conversation is generated from a seed that is printed (`KLAMM_SEED=1,2,3` gives several), and sent to both, one request after another. What differs by nature (producer ids,
//! time stamps, message texts) is left out or numbered by its first appearance; every other difference is a failure, unless it stands in
//! [`differences`] with its reason.

mod answers;
mod consumer_groups;
mod conversation;
mod differences;
mod offsets;
mod side;
mod topics;
mod transactions;
mod wire;

mod on_real_kafka {
    use klamm_testkit::anyhow::Result;

    use crate::conversation::both;
    use crate::{consumer_groups, offsets, topics, transactions};

    #[test]
    fn transactions_and_fencing_are_answered_as_by_kafka() -> Result<()> {
        both(transactions::Conversation::new, 60, 40)
    }

    #[test]
    fn topics_settings_and_records_are_answered_as_by_kafka() -> Result<()> {
        both(topics::Conversation::new, 20, 40)
    }

    #[test]
    fn classic_groups_and_their_offsets_are_answered_as_by_kafka() -> Result<()> {
        both(offsets::Conversation::new, 30, 40)
    }

    #[test]
    fn consumer_groups_and_their_offsets_are_answered_as_by_kafka() -> Result<()> {
        both(consumer_groups::Conversation::new, 32, 60)
    }
}
