//! Frames, record batches, TLS and SASL for one connection. No policy: no retries, no routing.

pub mod batch;
mod conn;
mod error;
pub mod frame;
pub mod reader;
pub mod sasl;
mod security;
mod tls;
mod tls_server;

pub use conn::{ApiRanges, CallOptions, ConnectOptions, Connection, ask_for_sasl, peer_certificates};
pub use error::{Api, CertificateFault, Effect, WireError, WireErrorKind};
pub use klamm_kafka::Mechanism;
pub use security::{ClientCertificate, Sasl, Security, Tls};
pub use tls::{authorities, crypto_provider};
pub use tls_server::{ClientAuth, ServerStream, ServerTls, TlsAcceptor, peer_certificate};

/// The generated protocol codec. This crate owns the dependency; `broker` and `admin` take it from here.
pub use kafka_protocol as protocol;
