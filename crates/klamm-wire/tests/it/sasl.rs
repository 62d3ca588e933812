//! Authentication against a server that checks it. SCRAM's messages are proved by RFC 7677's example beside the code,
//! and against real brokers by `klamm-admin`'s tests.

use bytes::Bytes;
use klamm_wire::protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use klamm_wire::protocol::protocol::{Decodable, StrBytes};
use klamm_wire::{Connection, Mechanism, Sasl, Security, WireErrorKind};

use super::server::{Answer, Asked, MODERN, broker, frame, is, options, versions};

/// A listener that offers PLAIN and knows one user.
fn plain_listener(asked: &mut Asked) -> Answer {
    let version = asked.header.request_api_version;
    if is(asked, ApiKey::ApiVersions) {
        return frame(asked, &versions(MODERN));
    }
    if is(asked, ApiKey::SaslHandshake) {
        let wanted = SaslHandshakeRequest::decode(&mut asked.body, version).expect("a handshake").mechanism;
        let code = if &*wanted == "PLAIN" { 0 } else { 33 };
        let offered = vec![StrBytes::from_static_str("PLAIN")];
        return frame(
            asked,
            &SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(offered),
        );
    }
    if is(asked, ApiKey::SaslAuthenticate) {
        let token = SaslAuthenticateRequest::decode(&mut asked.body, version).expect("a token").auth_bytes;
        let answer = match token == Bytes::from_static(b"\0ann\0secret") {
            true => SaslAuthenticateResponse::default().with_session_lifetime_ms(60_000),
            false => SaslAuthenticateResponse::default()
                .with_error_code(58)
                .with_error_message(Some(StrBytes::from_static_str("invalid username or password"))),
        };
        return frame(asked, &answer);
    }
    Answer::Close
}

fn credentials(mechanism: Mechanism, password: &str) -> Security {
    let sasl = Sasl { mechanism, username: "ann".into(), password: password.into() };
    Security { tls: None, sasl: Some(sasl) }
}

#[tokio::test]
async fn the_right_password_is_let_in() {
    let address = broker(plain_listener).await;
    let connection =
        Connection::connect(&address, &credentials(Mechanism::Plain, "secret"), &options()).await;
    assert!(connection.expect("authenticated").is_usable());
}

#[tokio::test]
async fn the_wrong_password_is_refused_in_the_brokers_words() {
    let address = broker(plain_listener).await;
    let error = Connection::connect(&address, &credentials(Mechanism::Plain, "guess"), &options()).await;
    let error = error.expect_err("refused");
    let text = format!("{address}: authentication by PLAIN failed: invalid username or password");
    assert_eq!(error.to_string(), text);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_names_those_that_are() {
    let address = broker(plain_listener).await;
    let error =
        Connection::connect(&address, &credentials(Mechanism::ScramSha512, "secret"), &options()).await;
    let error = error.expect_err("not offered");
    assert!(
        matches!(error.kind(), WireErrorKind::MechanismUnsupported { offered, .. } if offered == &["PLAIN"])
    );
}

#[tokio::test]
async fn a_listener_that_wants_authentication_says_which() {
    let address = broker(plain_listener).await;
    let error =
        klamm_wire::ask_for_sasl(&address, &Security::default(), &options()).await.expect("it wants SASL");
    assert!(
        matches!(error.kind(), WireErrorKind::SaslExpected { offered } if offered == &["PLAIN"]),
        "{error}"
    );
}
