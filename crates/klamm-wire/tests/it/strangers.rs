//! Addresses where there is no broker: each has its own error.

use std::time::Duration;

use klamm_wire::{ConnectOptions, Connection, Security, WireError, WireErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::{listen, options};

async fn failure(address: &str) -> WireError {
    let quick = ConnectOptions { connect_timeout: Duration::from_millis(300), ..options() };
    Connection::connect(address, &Security::default(), &quick).await.expect_err("there is no broker")
}

#[tokio::test]
async fn nobody_listens() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("bound").to_string()
    };
    let error = failure(&address).await;
    assert_eq!(error.to_string(), format!("{address}: connection refused"));
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn the_name_does_not_exist() {
    let error = failure("no-such-host.invalid:9092").await;
    assert!(matches!(error.kind(), WireErrorKind::Dns { .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn the_address_is_none() {
    let error = failure("localhost").await;
    assert_eq!(error.to_string(), "localhost: not an address: \"localhost\" has no port, expected host:port");
}

#[tokio::test]
async fn a_web_server_answers() {
    let address = listen(|mut stream| async move {
        let mut request = [0; 16];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    })
    .await;
    let error = failure(&address).await;
    assert!(matches!(error.kind(), WireErrorKind::NotKafka { .. }), "{error}");
    assert!(error.to_string().contains("an HTTP server answered"), "{error}");
}

#[tokio::test]
async fn an_echo_answers() {
    let address = listen(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await;
    let error = failure(&address).await;
    assert!(matches!(error.kind(), WireErrorKind::NotKafka { .. }), "{error}");
}

#[tokio::test]
async fn somebody_accepts_and_says_nothing() {
    let address = listen(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let error = failure(&address).await;
    assert_eq!(error.to_string(), format!("{address}: no answer to ApiVersions within 300 ms"));
}

#[tokio::test]
async fn somebody_hangs_up() {
    let address = listen(|mut stream| async move {
        let mut request = [0; 4];
        let _ = stream.read_exact(&mut request).await;
    })
    .await;
    let error = failure(&address).await;
    assert!(matches!(error.kind(), WireErrorKind::Closed { .. }), "{error}");
    assert!(error.is_retryable());
}
