//! A connection between its first byte and its requests: TLS, then SASL, until a principal stands.
//!
//! Before that only `ApiVersions` (once), `SaslHandshake` and `SaslAuthenticate` are handled; anything else closes the
//! connection. Where the session has an end (KIP-368), a handshake begins the next authentication on the same connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use klamm_kafka::ErrorCode;

use super::config::{Listener, SaslMechanism};
use super::sasl::{Authenticated, Denied, Exchange, Step};
use super::{Principal, Security};
use crate::api::{Answer, Api, Frame};
use crate::clock::{Clock, millis};
use crate::node::Node;
use crate::sync::lock;

/// Authenticating again is refused within this time of the last.
const MIN_REAUTH_INTERVAL_MS: i64 = 1_000;

/// One connection's standing.
#[derive(Debug)]
pub(crate) struct Session {
    pub listener: Arc<Listener>,
    pub peer: SocketAddr,
    /// The address that the client reached this broker by.
    pub local: SocketAddr,
    clock: Clock,
    state: Mutex<State>,
    /// Until when nothing is read (KIP-219), on the monotonic clock.
    muted_until_ms: Mutex<Option<i64>>,
}

#[derive(Debug)]
enum State {
    Handshake {
        told_versions: bool,
        before: Option<Established>,
    },
    /// `headers`: messages travel in `SaslAuthenticate` (KIP-152), else as they are.
    Messages {
        mechanism: SaslMechanism,
        exchange: Exchange,
        headers: bool,
        before: Option<Established>,
    },
    Established(Established),
    /// The answer that is being made is the last.
    Failed {
        why: String,
    },
}

/// A connection that requests are handled on.
#[derive(Debug, Clone)]
struct Established {
    principal: Arc<Principal>,
    mechanism: Option<SaslMechanism>,
    /// On the monotonic clock.
    expires_at_ms: Option<i64>,
    reauthenticated_at_ms: Option<i64>,
}

/// What may become of a request.
#[derive(Debug)]
pub(crate) enum Gate {
    Open(Arc<Principal>),
    /// It is answered by this error, and the connection ends.
    Refuse(ErrorCode),
    Closed(String),
}

/// What a `SaslAuthenticate` is answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub bytes: Vec<u8>,
    pub session_lifetime_ms: i64,
}

impl Session {
    /// A connection that is authenticated by what came before its first request, or needs SASL.
    pub fn new(
        listener: Arc<Listener>,
        peer: SocketAddr,
        local: SocketAddr,
        principal: Principal,
        clock: Clock,
    ) -> Self {
        let state = match listener.protocol.has_sasl() {
            true => State::Handshake { told_versions: false, before: None },
            false => State::Established(Established {
                principal: Arc::new(principal),
                mechanism: None,
                expires_at_ms: None,
                reauthenticated_at_ms: None,
            }),
        };
        Self { listener, peer, local, clock, state: Mutex::new(state), muted_until_ms: Mutex::default() }
    }

    /// Whether a request of this API may be handled now. A second handshake begins the next authentication.
    pub fn gate(&self, api: Api) -> Gate {
        let mut state = lock(&self.state);
        let anonymous = || Gate::Open(Arc::new(Principal::anonymous()));
        let unexpected = |when| Gate::Closed(format!("unexpected {} during SASL {when}", api.name()));
        match &mut *state {
            State::Established(established) => {
                let now_ms = self.clock.monotonic_ms();
                if let (Api::SaslHandshake, Some(_)) = (api, established.expires_at_ms) {
                    let last = established.reauthenticated_at_ms;
                    if last.is_none_or(|last| now_ms - last >= MIN_REAUTH_INTERVAL_MS) {
                        let mut before = established.clone();
                        before.reauthenticated_at_ms = Some(now_ms);
                        *state = State::Handshake { told_versions: true, before: Some(before) };
                        return anonymous();
                    }
                }
                match established.expires_at_ms {
                    Some(end) if now_ms > end => Gate::Closed("the session has expired".to_owned()),
                    _ => Gate::Open(established.principal.clone()),
                }
            }
            State::Handshake { told_versions, .. } => match api {
                Api::SaslHandshake => anonymous(),
                Api::ApiVersions if !*told_versions => {
                    *told_versions = true;
                    anonymous()
                }
                _ => unexpected("handshake"),
            },
            State::Messages { mechanism, before: Some(before), .. }
                if before.mechanism != Some(*mechanism) =>
            {
                let why = format!("SASL mechanism {} is not the one of before", mechanism.name());
                *state = State::Failed { why: why.clone() };
                Gate::Closed(why)
            }
            State::Messages { headers: true, .. } if api == Api::SaslAuthenticate => anonymous(),
            State::Messages { .. } => {
                *state =
                    State::Failed { why: format!("unexpected {} during SASL authentication", api.name()) };
                Gate::Refuse(ErrorCode::ILLEGAL_SASL_STATE)
            }
            State::Failed { why } => Gate::Closed(why.clone()),
        }
    }

    /// `ApiVersions` was asked for in a version that is not offered: it may be asked again.
    pub fn versions_not_told(&self) {
        if let State::Handshake { told_versions, before: None } = &mut *lock(&self.state) {
            *told_versions = false;
        }
    }

