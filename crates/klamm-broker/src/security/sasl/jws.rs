//! Tokens in the compact form of RFC 7515, with the claims of RFC 7519.
//!
//! Unsigned ones are taken where no keys were given, which is what Kafka's default validator does for development; signed
//! ones are checked against the keys. What is left out: encrypted tokens, keys by symmetric secret, keys fetched by HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

use super::keys::KeySet;
use crate::clock::millis;
use crate::security::config::OauthConfig;

/// What a token says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub principal: String,
    pub expires_at_ms: i64,
}

/// Why a token is refused, in the words of RFC 6750.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub status: &'static str,
    pub scope: Option<String>,
}

const INVALID: Refused = Refused { status: "invalid_token", scope: None };

pub(super) fn check(
    token: &str,
    config: &OauthConfig,
    keys: Option<&KeySet>,
    now_ms: i64,
) -> Result<Claims, Refused> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(INVALID) };
    let (head, claims) = (object(header)?, object(payload)?);
    let algorithm = head.get("alg").and_then(Value::as_str).ok_or(INVALID)?;
    match keys {
        None if algorithm == "none" && signature.is_empty() => {}
        None => return Err(INVALID),
        Some(keys) => {
            let signature = BASE64.decode(signature).map_err(|_| INVALID)?;
            let signed = &token[..header.len() + 1 + payload.len()];
            let id = head.get("kid").and_then(Value::as_str);
            if !keys.verifies(algorithm, id, signed.as_bytes(), &signature) {
                return Err(INVALID);
            }
            check_parties(config, &claims)?;
        }
    }
    check_times_and_scope(config, &claims, now_ms)
}

fn object(part: &str) -> Result<Map<String, Value>, Refused> {
    let bytes = BASE64.decode(part.trim_end_matches('=')).map_err(|_| INVALID)?;
    serde_json::from_slice(&bytes).map_err(|_| INVALID)
}

fn check_parties(config: &OauthConfig, claims: &Map<String, Value>) -> Result<(), Refused> {
    let issuer = claims.get("iss").and_then(Value::as_str);
    let known = config.expected_issuer.as_deref().is_none_or(|expected| issuer == Some(expected));
    let audience = strings(claims.get("aud"), false);
    let meant = config.expected_audience.is_empty()
        || config.expected_audience.iter().any(|expected| audience.contains(expected));
    if known && meant { Ok(()) } else { Err(INVALID) }
}

fn check_times_and_scope(
    config: &OauthConfig,
    claims: &Map<String, Value>,
    now_ms: i64,
) -> Result<Claims, Refused> {
    let skew_ms = millis(config.clock_skew);
    // Seconds, possibly with a fraction.
    let time_ms = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(|seconds| Some((seconds * 1000.0) as i64)).ok_or(INVALID),
    };
    let (issued, expires) = (time_ms("iat")?, time_ms("exp")?.ok_or(INVALID)?);
    let early = issued.is_some_and(|issued| issued > now_ms.saturating_add(skew_ms) || issued >= expires);
    if early || now_ms.saturating_sub(skew_ms) >= expires {
        return Err(INVALID);
    }
    let scope = strings(claims.get(&config.scope_claim), true);
    if !config.required_scope.iter().all(|wanted| scope.contains(wanted)) {
        let scope = format!("[{}]", config.required_scope.join(", "));
        return Err(Refused { status: "insufficient_scope", scope: Some(scope) });
    }
    let principal = claims.get(&config.principal_claim).and_then(Value::as_str);
    let principal = principal.filter(|name| !name.trim().is_empty()).ok_or(INVALID)?.to_owned();
    Ok(Claims { principal, expires_at_ms: expires })
}

