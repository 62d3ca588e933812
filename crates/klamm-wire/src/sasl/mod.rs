//! SASL: PLAIN and SCRAM. Messages in and out as values; the connection carries them.

mod scram;
mod scram_server;

pub use scram_server::{ScramClient, ScramCredential, ScramProof};

pub use scram::{Hash, MAX_ITERATIONS, MIN_ITERATIONS, ScramError, ScramFirst, ScramVerify};

/// The one message of PLAIN (RFC 4616), acting for nobody else.
pub fn plain(username: &str, password: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(username.len() + password.len() + 2);
    message.push(0);
    message.extend_from_slice(username.as_bytes());
    message.push(0);
    message.extend_from_slice(password.as_bytes());
    message
}
