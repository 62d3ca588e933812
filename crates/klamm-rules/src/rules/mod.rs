//! The catalogue: one file a rule, one line here.
//!
//! A rule's file is named by its code and its name (`kl101_acks_below_all`). Its module comment is its page: what
//! `klamm explain` and the docs print. Its fixtures are `tests/fixtures/kl101_acks_below_all.md`.

use crate::check::{Cx, Out};

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// `kl101_acks_below_all`.
    module: &'static str,
    /// Its source file, whose module comment is its page.
    source: &'static str,
    pub(crate) check: fn(&Cx<'_>, &mut Out),
}

macro_rules! rules {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// All rules, in the order of their codes.
        pub static RULES: &[Rule] = &[
            $(Rule {
                module: stringify!($module),
                source: include_str!(concat!(stringify!($module), ".rs")),
                check: $module::check,
            },)*
        ];
    };
}

// One line a rule, in the order of their codes. The files are formatted by `cargo xtask ci fmt`, since rustfmt does not look
// into macros.
rules! {
    kl101_acks_below_all,
    kl102_retries_disabled,
    kl103_idempotence_off,
    kl104_layers_misaligned,
    kl105_reorder_on_retry,
    kl106_delivery_timeout_too_short,
    kl107_send_result_ignored,
    kl108_compression_off,
    kl109_message_size_mismatch,
    kl110_transactional_id_shared,
    kl111_transaction_hanging,
    kl112_transaction_timeout_refused,
    kl113_retry_backoff_zero,
    kl114_idempotence_contradicted,
    kl201_hot_key,
    kl202_low_cardinality_key,
    kl203_single_partition_topic,
    kl204_mutable_key,
    kl205_partition_skew,
    kl206_mixed_partitioners,
    kl207_scattered_entity_key,
    kl208_partitions_grown_on_keyed_topic,
    kl209_null_key_on_compacted_topic,
    kl210_co_partitioning_broken,
    kl211_constant_key,
    kl212_key_missing_on_ordered_data,
    kl301_no_schema,
    kl302_compatibility_too_weak,
    kl303_incompatible_change,
    kl304_replay_without_transitive,
    kl305_unknown_schema_id,
    kl306_auto_register_in_production,
    kl307_upgrade_order,
    kl308_schemas_topic_unsafe,
    kl309_mixed_framing,
    kl401_more_consumers_than_partitions,
    kl402_auto_commit_on_strong_data,
    kl403_commit_before_processing,
    kl404_blocking_poll_loop,
    kl405_offset_reset_skips_data,
    kl406_poll_interval_too_short,
    kl407_unstable_membership,
    kl408_offsets_near_expiry,
    kl409_lag_growing,
    kl410_lag_without_host_metrics,
    kl411_lag_near_retention,
    kl412_reads_uncommitted,
    kl413_settings_of_the_other_protocol,
    kl414_processing_error_swallowed,
    kl415_handler_does_not_wait,
    kl416_heartbeat_too_slow,
    kl417_session_timeout_refused,
    kl418_static_id_shared,
    kl419_lag_above_promise,
    kl501_replication_factor_below_three,
    kl502_replicas_share_a_rack,
    kl503_isr_shrunk,
    kl504_unclean_election_enabled,
    kl505_leader_imbalance,
    kl506_clock_skew,
    kl507_min_isr_equals_replication_factor,
    kl508_auto_create_topics,
    kl509_controllers_too_few,
    kl510_one_failure_from_outage,
    kl511_disk_full_ahead,
    kl512_log_dir_offline,
    kl513_cleaner_stalled,
    kl514_quorum_voter_lagging,
    kl515_throttle_left_behind,
    kl516_features_unfinalised,
    kl517_clients_too_old,
    kl518_no_quotas,
    kl519_partition_without_leader,
    kl520_tiered_storage_off,
    kl521_local_retention_not_shorter,
    kl522_static_quorum,
    kl523_offsets_expire_before_records,
    kl524_brokers_configured_differently,
    kl525_slow_follower_stalls_writes,
    kl526_min_isr_one_on_strong_data,
    kl601_strong_data_without_dr,
    kl602_dr_under_provisioned,
    kl603_offsets_not_translated,
    kl604_dr_weaker_than_primary,
    kl605_rpo_exceeded,
    kl606_synchronous_over_distance,
    kl701_event_history_expires,
    kl702_event_history_compacted,
    kl703_read_model_written_by_write_side,
    kl704_two_writers_on_a_stream,
    kl801_state_without_standby,
    kl802_changelog_unsafe,
    kl803_state_dir_temporary,
    kl804_streams_not_exactly_once,
    kl851_streams_eos_under_replicated,
    kl852_streams_errors_dropped,
    kl853_repartition_topic_unsafe,
    kl854_connect_storage_unsafe,
    kl855_connect_errors_dropped,
    kl856_connect_source_not_exactly_once,
    kl857_connect_sink_tasks_idle,
    kl858_mirror_offsets_not_synced,
    kl859_mirror_under_replicated,
    kl860_mirror_heartbeats_off,
    kl861_mirror_translation_off,
    kl862_share_group_on_ordered_topic,
    kl863_share_group_starts_at_end,
    kl864_share_group_gives_up,
    kl901_plaintext_listener,
    kl902_secret_in_configuration,
    kl903_authorizer_missing_or_open,
    kl904_weak_authentication,
    kl905_certificate_checks_off,
    kl906_certificate_expiring,
    kl907_unauthorised_attempts,
    kl908_anonymous_super_user,
    kl909_tls_without_client_names,
}

impl Rule {
    /// Its code: `KL101`.
    pub fn code(&self) -> String {
        self.module.split('_').next().unwrap_or_default().to_uppercase()
    }

    /// Its name: `acks-below-all`.
    pub fn name(&self) -> String {
        self.module.split_once('_').map_or("", |(_, name)| name).replace('_', "-")
    }

    /// Its page in Markdown, without the heading.
    pub fn page(&self) -> String {
        let lines = self.source.lines().take_while(|line| line.starts_with("//!"));
        let text =
            lines.map(|line| line.strip_prefix("//! ").unwrap_or_else(|| line.trim_start_matches("//!")));
        text.collect::<Vec<_>>().join("\n")
    }

    /// The first line of its page: what it fires on.
    pub fn summary(&self) -> String {
        self.page().lines().next().unwrap_or_default().to_owned()
    }
}

/// The rule with this code (`KL101`, in any case) or name.
pub fn rule(code_or_name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code().eq_ignore_ascii_case(code_or_name) || rule.name() == code_or_name)
}
