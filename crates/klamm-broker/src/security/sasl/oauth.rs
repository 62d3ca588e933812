//! OAUTHBEARER (RFC 7628, KIP-255): a token says who the client is.

use super::{Authenticated, Denied, Step, jws};
use crate::security::Security;

/// The control byte between the parts of a message.
const SEPARATOR: char = '\u{1}';

/// Where an exchange stands.
#[derive(Debug, Default)]
pub(crate) struct Oauth {
    /// The error that the client was told, and acknowledges by an empty message.
    refused: Option<String>,
}

impl Oauth {
    pub fn step(
        self,
        security: &Security,
        now_ms: i64,
        message: &[u8],
    ) -> Result<(Option<Self>, Step), Denied> {
        if let (b"\x01", Some(error)) = (message, self.refused) {
            return Err(Denied::told(error));
        }
        let (acting_for, token) = parse(message).map_err(Denied::untold)?;
        let config = &security.config.sasl.oauth;
        let claims = match jws::check(token, config, security.keys.as_ref(), now_ms) {
            Ok(claims) => claims,
            Err(refused) => {
                // RFC 7628, section 3.2.2: the error is a challenge, which the client acknowledges before it is denied.
                let scope = refused.scope.map(|scope| format!(", \"scope\":\"{scope}\"")).unwrap_or_default();
                let error = format!("{{\"status\":\"{}\"{scope}}}", refused.status);
                let next = Self { refused: Some(error.clone()) };
                return Ok((Some(next), Step::Challenge(error.into_bytes())));
            }
        };
        if !acting_for.is_empty() && acting_for != claims.principal {
            return Err(Denied::told(format!(
                "Authentication failed: Client requested an authorization id ({acting_for}) that is different \
                 from the token's principal name ({})",
                claims.principal
            )));
        }
        let expires_at_ms = Some(claims.expires_at_ms);
        Ok((None, Step::Done(Authenticated { answer: Vec::new(), name: claims.principal, expires_at_ms })))
    }
}

/// Whom the client acts for, and its token.
fn parse(message: &[u8]) -> Result<(&str, &str), &'static str> {
    let message = std::str::from_utf8(message).map_err(|_| "the message is not UTF-8")?;
    let rest = message.strip_prefix("n,").ok_or("channel binding is not supported")?;
    let (acting_for, pairs) = rest.split_once(',').ok_or("the message is cut off")?;
    let acting_for = match acting_for {
        "" => "",
        named => named.strip_prefix("a=").ok_or("the authorization id is malformed")?,
    };
    let pairs = pairs.strip_prefix(SEPARATOR).and_then(|pairs| pairs.strip_suffix(SEPARATOR));
    let pairs = pairs.ok_or("the message is cut off")?;
    let mut token = None;
    for pair in pairs.split_terminator(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or("a pair is malformed")?;
        if key == "auth" {
            let (scheme, value) = value.split_once(' ').ok_or("the token has no scheme")?;
            token = scheme.eq_ignore_ascii_case("bearer").then_some(value.trim_start_matches(' '));
        }
    }
    token.filter(|token| !token.is_empty()).map(|token| (acting_for, token)).ok_or("there is no bearer token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_extensions() {
        assert_eq!(parse(b"n,,\x01auth=Bearer a.b.\x01\x01"), Ok(("", "a.b.")));
        assert_eq!(parse(b"n,a=me,\x01x=y\x01auth=bearer  t\x01\x01"), Ok(("me", "t")));
        for wrong in ["", "y,,\x01auth=Bearer t\x01\x01", "n,,\x01auth=Basic t\x01\x01", "n,,\x01x=y\x01\x01"]
        {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
