//! The same scenarios over the embedded broker and over real Kafka; faults, outages and security beside them.

mod it {
    pub(super) mod faults;
    pub(super) mod groups;
    pub(super) mod hanging;
    pub(super) mod listeners;
    pub(super) mod outage;
    pub(super) mod pace;
    pub(super) mod scenarios;
    pub(super) mod security;
}

use klamm_testkit::{Cluster, eventually, scenarios, unique};

use it::scenarios::{
    a_group_that_does_not_exist_is_dead_and_has_no_offsets, a_topic_that_does_not_exist_is_an_error_soon,
    facts_name_the_brokers_and_leave_out_what_does_not_exist, one_handle_serves_many_tasks,
    records_come_back_exactly_as_they_were_stored, refusals_name_the_topic_and_carry_kafkas_words,
    topics_are_created_changed_and_deleted,
};

scenarios!(
    topics_are_created_changed_and_deleted,
    facts_name_the_brokers_and_leave_out_what_does_not_exist,
    records_come_back_exactly_as_they_were_stored,
    refusals_name_the_topic_and_carry_kafkas_words,
    a_group_that_does_not_exist_is_dead_and_has_no_offsets,
    one_handle_serves_many_tasks,
    a_topic_that_does_not_exist_is_an_error_soon,
);
