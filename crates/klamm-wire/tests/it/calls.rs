//! Negotiation, pipelining, deadlines and cancelled calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use klamm_wire::protocol::messages::{ApiKey, FetchRequest, MetadataRequest, MetadataResponse};
use klamm_wire::protocol::protocol::StrBytes;
use klamm_wire::{CallOptions, Connection, Effect, Security, WireErrorKind};
use tokio::sync::Notify;

use super::server::{Answer, Asked, MODERN, broker, frame, frame_in, is, options, versions};

fn metadata(asked: &Asked) -> Answer {
    let cluster = format!("v{}", asked.header.request_api_version);
    frame(asked, &MetadataResponse::default().with_cluster_id(Some(StrBytes::from_string(cluster))))
}

fn modern(asked: &mut Asked) -> Answer {
    if is(asked, ApiKey::ApiVersions) { frame(asked, &versions(MODERN)) } else { metadata(asked) }
}

async fn connect(address: &str) -> Connection {
    Connection::connect(address, &Security::default(), &options()).await.expect("connects")
}

#[tokio::test]
async fn the_newest_common_version_is_spoken() {
    let address = broker(modern).await;
    let connection = connect(&address).await;
    let answer = connection.call(&MetadataRequest::default()).await.expect("answers");
    assert_eq!(answer.cluster_id.as_deref(), Some("v13"));
    let capped = CallOptions { max_version: Some(9), ..CallOptions::default() };
    let answer = connection.call_with(&MetadataRequest::default(), capped).await.expect("answers");
    assert_eq!(answer.cluster_id.as_deref(), Some("v9"));
}

#[tokio::test]
async fn an_old_broker_is_asked_again_in_a_version_that_it_knows() {
    let address = broker(|asked| match (is(asked, ApiKey::ApiVersions), asked.header.request_api_version) {
        // What KIP-511 prescribes: UNSUPPORTED_VERSION, in the form of version 0.
        (true, 3..) => frame_in(asked, &versions(&[(ApiKey::ApiVersions, 0, 2)]).with_error_code(35), 0),
        (true, _) => frame(asked, &versions(&[(ApiKey::ApiVersions, 0, 2), (ApiKey::Metadata, 0, 7)])),
        _ => metadata(asked),
    })
    .await;
    let connection = connect(&address).await;
    let answer = connection.call(&MetadataRequest::default()).await.expect("answers");
    assert_eq!(answer.cluster_id.as_deref(), Some("v7"));
    let refused = connection.call(&FetchRequest::default()).await.expect_err("unknown to the broker");
    assert!(matches!(refused.kind(), WireErrorKind::UnsupportedVersion { theirs: None, .. }), "{refused}");
}

#[tokio::test]
async fn calls_are_pipelined_and_each_gets_its_own_answer() {
    let address = broker(|asked| match is(asked, ApiKey::ApiVersions) {
        true => frame(asked, &versions(MODERN)),
        // Says which request it answers: correlation ids follow the order in which requests left.
        false => {
            let id = StrBytes::from_string(asked.header.correlation_id.to_string());
            frame(asked, &MetadataResponse::default().with_cluster_id(Some(id)))
        }
    })
    .await;
    let connection = connect(&address).await;
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.call(&MetadataRequest::default()).await })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        let answer = call.await.expect("no panic").expect("answers");
        answers.push(answer.cluster_id.expect("set").parse::<i32>().expect("a number"));
    }
    answers.sort_unstable();
    // 1 was ApiVersions.
    assert_eq!(answers, (2..502).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dropped_call_leaves_the_connection_sound() {
    let asked_twice = Arc::new(Notify::new());
    let seen = Arc::new(AtomicUsize::new(0));
    let (notify, count) = (Arc::clone(&asked_twice), Arc::clone(&seen));
    let address = broker(move |asked| {
        if !is(asked, ApiKey::ApiVersions) && count.fetch_add(1, Ordering::SeqCst) == 0 {
            notify.notify_one();
        }
        modern(asked)
    })
    .await;
    let connection = connect(&address).await;
    let request = MetadataRequest::default();
    tokio::select! {
        biased;
        () = asked_twice.notified() => {}
        _ = connection.call(&request) => {}
    }
    for _ in 0..10 {
        connection.call(&request).await.expect("the connection is sound");
    }
}

#[tokio::test]
async fn silence_is_a_timeout_that_names_the_request_and_ends_the_connection() {
    let address = broker(|asked| match is(asked, ApiKey::ApiVersions) {
        true => frame(asked, &versions(MODERN)),
        false => Answer::Silence,
    })
    .await;
    let connection = connect(&address).await;
    let quick = CallOptions { timeout: Some(Duration::from_millis(50)), ..CallOptions::default() };
    let error = connection.call_with(&MetadataRequest::default(), quick).await.expect_err("silence");
    assert_eq!(error.to_string(), format!("{address}: no answer to Metadata within 50 ms"));
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(error.is_retryable());
    let error = connection.call(&MetadataRequest::default()).await.expect_err("ended");
    assert!(matches!(error.kind(), WireErrorKind::Closed { .. }), "{error}");
    assert_eq!(error.effect(), Effect::None);
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_connection_that_closes_fails_every_waiting_call() {
    let address = broker(|asked| match is(asked, ApiKey::ApiVersions) {
        true => frame(asked, &versions(MODERN)),
        false => Answer::Close,
    })
    .await;
    let connection = connect(&address).await;
    let request = MetadataRequest::default();
    let calls = [connection.call(&request), connection.call(&request), connection.call(&request)];
    for call in calls {
        let error = call.await.expect_err("closed");
        assert!(matches!(error.kind(), WireErrorKind::Closed { .. }), "{error}");
    }
}

#[tokio::test]
async fn bytes_left_over_in_an_answer_are_reported() {
    let address = broker(|asked| match (is(asked, ApiKey::ApiVersions), metadata(asked)) {
        (true, _) => frame(asked, &versions(MODERN)),
        (false, Answer::Frame(answer)) => {
            let mut longer = BytesMut::from(&answer[..]);
            longer.put_slice(b"xyz");
            Answer::Frame(longer.freeze())
        }
        (false, other) => other,
    })
    .await;
    let error = connect(&address).await.call(&MetadataRequest::default()).await.expect_err("too long");
    assert!(error.to_string().ends_with("version 13: 3 bytes are left over"), "{error}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let address = broker(|asked| match is(asked, ApiKey::ApiVersions) {
        true => frame(asked, &versions(MODERN)),
        false => {
            let long = StrBytes::from_string("x".repeat(5000));
            frame(asked, &MetadataResponse::default().with_cluster_id(Some(long)))
        }
    })
    .await;
    let small = klamm_wire::ConnectOptions { max_response_bytes: 1000, ..options() };
    let connection = Connection::connect(&address, &Security::default(), &small).await.expect("connects");
    let error = connection.call(&MetadataRequest::default()).await.expect_err("too large");
    assert!(matches!(error.kind(), WireErrorKind::FrameTooLarge { limit: 1000, .. }), "{error}");
}

#[tokio::test]
async fn an_idle_connection_closes_itself() {
    let address = broker(modern).await;
    let idle = klamm_wire::ConnectOptions { idle_timeout: Duration::from_millis(20), ..options() };
    let connection = Connection::connect(&address, &Security::default(), &idle).await.expect("connects");
    let closed = async {
        while !connection.is_closed() {
            // tidy: allow(the pause between two looks; the bound is below)
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("closes within the bound");
}
