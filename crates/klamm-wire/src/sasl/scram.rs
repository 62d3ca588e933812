//! SCRAM (RFC 5802, SHA-256 of RFC 7677, SHA-512 of KIP-84) without channel binding, which Kafka does not use.
//!
//! Each step takes the state by value, so that the steps cannot be taken out of order. Like Kafka, names and
//! passwords are taken as UTF-8 without SASLprep.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use klamm_kafka::Mechanism;
use sha2::{Digest, Sha256, Sha512};

/// Fewest iterations that are accepted (RFC 7677, and Kafka's own minimum): fewer make the password easy to guess.
pub const MIN_ITERATIONS: u32 = 4096;
/// Most iterations that are accepted: a server must not be able to keep the client computing.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// GS2 header: no channel binding, no authorization identity.
const GS2: &str = "n,,";

/// Hash function of the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// Client that has said its name and waits for salt and iterations.
pub struct ScramFirst {
    hash: Hash,
    password: String,
    nonce: String,
    bare: String,
}

impl ScramFirst {
    /// Starts an exchange. `nonce` must be printable ASCII without a comma, and new for each exchange.
    pub fn new(hash: Hash, username: &str, password: &str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        ScramFirst { hash, password: password.to_owned(), nonce, bare }
    }

    /// The client's first message.
    pub fn message(&self) -> String {
        format!("{GS2}{}", self.bare)
    }

    /// Takes the server's first message and gives the client's final one. Costs as much as the server's iterations.
    pub fn answer(self, server_first: &str) -> Result<(String, ScramVerify), ScramError> {
        let challenge = Challenge::parse(server_first, &self.nonce)?;
        let without_proof = format!("c={},r={}", BASE64.encode(GS2), challenge.nonce);
        let signed = format!("{},{server_first},{without_proof}", self.bare);

        let salted = self.hash.salted_password(&self.password, &challenge.salt, challenge.iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let signature = self.hash.hmac(&self.hash.digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();

        let server_key = self.hash.hmac(&salted, b"Server Key");
        let verify = ScramVerify { hash: self.hash, server_key, signed };
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), verify))
    }
}

/// Client that has proved itself and waits for the server to do the same.
pub struct ScramVerify {
    hash: Hash,
    server_key: Vec<u8>,
    signed: String,
}

impl ScramVerify {
    /// Takes the server's final message: without a right signature it is not the server that knows the password.
    pub fn verify(self, server_final: &str) -> Result<(), ScramError> {
        if let Some(error) = attribute(server_final, 'e') {
            return Err(ScramError::Refused { error: error.to_owned() });
        }
        let signature =
            attribute(server_final, 'v').ok_or(ScramError::Malformed { what: "no server signature" })?;
        let signature = BASE64
            .decode(signature)
            .map_err(|_| ScramError::Malformed { what: "server signature is not base64" })?;
        match self.hash.verifies(&self.server_key, self.signed.as_bytes(), &signature) {
            true => Ok(()),
            false => Err(ScramError::WrongServer),
        }
    }
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramError {
    /// A message does not follow RFC 5802.
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The server's nonce does not continue ours: an answer to another exchange.
    WrongNonce,
    /// The number of iterations is out of bounds.
    Iterations {
        /// What the server asked for.
        asked: u32,
    },
    /// The server refused the proof.
    Refused {
        /// The server's `e=` value.
        error: String,
    },
    /// The server's signature is wrong: it does not know the password.
    WrongServer,
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScramError::Malformed { what } => write!(f, "malformed SCRAM message: {what}"),
            ScramError::WrongNonce => f.write_str("the server's nonce does not continue the client's"),
            ScramError::Iterations { asked } => {
                write!(
                    f,
                    "the server asks for {asked} iterations, allowed are {MIN_ITERATIONS} to {MAX_ITERATIONS}"
                )
            }
            ScramError::Refused { error } => f.write_str(error),
            ScramError::WrongServer => {
                f.write_str("the server's signature is wrong: it does not know the password")
            }
        }
    }
}

impl std::error::Error for ScramError {}

struct Challenge {
    nonce: String,
    salt: Vec<u8>,
    iterations: u32,
}

