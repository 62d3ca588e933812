//! SCRAM, the server's side: it knows a password only by the two keys that are derived from it (RFC 5802, section 3).
//!
//! What Kafka takes and refuses decides: no channel binding, extensions are read over, names and passwords without SASLprep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::scram::{Hash, ScramError, attribute};

/// What a server keeps of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes that make equal passwords different.
    pub salt: Vec<u8>,
    /// Hash of the client's key.
    pub stored_key: Vec<u8>,
    /// Key that proves the server to the client.
    pub server_key: Vec<u8>,
    /// Rounds of the salted password.
    pub iterations: u32,
}

/// Keys are secrets: they are not printed.
impl std::fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// From the salted password, as `AlterUserScramCredentials` brings it.
    pub fn from_salted(hash: Hash, salted: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let stored_key = hash.digest(&hash.hmac(salted, b"Client Key"));
        let server_key = hash.hmac(salted, b"Server Key");
        Self { salt, stored_key, server_key, iterations }
    }

    /// From the password itself. Costs as much as the iterations.
    pub fn from_password(hash: Hash, password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hash.salted_password(password, &salt, iterations);
        Self::from_salted(hash, &salted, salt, iterations)
    }
}

/// A client's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramClient {
    /// Whom it claims to be.
    pub username: String,
    /// Whom it wants to act for; empty: itself.
    pub authorization_id: String,
    /// It authenticates with a delegation token (`tokenauth=true`, KIP-48).
    pub token: bool,
    nonce: String,
    bare: String,
}

impl ScramClient {
    /// Reads the first message.
    ///
    /// # Errors
    /// It does not follow RFC 5802, or asks for channel binding.
    pub fn parse(message: &[u8]) -> Result<Self, ScramError> {
        let malformed = |what| ScramError::Malformed { what };
        let message = std::str::from_utf8(message).map_err(|_| malformed("the message is not UTF-8"))?;
        let rest = message.strip_prefix("n,").ok_or(malformed("channel binding is not supported"))?;
        let (acting_for, mut bare) = rest.split_once(',').ok_or(malformed("no name"))?;
        let authorization_id = match acting_for {
            "" => "",
            named => named.strip_prefix("a=").filter(|id| !id.is_empty()).ok_or(malformed("no authzid"))?,
        };
        if bare.starts_with("m=") {
            bare = bare.split_once(',').ok_or(malformed("no name"))?.1;
        }
        let mut parts = bare.split(',');
        let name = parts.next().and_then(|part| part.strip_prefix("n=")).ok_or(malformed("no name"))?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(malformed("no nonce"))?;
        if name.is_empty() || nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("the name or the nonce is empty"));
        }
        let token = parts.any(|part| part.eq_ignore_ascii_case("tokenauth=true"));
        let unescaped = name.replace("=2C", ",").replace("=3D", "=");
        let escaped = unescaped.replace('=', "=3D").replace(',', "=2C");
        if escaped != name {
            return Err(malformed("the name is not escaped"));
        }
        Ok(Self {
            username: unescaped,
            authorization_id: authorization_id.to_owned(),
            token,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// The server's first message, and what waits for the client's proof. `nonce` must be new for each exchange.
    pub fn challenge(self, hash: Hash, credential: ScramCredential, nonce: &str) -> (String, ScramProof) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = BASE64.encode(&credential.salt);
        let challenge = format!("r={nonce},s={salt},i={}", credential.iterations);
        let signed = format!("{},{challenge}", self.bare);
        (challenge, ScramProof { hash, credential, nonce, signed })
    }
}

/// Server that has sent its challenge and waits for the client's proof.
#[derive(Debug)]
pub struct ScramProof {
    hash: Hash,
    credential: ScramCredential,
    nonce: String,
    signed: String,
}

impl ScramProof {
    /// Checks the client's final message and gives the server's.
    ///
    /// # Errors
    /// The message is malformed or belongs to another exchange, or the client does not know the password.
    pub fn verify(self, message: &[u8]) -> Result<String, ScramError> {
        let malformed = |what| ScramError::Malformed { what };
        let message = std::str::from_utf8(message).map_err(|_| malformed("the message is not UTF-8"))?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed("no proof"))?;
        let proof = BASE64.decode(proof).map_err(|_| malformed("the proof is not base64"))?;
        if attribute(without_proof, 'r') != Some(self.nonce.as_str()) {
            return Err(ScramError::WrongNonce);
        }
        let signed = format!("{},{without_proof}", self.signed);
        let signature = self.hash.hmac(&self.credential.stored_key, signed.as_bytes());
        if proof.len() != signature.len() {
            return Err(malformed("the proof has the wrong length"));
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, mask)| proof ^ mask).collect();
        // The hash of a guess tells nothing about the key: no need for a comparison in constant time.
        if self.hash.digest(&client_key) != self.credential.stored_key {
            return Err(ScramError::Refused { error: "invalid-proof".to_owned() });
        }
        let signature = self.hash.hmac(&self.credential.server_key, signed.as_bytes());
        Ok(format!("v={}", BASE64.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::ScramFirst;
    use proptest::prelude::*;

    /// Both sides, as far as they get.
    fn exchange(hash: Hash, name: &str, known: &str, tried: &str) -> Result<(), ScramError> {
        let first = ScramFirst::new(hash, name, tried, "clientnonce".to_owned());
        let client = ScramClient::parse(first.message().as_bytes())?;
        assert_eq!(client.username, name);
        let credential = ScramCredential::from_password(hash, known, b"salt".to_vec(), 4096);
        let (challenge, proof) = client.challenge(hash, credential, "servernonce");
        let (answer, verify) = first.answer(&challenge)?;
        verify.verify(&proof.verify(answer.as_bytes())?)
    }

    #[test]
    fn the_right_password_proves_both_sides_and_a_wrong_one_neither() {
        for hash in [Hash::Sha256, Hash::Sha512] {
            assert_eq!(exchange(hash, "a=b,c", "pencil", "pencil"), Ok(()));
            let refused = exchange(hash, "user", "pencil", "Pencil");
            assert!(matches!(refused, Err(ScramError::Refused { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_proof_of_another_exchange_is_refused() {
        let client = ScramClient::parse(b"n,a=x,n=user,r=abc,ext=1,tokenauth=true").unwrap();
        assert_eq!((client.authorization_id.as_str(), client.token), ("x", true));
        let credential = ScramCredential::from_password(Hash::Sha256, "p", b"s".to_vec(), 4096);
        let (_, proof) = client.challenge(Hash::Sha256, credential, "def");
        assert_eq!(proof.verify(b"c=biws,r=abcxyz,p=AAAA"), Err(ScramError::WrongNonce));
    }

    proptest! {
        #[test]
        fn arbitrary_messages_are_refused_without_harm(message in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ScramClient::parse(&message);
            let (hash, credential) = (Hash::Sha256, ScramCredential::from_salted(Hash::Sha256, b"k", vec![1], 4096));
            let client = ScramClient::parse(b"n,,n=u,r=n").unwrap();
            prop_assert!(client.challenge(hash, credential, "s").1.verify(&message).is_err());
        }

        #[test]
        fn every_name_comes_through(name in "[a-zA-Z=,]{1,8}") {
            let first = ScramFirst::new(Hash::Sha256, &name, "p", "n".to_owned());
            prop_assert_eq!(ScramClient::parse(first.message().as_bytes()).unwrap().username, name);
        }
    }
}
