//! Kafka clients that hold to a contract.
