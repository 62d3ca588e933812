//! Frames, record batches, TLS and SASL for one connection. No policy: no retries, no routing.

pub mod batch;
mod conn;
mod error;
pub mod frame;
pub mod sasl;
mod security;
mod tls;

pub use conn::{ApiRanges, CallOptions, ConnectOptions, Connection, ask_for_sasl};
pub use error::{Api, CertificateFault, Effect, WireError, WireErrorKind};
pub use security::{ClientCertificate, Mechanism, Sasl, Security, Tls, UnknownMechanism};

/// The generated protocol codec. This crate owns the dependency; `broker` and `admin` take it from here.
pub use kafka_protocol as protocol;
