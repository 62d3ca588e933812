//! How to reach a cluster: shared by everything that talks to one.

use std::time::Duration;

use klamm_wire::{ConnectOptions, Mechanism, Security};

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Addresses (`host:port`) that are tried in turn to find the cluster.
    pub bootstrap: Vec<String>,
    /// TLS and authentication, the same for all brokers.
    pub security: Security,
    /// `client.id`.
    pub client_id: String,
    /// Longest time to connect to one broker.
    pub connect_timeout: Duration,
    /// Longest time that one request waits for its answer.
    pub request_timeout: Duration,
    /// Longest time for one administrative call, all retries together (Java's `default.api.timeout.ms` is 60 s).
    pub api_timeout: Duration,
    /// Most requests that leave for one broker within any second, those of all clones of a handle together; `None` is no
    /// bound. Who asks more waits for its turn.
    pub requests_per_second: Option<u32>,
}

impl ClientOptions {
    /// Plaintext, without authentication, with klamm's defaults. An entry may hold several addresses with commas between
    /// them, as `bootstrap.servers` does.
    pub fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        ClientOptions {
            bootstrap: bootstrap
                .into_iter()
                .map(Into::into)
                .flat_map(|entry: String| split(&entry))
                .collect(),
            security: Security::default(),
            client_id: "klamm".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            requests_per_second: None,
        }
    }

    /// Requests before the first of a connection: ApiVersions, then the mechanism and its messages.
    pub(crate) fn handshake_requests(&self) -> u32 {
        match self.security.sasl.as_ref().map(|sasl| sasl.mechanism) {
            None => 1,
            Some(Mechanism::Plain) => 3,
            Some(_) => 4,
        }
    }

    pub(crate) fn connection(&self) -> ConnectOptions {
        ConnectOptions {
            client_id: self.client_id.clone(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            ..ConnectOptions::default()
        }
    }

    /// What requests say about how long the broker may work on them.
    pub(crate) fn broker_timeout_ms(&self) -> i32 {
        i32::try_from(self.request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

fn split(entry: &str) -> Vec<String> {
    entry.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_may_hold_several_addresses() {
        assert_eq!(ClientOptions::new(["a:1, b:2,", "c:3"]).bootstrap, ["a:1", "b:2", "c:3"]);
    }
}
