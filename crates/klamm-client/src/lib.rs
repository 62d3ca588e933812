//! The Kafka client: batches in, batches out.
