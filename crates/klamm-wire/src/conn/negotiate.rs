//! The first exchanges of a connection: versions (KIP-511), then SASL (KIP-43, KIP-152).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use klamm_kafka::Mechanism;
use rand::Rng;
use rand::distr::Alphanumeric;

use super::link::{Link, decode};
use crate::error::{Api, WireError, WireErrorKind};
use crate::protocol::ResponseError;
use crate::protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest,
};
use crate::protocol::protocol::{Message, Request, StrBytes};
use crate::sasl::{self, Hash, ScramFirst};
use crate::security::Sasl;

/// Versions of each request that a broker speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiRanges {
    ranges: BTreeMap<i16, (i16, i16)>,
}

impl ApiRanges {
    /// Lowest and highest version of an API key; `None` when the broker does not know it.
    pub fn of(&self, api: Api) -> Option<(i16, i16)> {
        self.ranges.get(&api.0).copied()
    }

    /// All API keys with their lowest and highest version.
    pub fn iter(&self) -> impl Iterator<Item = (Api, (i16, i16))> + '_ {
        self.ranges.iter().map(|(key, range)| (Api(*key), *range))
    }

    /// The newest version of `R` that both sides speak, not above `cap`.
    pub(super) fn choose<R: Request>(&self, cap: Option<i16>) -> Result<i16, WireErrorKind> {
        let api = Api(R::KEY);
        let ours = (R::VERSIONS.min, cap.map_or(R::VERSIONS.max, |cap| R::VERSIONS.max.min(cap)));
        let theirs = self.of(api);
        theirs
            .map(|(lowest, highest)| (ours.0.max(lowest), ours.1.min(highest)))
            .filter(|(lowest, highest)| lowest <= highest)
            .map(|(_, highest)| highest)
            .ok_or(WireErrorKind::UnsupportedVersion { api, ours, theirs })
    }
}

/// Asks for the broker's versions, in the newest form that it understands.
pub(super) async fn versions(link: &Link, limit: Duration) -> Result<ApiRanges, WireError> {
    let newest = ApiVersionsRequest::VERSIONS.max;
    let mut response = ask_versions(link, newest, limit).await?;
    if response.error_code == ResponseError::UnsupportedVersion.code() {
        let theirs = ranges_of(&response).of(Api(ApiVersionsRequest::KEY));
        let older = theirs.map_or(0, |(_, highest)| highest.clamp(0, newest - 1));
        response = ask_versions(link, older, limit).await?;
    }
    match response.error_code {
        0 => Ok(ranges_of(&response)),
        code => {
            let message = format!("error code {code}");
            Err(link.failed(WireErrorKind::Codec { api: Api(ApiVersionsRequest::KEY), message }))
        }
    }
}

async fn ask_versions(link: &Link, version: i16, limit: Duration) -> Result<ApiVersionsResponse, WireError> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("klamm"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let answer = link.exchange(&request, version, limit).await?;
    // A broker that does not know the version answers in version 0, whatever was asked (KIP-511).
    let version =
        if error_code(&answer) == Some(ResponseError::UnsupportedVersion.code()) { 0 } else { version };
    decode(answer, 0, version).map_err(|message| {
        let kind = WireErrorKind::Codec { api: Api(ApiKey::ApiVersions as i16), message };
        link.failed(kind)
    })
}

/// The error code that every version of the answer has right after its correlation id.
fn error_code(answer: &Bytes) -> Option<i16> {
    answer.get(4..6)?.try_into().ok().map(i16::from_be_bytes)
}

fn ranges_of(response: &ApiVersionsResponse) -> ApiRanges {
    let range = |api: &crate::protocol::messages::api_versions_response::ApiVersion| {
        (api.api_key, (api.min_version, api.max_version))
    };
    ApiRanges { ranges: response.api_keys.iter().map(range).collect() }
}

/// Authenticates; gives the lifetime of the session when the broker limits it (KIP-368).
pub(super) async fn authenticate(
    link: &Link,
    ranges: &ApiRanges,
    sasl: &Sasl,
    limit: Duration,
) -> Result<Option<Duration>, WireError> {
    // Version 1 of the handshake puts the tokens into SaslAuthenticate, which carries errors (KIP-152).
    let version = ranges.choose::<SaslHandshakeRequest>(None).map_err(|kind| link.failed(kind))?;
    if version < 1 {
        let (api, theirs) = (Api(SaslHandshakeRequest::KEY), Some((0, 0)));
        return Err(link.failed(WireErrorKind::UnsupportedVersion { api, ours: (1, 1), theirs }));
    }
    handshake(link, version, sasl.mechanism, limit).await?;
    let exchange = Exchange { link, ranges, mechanism: sasl.mechanism, limit };
    let answer = match Hash::of(sasl.mechanism) {
        None => exchange.send(sasl::plain(&sasl.username, &sasl.password)).await?,
        Some(hash) => exchange.scram(hash, sasl).await?,
    };
    let lifetime = u64::try_from(answer.session_lifetime_ms).unwrap_or(0);
    Ok((lifetime > 0).then(|| Duration::from_millis(lifetime)))
}