impl Challenge {
    fn parse(server_first: &str, client_nonce: &str) -> Result<Self, ScramError> {
        if let Some(error) = attribute(server_first, 'e') {
            return Err(ScramError::Refused { error: error.to_owned() });
        }
        // RFC 5802 section 5.1: a mandatory extension that is not understood must end the exchange.
        if server_first.starts_with("m=") {
            return Err(ScramError::Malformed { what: "mandatory extension" });
        }
        let nonce = attribute(server_first, 'r').ok_or(ScramError::Malformed { what: "no nonce" })?;
        if !nonce.starts_with(client_nonce) || nonce.len() == client_nonce.len() {
            return Err(ScramError::WrongNonce);
        }
        let salt = attribute(server_first, 's').ok_or(ScramError::Malformed { what: "no salt" })?;
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed { what: "salt is not base64" })?;
        let iterations = attribute(server_first, 'i')
            .and_then(|text| text.parse::<u32>().ok())
            .ok_or(ScramError::Malformed { what: "no number of iterations" })?;
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ScramError::Iterations { asked: iterations });
        }
        Ok(Challenge { nonce: nonce.to_owned(), salt, iterations })
    }
}

pub(super) fn attribute(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

impl Hash {
    /// The hash of a SCRAM mechanism; `PLAIN` has none.
    pub fn of(mechanism: Mechanism) -> Option<Hash> {
        match mechanism {
            Mechanism::Plain => None,
            Mechanism::ScramSha256 => Some(Hash::Sha256),
            Mechanism::ScramSha512 => Some(Hash::Sha512),
        }
    }

    /// The SCRAM mechanism with this hash.
    pub fn mechanism(self) -> Mechanism {
        match self {
            Hash::Sha256 => Mechanism::ScramSha256,
            Hash::Sha512 => Mechanism::ScramSha512,
        }
    }

    /// The salted password, which is all that a server is told of it (RFC 5802: `Hi`). Costs as much as the iterations.
    pub fn salted_password(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        let password = password.as_bytes();
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec(),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec(),
        }
    }

    pub(super) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(data).to_vec(),
            Hash::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => keyed::<Hmac<Sha256>>(key, data).finalize().into_bytes().to_vec(),
            Hash::Sha512 => keyed::<Hmac<Sha512>>(key, data).finalize().into_bytes().to_vec(),
        }
    }

    /// Compares in constant time.
    fn verifies(self, key: &[u8], data: &[u8], signature: &[u8]) -> bool {
        match self {
            Hash::Sha256 => keyed::<Hmac<Sha256>>(key, data).verify_slice(signature).is_ok(),
            Hash::Sha512 => keyed::<Hmac<Sha512>>(key, data).verify_slice(signature).is_ok(),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> M {
    // HMAC takes keys of every length (RFC 2104); the error type only serves other MACs.
    let mut mac =
        <M as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes every key length"));
    mac.update(data);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn first() -> ScramFirst {
        ScramFirst::new(Hash::Sha256, "user", "pencil", CLIENT_NONCE.to_owned())
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_reproduced() {
        assert_eq!(first().message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (answer, verify) = first().answer(SERVER_FIRST).expect("a good challenge");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(verify.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let (_, verify) = first().answer(SERVER_FIRST).expect("a good challenge");
        let forged = format!("v={}", BASE64.encode([7; 32]));
        assert_eq!(verify.verify(&forged), Err(ScramError::WrongServer));
        let (_, verify) = first().answer(SERVER_FIRST).expect("a good challenge");
        assert!(matches!(verify.verify("e=invalid-proof"), Err(ScramError::Refused { .. })));
    }

    #[test]
    fn challenges_that_weaken_or_misdirect_the_exchange_are_refused() {
        let refused = |challenge: &str| first().answer(challenge).err();
        let long = format!("r={CLIENT_NONCE}x,s=W22Z");
        assert_eq!(refused(&format!("{long},i=4095")), Some(ScramError::Iterations { asked: 4095 }));
        assert_eq!(refused(&format!("{long},i=4000000")), Some(ScramError::Iterations { asked: 4_000_000 }));
        assert_eq!(refused(&format!("r={CLIENT_NONCE},s=W22Z,i=4096")), Some(ScramError::WrongNonce));
        assert_eq!(refused("r=other,s=W22Z,i=4096"), Some(ScramError::WrongNonce));
        assert!(matches!(refused("garbage"), Some(ScramError::Malformed { .. })));
        assert!(matches!(refused(&format!("m=x,{long},i=4096")), Some(ScramError::Malformed { .. })));
    }

    #[test]
    fn names_with_separators_are_escaped() {
        let first = ScramFirst::new(Hash::Sha512, "a=b,c", "x", "n".into());
        assert_eq!(first.message(), "n,,n=a=3Db=2Cc,r=n");
    }
}