    /// Still authenticating, so that requests must be small.
    pub fn is_authenticating(&self) -> bool {
        !matches!(*lock(&self.state), State::Established(_))
    }

    /// The next frame is a message of SASL as it is.
    pub fn takes_bare_messages(&self) -> bool {
        matches!(*lock(&self.state), State::Messages { headers: false, .. })
    }

    /// Why the connection must end after the present answer.
    pub fn failure(&self) -> Option<String> {
        match &*lock(&self.state) {
            State::Failed { why } => Some(why.clone()),
            _ => None,
        }
    }

    /// Reads nothing more for this long.
    pub fn mute(&self, for_ms: i64) {
        *lock(&self.muted_until_ms) = Some(self.clock.monotonic_ms().saturating_add(for_ms));
    }

    /// Waits while it is muted. Cancel safe.
    pub async fn while_muted(&self) {
        let until_ms = lock(&self.muted_until_ms).take();
        if let Some(until_ms) = until_ms {
            self.clock.sleep_until(until_ms).await;
        }
    }

    /// A message of the exchange without a header: clients that begin with version 0 of `SaslHandshake` send such.
    pub fn bare_message(&self, node: &Node, message: &[u8]) -> Answer {
        match self.authenticate(&node.security, message) {
            Ok(reply) => Answer::Respond(Frame::of(&reply.bytes)),
            // There is no form for an error: the connection ends.
            Err((_, why)) => Answer::Close(why),
        }
    }

    /// `SaslHandshake` names a mechanism.
    pub fn handshake(&self, security: &Security, name: &str, headers: bool) -> Result<(), ErrorCode> {
        let mut state = lock(&self.state);
        let State::Handshake { before, .. } = &*state else { return Err(ErrorCode::ILLEGAL_SASL_STATE) };
        let mechanism = SaslMechanism::from_name(name).filter(|mechanism| security.is_enabled(*mechanism));
        let Some(mechanism) = mechanism else {
            *state = State::Failed { why: format!("SASL mechanism {name:?} is not enabled") };
            return Err(ErrorCode::UNSUPPORTED_SASL_MECHANISM);
        };
        let exchange = Exchange::new(mechanism);
        *state = State::Messages { mechanism, exchange, headers, before: before.clone() };
        Ok(())
    }

    /// Takes a message of the exchange. What is denied carries the text for the client.
    pub fn authenticate(&self, security: &Security, message: &[u8]) -> Result<Reply, (ErrorCode, String)> {
        let mut state = lock(&self.state);
        let State::Messages { mechanism, exchange, before, .. } = &mut *state else {
            let text = "SaslAuthenticate request received after successful authentication";
            return Err((ErrorCode::ILLEGAL_SASL_STATE, text.to_owned()));
        };
        let (mechanism, now_ms) = (*mechanism, self.clock.now_ms());
        let again = before.is_some();
        let result = match exchange.step(security, now_ms, message) {
            Ok(Step::Challenge(bytes)) => return Ok(Reply { bytes, session_lifetime_ms: 0 }),
            Ok(Step::Done(done)) => self.establish(security, mechanism, before.take(), done, now_ms),
            Err(denied) => Err(denied),
        };
        match result {
            Ok((established, reply)) => {
                *state = State::Established(established);
                Ok(reply)
            }
            Err(denied) => {
                let name = mechanism.name();
                *state = State::Failed { why: format!("SASL {name}: {}", denied.why) };
                let what = if again { "re-authentication" } else { "authentication" };
                let text = denied.told.unwrap_or_else(|| {
                    format!("Authentication failed during {what} due to invalid credentials with SASL mechanism {name}")
                });
                Err((ErrorCode::SASL_AUTHENTICATION_FAILED, text))
            }
        }
    }

    fn establish(
        &self,
        security: &Security,
        mechanism: SaslMechanism,
        before: Option<Established>,
        done: Authenticated,
        now_ms: i64,
    ) -> Result<(Established, Reply), Denied> {
        let principal = match before.as_ref().map(|before| before.principal.clone()) {
            Some(old) if old.name != done.name => {
                return Err(Denied::told(format!(
                    "Cannot change principals during re-authentication from {}.{}: User.{}",
                    old.kind, old.name, done.name
                )));
            }
            Some(old) => old,
            None => Arc::new(Principal::user(done.name)),
        };
        let most_ms = security.config.sasl.max_reauth.map(millis).filter(|ms| *ms > 0);
        let left_ms = done.expires_at_ms.map(|end| end - now_ms);
        let lifetime_ms = match (left_ms, most_ms) {
            (Some(left), Some(most)) => Some(left.min(most)),
            (left, most) => left.or(most),
        };
        let lifetime_ms = lifetime_ms.map(|ms| ms.max(0));
        let established = Established {
            principal,
            mechanism: Some(mechanism),
            expires_at_ms: lifetime_ms.map(|ms| self.clock.monotonic_ms().saturating_add(ms)),
            reauthenticated_at_ms: before.and_then(|before| before.reauthenticated_at_ms),
        };
        let reply = Reply { bytes: done.answer, session_lifetime_ms: lifetime_ms.unwrap_or(0) };
        Ok((established, reply))
    }
}
