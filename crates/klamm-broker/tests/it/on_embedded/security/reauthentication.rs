//! Sessions that end (KIP-368).

use std::time::Duration;

use klamm_broker::{Broker, Clock};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::MetadataRequest;

use super::{config, login};
use crate::client::*;

async fn start(clock: &Clock) -> Broker {
    let mut config = config();
    config.clock = clock.clone();
    config.security.sasl.max_reauth = Some(Duration::from_secs(10));
    Broker::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_unless_the_client_authenticates_again() {
    let clock = Clock::held(NOW);
    let broker = start(&clock).await;
    let (mut renews, mut idles) = (login(&broker, "alice"), login(&broker, "alice"));
    for _ in 0..3 {
        clock.advance(Duration::from_secs(10));
        let answer = renews.plain("alice", "alice-pw");
        assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 10_000));
        assert_eq!(renews.call(12, &MetadataRequest::default()).error_code, 0);
    }
    assert!(idles.try_call(12, &MetadataRequest::default()).is_err(), "it has expired");
    assert!(broker.recent_closures().iter().any(|why| why.contains("expired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_authenticates_again_stays_who_they_are() {
    let clock = Clock::held(NOW);
    let broker = start(&clock).await;
    let mut client = login(&broker, "alice");
    clock.advance(Duration::from_secs(2));
    let answer = client.plain("admin", "admin-pw");
    assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED.code());
    let told = "Cannot change principals during re-authentication from User.alice: User.admin";
    assert_eq!(answer.error_message.as_deref(), Some(told));
    assert!(client.receive_raw().is_err());

    let mut client = login(&broker, "alice");
    clock.advance(Duration::from_secs(2));
    assert_eq!(client.handshake("SCRAM-SHA-256"), 0);
    assert!(client.send_raw(b"\0\x24\0\x02").is_ok());
    assert!(client.receive_raw().is_err(), "nor may the mechanism change");
}

#[tokio::test(flavor = "multi_thread")]
async fn authenticating_again_within_a_second_is_refused() {
    let clock = Clock::held(NOW);
    let broker = start(&clock).await;
    let mut client = login(&broker, "alice");
    assert_eq!(client.plain("alice", "alice-pw").error_code, 0);
    assert_eq!(client.handshake("PLAIN"), ErrorCode::ILLEGAL_SASL_STATE.code());
    assert_eq!(client.call(12, &MetadataRequest::default()).error_code, 0);
}
