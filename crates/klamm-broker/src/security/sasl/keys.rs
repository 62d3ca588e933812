//! A JSON Web Key Set (RFC 7517) that signs tokens: RSA (RS256 to RS512, PS256 to PS512) and the curves P-256 and P-384
//! (ES256, ES384).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

/// The keys that can be used of a set.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

#[derive(Debug, Deserialize)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a file. Kinds of keys that are not known are left out, as RFC 7517 wants it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("key set {}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
        let file: File = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        let keys: Vec<_> = file.keys.into_iter().filter_map(Key::new).collect();
        if keys.is_empty() { Err(wrong(&"no key in it can be used")) } else { Ok(Self { keys }) }
    }

    /// Whether a key of the set made this signature. With a key's id only that key counts.
    pub fn verifies(&self, algorithm: &str, id: Option<&str>, signed: &[u8], signature: &[u8]) -> bool {
        let meant = |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        self.keys.iter().filter(meant).any(|key| key.verifies(algorithm, signed, signature))
    }
}

impl Key {
    fn new(entry: Entry) -> Option<Self> {
        let bytes = |text: &Option<String>| BASE64.decode(text.as_deref()?.trim_end_matches('=')).ok();
        if entry.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let point = |size: usize| {
            let (x, y) = (bytes(&entry.x)?, bytes(&entry.y)?);
            (x.len() == size && y.len() == size).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let kind = match (entry.kty.as_str(), entry.crv.as_deref()) {
            ("RSA", _) => Kind::Rsa { n: bytes(&entry.n)?, e: bytes(&entry.e)? },
            ("EC", Some("P-256")) => Kind::P256(point(32)?),
            ("EC", Some("P-384")) => Kind::P384(point(48)?),
            _ => return None,
        };
        Some(Self { id: entry.kid, algorithm: entry.alg, kind })
    }

    fn verifies(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        let verified = match (&self.kind, algorithm) {
            (Kind::Rsa { n, e }, _) => {
                let Some(parameters) = rsa(algorithm) else { return false };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
            }
            (Kind::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            (Kind::P384(point), "ES384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    /// The example of RFC 7515, appendix A.2.
    #[test]
    fn the_signature_of_the_standards_example_is_verified() {
        let key = r#"{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;
        let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = BASE64.decode("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        std::fs::write(&path, key).unwrap();
        let keys = KeySet::read(&path).unwrap();
        assert!(keys.verifies("RS256", Some("any"), signed.as_bytes(), &signature));
        assert!(!keys.verifies("RS512", None, signed.as_bytes(), &signature));
        assert!(!keys.verifies("RS256", None, &signed.as_bytes()[1..], &signature));
    }

    #[test]
    fn the_key_with_the_id_counts_and_no_other() {
        let random = SystemRandom::new();
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(scheme, pair.as_ref(), &random).unwrap();
        let key = |id: &str| Key {
            id: Some(id.to_owned()),
            algorithm: None,
            kind: Kind::P256(pair.public_key().as_ref().to_vec()),
        };
        let keys = KeySet { keys: vec![key("one")] };
        let signature = pair.sign(&random, b"text").unwrap();
        assert!(keys.verifies("ES256", Some("one"), b"text", signature.as_ref()));
        assert!(keys.verifies("ES256", None, b"text", signature.as_ref()));
        assert!(!keys.verifies("ES256", Some("two"), b"text", signature.as_ref()));
        assert!(!keys.verifies("ES384", None, b"text", signature.as_ref()));
    }
}
