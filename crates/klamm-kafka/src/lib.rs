//! Kafka's own vocabulary as data: error codes, configuration names, partitioning.
