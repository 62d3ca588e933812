//! Applying and doctoring, over the embedded broker and over real Kafka.

mod it {
    pub(super) mod amending;
    pub(super) mod applying;
    pub(super) mod doctoring;
    pub(super) mod moving;
    pub(super) mod repartitioning;
    pub(super) mod undoing;
}

use it::amending::a_proposed_change_is_made_once_and_taken_back;
use it::applying::{
    a_dry_run_changes_nothing, a_failure_carries_the_receipt_of_what_was_done,
    a_plan_for_another_cluster_is_refused, a_saved_plan_is_for_the_cluster_as_it_was,
    a_second_apply_changes_nothing, a_shorter_retention_is_counted_and_done_only_when_allowed,
    a_topic_with_other_settings_is_left_alone_unless_asked, partitions_are_not_added_to_a_keyed_topic,
    what_cannot_be_changed_in_place_is_a_conflict,
};
use it::doctoring::{a_healthy_cluster_has_nothing_to_mend, each_address_is_tried_by_itself};
use it::repartitioning::{
    copying_that_was_cut_off_anywhere_loses_nothing_and_copies_nothing_twice,
    keys_keep_their_order_and_groups_go_on_where_they_stopped,
    what_would_break_the_order_is_refused_and_a_copy_is_rolled_back,
};
use it::undoing::{
    a_holder_that_was_overtaken_is_fenced_before_its_next_change, a_run_is_taken_back_and_once_only,
    a_topic_with_records_is_taken_back_only_when_that_is_allowed, many_at_once_take_turns,
    the_second_of_two_is_told_who_holds_the_lock, what_was_changed_again_is_not_taken_back,
};
use it::{applying, doctoring};
use klamm_testkit::{Cluster, scenarios, unique};

scenarios!(
    a_second_apply_changes_nothing,
    a_failure_carries_the_receipt_of_what_was_done,
    a_dry_run_changes_nothing,
    a_topic_with_other_settings_is_left_alone_unless_asked,
    what_cannot_be_changed_in_place_is_a_conflict,
    a_plan_for_another_cluster_is_refused,
    partitions_are_not_added_to_a_keyed_topic,
    a_shorter_retention_is_counted_and_done_only_when_allowed,
    a_saved_plan_is_for_the_cluster_as_it_was,
    a_healthy_cluster_has_nothing_to_mend,
    each_address_is_tried_by_itself,
    a_run_is_taken_back_and_once_only,
    a_topic_with_records_is_taken_back_only_when_that_is_allowed,
    what_was_changed_again_is_not_taken_back,
    the_second_of_two_is_told_who_holds_the_lock,
    many_at_once_take_turns,
    a_holder_that_was_overtaken_is_fenced_before_its_next_change,
    a_proposed_change_is_made_once_and_taken_back,
    keys_keep_their_order_and_groups_go_on_where_they_stopped,
    copying_that_was_cut_off_anywhere_loses_nothing_and_copies_nothing_twice,
    what_would_break_the_order_is_refused_and_a_copy_is_rolled_back,
);

#[tokio::test]
async fn nobody_there_is_said_once_and_the_rest_is_not_evaluated() -> anyhow::Result<()> {
    doctoring::nobody_there_is_said_once_and_the_rest_is_not_evaluated().await
}

mod faults {
    mod on_embedded {
        use anyhow::Result;
        use klamm_testkit::{Tier, run};

        use crate::applying::a_weak_cluster_is_refused_before_anything_changes;

        #[test]
        fn a_weak_cluster_is_refused() -> Result<()> {
            run(Tier::Embedded, a_weak_cluster_is_refused_before_anything_changes)
        }
    }
}

mod moves {
    mod on_real_kafka {
        use anyhow::Result;
        use klamm_testkit::{Tier, run};

        use crate::it::moving;

        #[test]
        fn copies_are_added_over_the_racks_and_taken_back() -> Result<()> {
            run(Tier::Real, moving::copies_are_added_over_the_racks_and_taken_back)
        }

        #[test]
        fn a_move_that_is_stopped_leaves_copies_and_throttles_as_they_were() -> Result<()> {
            run(Tier::Real, moving::a_move_that_is_stopped_leaves_copies_and_throttles_as_they_were)
        }

        #[test]
        fn a_move_that_was_cut_off_is_watched_to_its_end_by_the_next_run() -> Result<()> {
            run(Tier::Real, moving::a_move_that_was_cut_off_is_watched_to_its_end_by_the_next_run)
        }
    }
}
