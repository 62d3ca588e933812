//! Every mechanism, with right and wrong credentials, and what a connection may do before.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use klamm_broker::{Broker, Listener, SecurityProtocol};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{
    ApiVersionsRequest, FindCoordinatorRequest, MetadataRequest, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use klamm_wire::sasl::{Hash, ScramFirst};

use super::{config, login, start};
use crate::client::*;

const FAILED: i16 = ErrorCode::SASL_AUTHENTICATION_FAILED.code();

/// The connection does not answer any more.
fn is_closed(client: &mut Client) -> bool {
    client.receive_raw().is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_lets_in_who_knows_the_password() {
    let broker = start().await;
    let mut client = login(&broker, "alice");
    assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);
    for (user, password) in [("alice", "admin-pw"), ("nobody", "alice-pw")] {
        let mut client = Client::connect(&broker.bootstrap());
        let answer = client.plain(user, password);
        assert_eq!(answer.error_code, FAILED);
        assert_eq!(
            answer.error_message.as_deref(),
            Some("Authentication failed: Invalid username or password")
        );
        assert!(is_closed(&mut client));
    }
    assert!(broker.recent_closures().iter().any(|why| why.contains("SASL PLAIN")));
}

fn scram(client: &mut Client, hash: Hash, user: &str, password: &str) -> Result<(), i16> {
    let mechanism = hash.mechanism().name();
    assert_eq!(client.handshake(mechanism), 0);
    let first = ScramFirst::new(hash, user, password, "clientnonce".to_owned());
    let told = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let answer = client.message(first.message().as_bytes());
    if answer.error_code != 0 {
        return Err(answer.error_code);
    }
    let (last, verify) = first.answer(&told(&answer.auth_bytes)).unwrap();
    let answer = client.message(last.as_bytes());
    if answer.error_code != 0 {
        // Neither that the user exists, nor that the password was wrong.
        let expected = format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
        );
        assert_eq!(answer.error_message.as_deref(), Some(expected.as_str()));
        return Err(answer.error_code);
    }
    verify.verify(&told(&answer.auth_bytes)).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_proves_both_sides() {
    let broker = start().await;
    for hash in [Hash::Sha256, Hash::Sha512] {
        let mut client = Client::connect(&broker.bootstrap());
        assert_eq!(scram(&mut client, hash, "alice", "alice-pw"), Ok(()));
        assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);
        for (user, password) in [("alice", "wrong"), ("nobody", "alice-pw")] {
            let mut client = Client::connect(&broker.bootstrap());
            assert_eq!(scram(&mut client, hash, user, password), Err(FAILED));
            assert!(is_closed(&mut client));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_tokens_are_believed_until_they_expire() {
    let broker = start().await;
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |expires_s: u64| {
        let part = |text: String| BASE64.encode(text);
        let claims = part(format!("{{\"sub\":\"alice\",\"exp\":{expires_s}}}"));
        format!("n,,\x01auth=Bearer {}.{claims}.\x01\x01", part("{\"alg\":\"none\"}".to_owned()))
    };
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.handshake("OAUTHBEARER"), 0);
    let answer = client.message(token(now_s + 60).as_bytes());
    assert_eq!((answer.error_code, answer.auth_bytes.as_ref()), (0, b"".as_slice()));
    assert!((1..=60_000).contains(&answer.session_lifetime_ms), "the session ends with the token");
    assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);

    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.handshake("OAUTHBEARER"), 0);
    let answer = client.message(token(now_s - 1).as_bytes());
    assert_eq!(answer.error_code, 0, "the error is a challenge");
    assert_eq!(answer.auth_bytes.as_ref(), b"{\"status\":\"invalid_token\"}");
    let answer = client.message(b"\x01");
    assert_eq!(answer.error_code, FAILED);
    assert_eq!(answer.error_message.as_deref(), Some("{\"status\":\"invalid_token\"}"));
    assert!(is_closed(&mut client));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_authentication_only_the_versions_and_sasl_are_answered() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.call(3, &ApiVersionsRequest::default()).error_code, 0);
    assert!(client.try_call(3, &ApiVersionsRequest::default()).is_err(), "once is enough");

    let mut client = Client::connect(&broker.bootstrap());
    assert!(client.try_call(12, &MetadataRequest::default()).is_err());

    // A version that is too high is answered, and may be asked again.
    let mut client = Client::connect(&broker.bootstrap());
    client.send_raw(&[0, 18, 0, 99, 0, 0, 0, 7, 0, 0, 1, 0]).unwrap();
    client.receive_raw().unwrap();
    assert_eq!(client.call(3, &ApiVersionsRequest::default()).error_code, 0);
    assert_eq!(client.plain("alice", "alice-pw").error_code, 0);

    let mut client = Client::connect(&broker.bootstrap());
    let wrong = client.call(1, &SaslHandshakeRequest::default().with_mechanism(text("GSSAPI")));
    assert_eq!(wrong.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM.code());
    let enabled: Vec<_> = wrong.mechanisms.iter().map(|name| name.to_string()).collect();
    assert_eq!(enabled, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]);
    assert!(is_closed(&mut client));

    // Once a mechanism is named, only its messages are expected.
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.handshake("PLAIN"), 0);
    let answer = client.call(3, &FindCoordinatorRequest::default());
    assert_eq!(answer.error_code, ErrorCode::ILLEGAL_SASL_STATE.code());
    assert!(is_closed(&mut client));
}

#[tokio::test(flavor = "multi_thread")]
async fn sasl_has_no_place_on_a_connection_that_stands() {
    let mut config = config();
    config.listeners.push(Listener::local(SecurityProtocol::Plaintext));
    let broker = Broker::start(config).await.unwrap();
    let open = broker.bootstrap_of("PLAINTEXT").unwrap();
    for mut client in [login(&broker, "alice"), Client::connect(&open)] {
        assert_eq!(client.handshake("PLAIN"), ErrorCode::ILLEGAL_SASL_STATE.code());
        let answer = client.message(b"\0alice\0alice-pw");
        assert_eq!(answer.error_code, ErrorCode::ILLEGAL_SASL_STATE.code());
        assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);
    }
    assert_eq!(broker.bootstrap_of("SSL"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_headers_follow_the_first_version_of_the_handshake() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
    assert_eq!(client.call(0, &handshake).error_code, 0);
    client.send_raw(b"\0alice\0alice-pw").unwrap();
    assert!(client.receive_raw().unwrap().is_empty());
    assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);

    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.call(0, &handshake).error_code, 0);
    client.send_raw(b"\0alice\0wrong").unwrap();
    assert!(is_closed(&mut client));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_takes_its_time_and_large_requests_are_not_read() {
    let mut config = config();
    config.security.failed_authentication_delay = Duration::from_millis(300);
    config.security.sasl.max_receive_bytes = 1_000;
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let begin = Instant::now();
    assert_eq!(client.plain("alice", "wrong").error_code, FAILED);
    assert!(begin.elapsed() >= Duration::from_millis(300));

    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.handshake("PLAIN"), 0);
    let large = SaslAuthenticateRequest::default().with_auth_bytes(vec![b'x'; 1_000].into());
    assert!(client.try_call(2, &large).is_err());
    let mut client = login(&broker, "admin");
    assert_eq!(client.create(&"t".repeat(200), 1, &[]), 0);
    client.produce(&"t".repeat(200), 0, batch(&[&"x".repeat(2_000)]));
}