/// A claim that is one string (perhaps of words) or a list of them.
fn strings(claim: Option<&Value>, words: bool) -> Vec<String> {
    match claim {
        Some(Value::String(text)) if words => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use serde_json::json;

    const NOW_MS: i64 = 1_000_000;

    fn unsigned(claims: Value) -> String {
        let header = BASE64.encode(json!({"alg": "none"}).to_string());
        format!("{header}.{}.", BASE64.encode(claims.to_string()))
    }

    #[test]
    fn unsigned_tokens_are_believed_within_their_time_and_scope() {
        let config = OauthConfig {
            clock_skew: Duration::from_secs(5),
            required_scope: vec!["kafka".to_owned()],
            ..OauthConfig::default()
        };
        let check = |claims: Value| check(&unsigned(claims), &config, None, NOW_MS);
        let good = json!({"sub": "alice", "iat": 1000, "exp": 1001.5, "scope": "other kafka"});
        assert_eq!(check(good), Ok(Claims { principal: "alice".to_owned(), expires_at_ms: 1_001_500 }));
        let list = json!({"sub": "alice", "exp": 996, "scope": ["kafka"]});
        assert!(check(list).is_ok(), "expired by less than the clocks may differ");
        for wrong in [
            json!({"sub": "alice", "exp": 995, "scope": "kafka"}),
            json!({"sub": "alice", "scope": "kafka"}),
            json!({"sub": "alice", "exp": "1001", "scope": "kafka"}),
            json!({"sub": "alice", "iat": 1006, "exp": 1010, "scope": "kafka"}),
            json!({"sub": "alice", "iat": 1004, "exp": 1003, "scope": "kafka"}),
            json!({"sub": " ", "exp": 1001, "scope": "kafka"}),
            json!({"exp": 1001, "scope": "kafka"}),
        ] {
            assert_eq!(check(wrong.clone()), Err(INVALID), "{wrong}");
        }
        let refused = check(json!({"sub": "alice", "exp": 1001})).unwrap_err();
        assert_eq!((refused.status, refused.scope.as_deref()), ("insufficient_scope", Some("[kafka]")));
    }

    #[test]
    fn signed_tokens_need_a_known_key_the_issuer_and_an_audience() {
        use ring::rand::SystemRandom;
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as SCHEME, EcdsaKeyPair, KeyPair};
        let random = SystemRandom::new();
        let pair = || {
            let pair = EcdsaKeyPair::generate_pkcs8(&SCHEME, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&SCHEME, pair.as_ref(), &random).unwrap()
        };
        let (own, stranger) = (pair(), pair());
        let point = own.public_key().as_ref();
        let coordinate = |bytes: &[u8]| BASE64.encode(bytes);
        let (x, y) = (coordinate(&point[1..33]), coordinate(&point[33..]));
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": x, "y": y}]});
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        std::fs::write(&path, set.to_string()).unwrap();
        let keys = KeySet::read(&path).unwrap();

        let signed = |pair: &EcdsaKeyPair, claims: Value| {
            let part = |value: Value| BASE64.encode(value.to_string());
            let text = format!("{}.{}", part(json!({"alg": "ES256", "kid": "k"})), part(claims));
            let signature = pair.sign(&random, text.as_bytes()).unwrap();
            format!("{text}.{}", BASE64.encode(signature.as_ref()))
        };
        let config = OauthConfig {
            expected_issuer: Some("https://id".to_owned()),
            expected_audience: vec!["kafka".to_owned(), "other".to_owned()],
            ..OauthConfig::default()
        };
        let check = |token: &str| check(token, &config, Some(&keys), NOW_MS).map(|claims| claims.principal);
        let good = json!({"sub": "alice", "exp": 2000, "iss": "https://id", "aud": ["x", "kafka"]});
        assert_eq!(check(&signed(&own, good.clone())).as_deref(), Ok("alice"));
        assert_eq!(check(&signed(&stranger, good.clone())), Err(INVALID));
        assert_eq!(check(&unsigned(good)), Err(INVALID), "unsigned ones are not believed any more");
        for wrong in [
            json!({"sub": "alice", "exp": 2000, "iss": "https://other", "aud": "kafka"}),
            json!({"sub": "alice", "exp": 2000, "iss": "https://id", "aud": "elsewhere"}),
            json!({"sub": "alice", "exp": 2000, "aud": "kafka"}),
            json!({"sub": "alice", "exp": 900, "iss": "https://id", "aud": "kafka"}),
        ] {
            assert_eq!(check(&signed(&own, wrong.clone())), Err(INVALID), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let config = OauthConfig::default();
        let signed = BASE64.encode(json!({"alg": "RS256"}).to_string());
        let claims = BASE64.encode(json!({"sub": "a", "exp": 2000}).to_string());
        let header = BASE64.encode(json!({"alg": "none"}).to_string());
        let tokens =
            ["", "a.b", "..", &format!("{signed}.{claims}.AAAA"), &format!("{header}.{claims}.AAAA")];
        for wrong in tokens {
            assert_eq!(check(wrong, &config, None, NOW_MS), Err(INVALID), "{wrong:?}");
        }
    }
}