async fn handshake(
    link: &Link,
    version: i16,
    mechanism: Mechanism,
    limit: Duration,
) -> Result<(), WireError> {
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism.name()));
    let answer = link.call(&request, version, limit).await?;
    let offered = || answer.mechanisms.iter().map(ToString::to_string).collect();
    let kind = match ResponseError::try_from_code(answer.error_code) {
        None => return Ok(()),
        // What a listener without SASL answers.
        Some(ResponseError::IllegalSaslState) => {
            WireErrorKind::MechanismUnsupported { mechanism, offered: vec![] }
        }
        Some(ResponseError::UnsupportedSaslMechanism) => {
            WireErrorKind::MechanismUnsupported { mechanism, offered: offered() }
        }
        Some(other) => WireErrorKind::AuthenticationFailed { mechanism, message: other.to_string() },
    };
    Err(link.failed(kind))
}

struct Exchange<'a> {
    link: &'a Link,
    ranges: &'a ApiRanges,
    mechanism: Mechanism,
    limit: Duration,
}

impl Exchange<'_> {
    async fn scram(&self, hash: Hash, sasl: &Sasl) -> Result<SaslAuthenticateResponse, WireError> {
        let nonce = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
        let first = ScramFirst::new(hash, &sasl.username, &sasl.password, nonce);
        let challenge = self.send(first.message().into_bytes()).await?;
        let challenge = self.text(&challenge)?;
        // Thousands of hash rounds: not on a thread that serves other connections.
        let answered = tokio::task::spawn_blocking(move || first.answer(&challenge)).await;
        let (answer, verify) = answered
            .map_err(|error| self.refused(error.to_string()))?
            .map_err(|error| self.refused(error.to_string()))?;
        let last = self.send(answer.into_bytes()).await?;
        verify.verify(&self.text(&last)?).map_err(|error| self.refused(error.to_string()))?;
        Ok(last)
    }

    async fn send(&self, token: Vec<u8>) -> Result<SaslAuthenticateResponse, WireError> {
        let version =
            self.ranges.choose::<SaslAuthenticateRequest>(None).map_err(|kind| self.link.failed(kind))?;
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(token));
        let answer = self.link.call(&request, version, self.limit).await?;
        match ResponseError::try_from_code(answer.error_code) {
            None => Ok(answer),
            Some(error) => {
                let message =
                    answer.error_message.map_or_else(|| error.to_string(), |message| message.to_string());
                Err(self.refused(message))
            }
        }
    }

    fn text(&self, answer: &SaslAuthenticateResponse) -> Result<String, WireError> {
        let text = String::from_utf8(answer.auth_bytes.to_vec());
        text.map_err(|_| self.refused("the broker's message is not text".to_owned()))
    }

    fn refused(&self, message: String) -> WireError {
        self.link.failed(WireErrorKind::AuthenticationFailed { mechanism: self.mechanism, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::FetchRequest;

    fn ranges(api: ApiKey, range: (i16, i16)) -> ApiRanges {
        ApiRanges { ranges: [(api as i16, range)].into() }
    }

    #[test]
    fn the_newest_common_version_is_spoken() {
        let fetch = |range| ranges(ApiKey::Fetch, range);
        assert_eq!(fetch((4, 99)).choose::<FetchRequest>(None).ok(), Some(FetchRequest::VERSIONS.max));
        assert_eq!(fetch((4, 11)).choose::<FetchRequest>(None).ok(), Some(11));
        assert_eq!(fetch((4, 17)).choose::<FetchRequest>(Some(12)).ok(), Some(12));
    }

    #[test]
    fn no_common_version_is_a_typed_error() {
        let refused = ranges(ApiKey::Fetch, (0, 2)).choose::<FetchRequest>(None);
        assert!(matches!(refused, Err(WireErrorKind::UnsupportedVersion { theirs: Some((0, 2)), .. })));
        let unknown = ApiRanges::default().choose::<FetchRequest>(None);
        assert!(matches!(unknown, Err(WireErrorKind::UnsupportedVersion { theirs: None, .. })));
    }
}
