//! One connection to one broker: dialled, protected, negotiated, then pipelined calls.
//!
//! A task owns the socket (`driver`); callers hand it encoded requests over a bounded channel and decode their own
//! answers, so that the task never waits for a caller. Requests leave in the order in which they got a place, answers
//! are matched by correlation id, and Kafka answers in order. The task ends with the last handle, when the peer closes,
//! when a request is not answered in time, or when nothing was asked for [`ConnectOptions::idle_timeout`].

mod dial;
mod driver;
mod inbound;
mod link;
mod negotiate;
mod peer;
mod probe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Effect, WireError, WireErrorKind};
use crate::protocol::protocol::Request;
use crate::security::Security;

use dial::Target;
use link::Link;
pub use negotiate::ApiRanges;
pub use peer::peer_certificates;
pub use probe::ask_for_sasl;

/// How a connection behaves. Every wait and every buffer has its bound here.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `client.id`: how the broker's logs, metrics and quotas call this client.
    pub client_id: String,
    /// Longest time to resolve, connect, shake hands, negotiate and authenticate, each.
    pub connect_timeout: Duration,
    /// Longest time that a request waits for its answer, unless the call says otherwise.
    pub request_timeout: Duration,
    /// Largest answer that is taken.
    pub max_response_bytes: usize,
    /// Requests without an answer at once; further callers wait.
    pub max_in_flight: usize,
    /// The connection is closed after this long without a request (`connections.max.idle.ms`, 9 minutes in Java).
    pub idle_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            client_id: "klamm".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_response_bytes: 100 << 20,
            max_in_flight: 64,
            idle_timeout: Duration::from_secs(9 * 60),
        }
    }
}

/// What one call may have different from its connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOptions {
    /// Speak no later version than this.
    pub max_version: Option<i16>,
    /// Wait this long for the answer instead of `request_timeout`.
    pub timeout: Option<Duration>,
}

/// A handle on a connection. Clones share the connection; it ends with the last of them.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    ranges: ApiRanges,
    request_timeout: Duration,
    /// When the broker will ask for a new authentication (KIP-368): the connection is not used beyond it.
    expires: Option<Instant>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl Connection {
    /// Connects to `address` (`host:port`), protects the connection, negotiates versions and authenticates.
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(
        address: &str,
        security: &Security,
        options: &ConnectOptions,
    ) -> Result<Connection, WireError> {
        let failed = |kind| WireError::new(address, kind);
        let target = Target::parse(address).map_err(failed)?;
        let link = match dial::dial(&target, security, options).await {
            Ok(transport) => Link::spawn(address, transport, options),
            Err(kind) if security.tls.is_some() && probe::looks_plain(&kind) => {
                let kind =
                    if probe::speaks_plain(&target).await { WireErrorKind::PlainExpected } else { kind };
                return Err(failed(kind));
            }
            Err(kind) => return Err(failed(kind)),
        };
        let ranges = match negotiate::versions(&link, options.connect_timeout).await {
            Ok(ranges) => ranges,
            Err(error) if security.tls.is_none() && probe::looks_like_tls(error.kind()) => {
                // The first request of a connection may as well meet a broker that goes down: ask, do not guess.
                let tls = probe::speaks_tls(&target).await;
                return Err(if tls { failed(WireErrorKind::TlsExpected) } else { error });
            }
            Err(error) => return Err(error),
        };
        let mut expires = None;
        if let Some(sasl) = &security.sasl {
            let lifetime = negotiate::authenticate(&link, &ranges, sasl, options.connect_timeout).await?;
            // A reserve, so that no request meets the broker's deadline; Java renews at 85 to 95 %.
            expires = lifetime.map(|lifetime| Instant::now() + lifetime.mul_f64(0.85));
        }
        let request_timeout = options.request_timeout;
        Ok(Connection { shared: Arc::new(Shared { link, ranges, request_timeout, expires }) })
    }

    /// Sends `request` in the newest version that both sides speak, and waits for its answer.
    ///
    /// Dropping the future leaves the connection sound: a request that has left is still answered, and the answer is
    /// thrown away. Requests without an answer (`Produce` with acks=0) are not for this method.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        self.call_with(request, CallOptions::default()).await
    }

    /// [`call`](Self::call) with another timeout or a cap on the version.
    pub async fn call_with<R: Request>(
        &self,
        request: &R,
        options: CallOptions,
    ) -> Result<R::Response, WireError> {
        let version = self.version_of::<R>(options.max_version)?;
        let timeout = options.timeout.unwrap_or(self.shared.request_timeout);
        self.shared.link.call(request, version, timeout).await
    }

    /// Hands `request` over and gives the future of its answer: requests leave in the order of these calls. Waits only for a place
    /// among [`ConnectOptions::max_in_flight`].
    ///
    /// The future keeps no handle: when the last one is dropped it resolves to an error. Dropping it is as dropping a
    /// [`call`](Self::call).
    pub async fn begin<R: Request>(
        &self,
        request: &R,
        options: CallOptions,
    ) -> Result<impl Future<Output = Result<R::Response, WireError>> + Send + use<R>, WireError> {
        let version = self.version_of::<R>(options.max_version)?;
        let timeout = options.timeout.unwrap_or(self.shared.request_timeout);
        self.shared.link.begin(request, version, timeout).await
    }

    /// The version that a call of `R` would speak, for requests whose shape depends on it.
    pub fn version_of<R: Request>(&self, max_version: Option<i16>) -> Result<i16, WireError> {
        self.shared.ranges.choose::<R>(max_version).map_err(|kind| WireError::new(self.address(), kind))
    }

    /// What the broker said in ApiVersions.
    pub fn ranges(&self) -> &ApiRanges {
        &self.shared.ranges
    }

    /// `host:port` as it was asked for.
    pub fn address(&self) -> &str {
        self.shared.link.address()
    }

    /// The connection has ended; calls fail.
    pub fn is_closed(&self) -> bool {
        self.shared.link.is_closed()
    }

    /// Open, and far enough from the end of its authenticated session to start a request on.
    pub fn is_usable(&self) -> bool {
        !self.is_closed() && self.shared.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

impl Effect {
    /// Whether a request that failed so may be sent again without doing its work twice.
    pub fn is_none(self) -> bool {
        self == Effect::None
    }
}
