//! Kafka's own vocabulary as data: error codes, configuration names, topic names, partitioning.
//!
//! Pure: tables and arithmetic, no IO. The tables are compared in tests with what Apache Kafka's own classes answer
//! (`tests/golden`), so that a number here is Kafka's and not a memory of it.

mod acl;
mod broker_configs;
mod client_configs;
mod errors;
mod java_hash;
mod murmur2;
mod sasl;
mod topic;
mod topic_configs;
mod version;

pub use acl::{Acl, Operation, Pattern, Permission, ResourceType, allows};
pub use broker_configs::{UpdateMode, update_mode};
pub use client_configs::{
    CONSUMER_CONFIGS, Client, ClientConfig, PRODUCER_CONFIGS, consumer_config, is_consumer_config,
    is_producer_config, producer_config,
};
pub use errors::{ERRORS, ErrorClass, ErrorCode, ErrorInfo};
pub use java_hash::{java_hash, offsets_partition};
pub use murmur2::{murmur2, partition_for_key};
pub use sasl::{Mechanism, UnknownMechanism};
pub use topic::{
    MAX_TOPIC_NAME, TopicNameError, check_topic_name, in_sync_floor, metric_name, topic_names_collide,
};
pub use topic_configs::{TOPIC_CONFIGS, TopicConfig, ValueType, topic_config};
pub use version::Version;
