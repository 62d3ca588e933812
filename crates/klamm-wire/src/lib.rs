//! Frames, record batches, TLS and SASL for one connection. No policy: no retries, no routing.

pub mod batch;
pub mod frame;

/// The generated protocol codec. This crate owns the dependency; `broker` and `admin` take it from here.
pub use kafka_protocol as protocol;
