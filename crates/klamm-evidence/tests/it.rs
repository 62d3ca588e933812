//! Collectors against folders, the embedded broker and real Kafka.

mod it {
    pub(super) mod certificates;
    pub(super) mod data;
    mod dying;
    mod files;
    mod gaps;
    pub(super) mod group;
    pub(super) mod host;
    pub(super) mod live;
    mod rights;
}

use it::data::{
    a_sample_ends_at_its_bounds, a_sample_leaves_offsets_and_groups_alone,
    batches_tell_codecs_times_and_schemas, events_with_a_missing_version_are_found,
    fetches_from_a_broker_are_paced, large_records_of_one_topic_take_nothing_from_another,
    mixed_partitioners_are_found, skewed_and_hot_keys_are_found,
};
use it::group::{groups_show_what_they_committed_and_what_is_left, members_show_what_they_were_given};
use it::live::{
    each_part_is_whole_or_says_why_not, requests_keep_to_the_pace,
    the_newest_record_of_each_wanted_topic_is_dated,
};
use klamm_testkit::{Cluster, eventually, scenarios, unique};

scenarios!(
    each_part_is_whole_or_says_why_not,
    requests_keep_to_the_pace,
    the_newest_record_of_each_wanted_topic_is_dated,
    groups_show_what_they_committed_and_what_is_left,
    members_show_what_they_were_given,
    skewed_and_hot_keys_are_found,
    mixed_partitioners_are_found,
    events_with_a_missing_version_are_found,
    batches_tell_codecs_times_and_schemas,
    a_sample_leaves_offsets_and_groups_alone,
    a_sample_ends_at_its_bounds,
    large_records_of_one_topic_take_nothing_from_another,
    fetches_from_a_broker_are_paced,
);
