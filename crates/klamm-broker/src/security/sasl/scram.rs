//! SCRAM, with credentials from `security.journal`.

use klamm_wire::sasl::{Hash, ScramClient, ScramProof};
use rand::Rng;

use super::{Authenticated, Denied, Step};
use crate::security::Security;

/// Letters and digits of a nonce: 30 of 62 are 178 bits.
const NONCE_LENGTH: usize = 30;

/// Where an exchange stands.
#[derive(Debug)]
pub(crate) enum Scram {
    First(Hash),
    Final { name: String, proof: ScramProof },
}

impl Scram {
    pub fn step(self, security: &Security, message: &[u8]) -> Result<(Option<Self>, Step), Denied> {
        match self {
            Self::First(hash) => {
                let client = ScramClient::parse(message).map_err(Denied::untold)?;
                if client.token {
                    return Err(Denied::untold("delegation tokens are not offered"));
                }
                let name = client.username.clone();
                let credential = security.scram_credential(&name, hash).ok_or_else(|| {
                    Denied::untold(format!("there is no user {name} of {}", hash.mechanism()))
                })?;
                if !client.authorization_id.is_empty() && client.authorization_id != name {
                    return Err(Denied::told(super::OTHER_IDENTITY));
                }
                let (challenge, proof) = client.challenge(hash, credential, &nonce());
                Ok((Some(Self::Final { name, proof }), Step::Challenge(challenge.into_bytes())))
            }
            Self::Final { name, proof } => {
                let answer = proof.verify(message).map_err(Denied::untold)?.into_bytes();
                Ok((None, Step::Done(Authenticated { answer, name, expires_at_ms: None })))
            }
        }
    }
}

fn nonce() -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(NONCE_LENGTH).map(char::from).collect()
}
