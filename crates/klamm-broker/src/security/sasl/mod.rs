//! SASL, the server's side: one exchange after another message, until it is done or denied.

mod jws;
mod keys;
mod oauth;
mod plain;
mod scram;

use klamm_wire::sasl::Hash;

use super::Security;
use super::config::SaslMechanism;

pub(crate) use keys::KeySet;

/// What an exchange answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The client must say more.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Done(Authenticated),
}

/// Who a client turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) struct Authenticated {
    /// The last message to the client.
    pub answer: Vec<u8>,
    pub name: String,
    /// When what it showed expires, in milliseconds since the epoch.
    pub expires_at_ms: Option<i64>,
}

/// Why a client is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// What the client is told; `None`: no more than that it failed, as anything else would help to guess.
    pub told: Option<String>,
    /// What happened, for who runs the broker.
    pub why: String,
}

impl Denied {
    /// A reason that the client may know.
    pub(super) fn told(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { told: Some(why.clone()), why }
    }

    /// A reason that stays here.
    pub(super) fn untold(why: impl ToString) -> Self {
        Self { told: None, why: why.to_string() }
    }
}

/// Said when a client wants to act for somebody else, which Kafka offers for no mechanism.
const OTHER_IDENTITY: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

/// One exchange.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    Scram(scram::Scram),
    Oauth(oauth::Oauth),
    /// It ended: nothing more is expected.
    Over,
}

impl Exchange {
    pub fn new(mechanism: SaslMechanism) -> Self {
        match mechanism {
            SaslMechanism::Plain => Self::Plain,
            SaslMechanism::ScramSha256 => Self::Scram(scram::Scram::First(Hash::Sha256)),
            SaslMechanism::ScramSha512 => Self::Scram(scram::Scram::First(Hash::Sha512)),
            SaslMechanism::OauthBearer => Self::Oauth(oauth::Oauth::default()),
        }
    }

    /// Takes the client's next message.
    pub fn step(&mut self, security: &Security, now_ms: i64, message: &[u8]) -> Result<Step, Denied> {
        let (next, step) = match std::mem::replace(self, Self::Over) {
            Self::Plain => (Self::Over, plain::check(&security.config.sasl.plain_users, message)?),
            Self::Scram(scram) => {
                let (next, step) = scram.step(security, message)?;
                (next.map_or(Self::Over, Self::Scram), step)
            }
            Self::Oauth(oauth) => {
                let (next, step) = oauth.step(security, now_ms, message)?;
                (next.map_or(Self::Over, Self::Oauth), step)
            }
            Self::Over => return Err(Denied::untold("a message after the end of the exchange")),
        };
        *self = next;
        Ok(step)
    }
}
