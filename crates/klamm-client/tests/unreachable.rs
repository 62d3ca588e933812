//! Addresses at which there is no cluster.

use std::time::{Duration, Instant};

use klamm_client::{ClientErrorKind, ClientOptions, Consumer, ConsumerOptions, Producer, ProducerOptions};

#[tokio::test]
async fn an_address_without_a_broker_is_told_at_once() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let cluster = ClientOptions::new([address.clone()]);
    let started = Instant::now();
    let error = Producer::open(&cluster, ProducerOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ClientErrorKind::Connect(_)), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    let error = Consumer::open(&cluster, ConsumerOptions::new("g", ["t"])).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_refused_without_a_cluster() {
    let cluster = ClientOptions::new(["127.0.0.1:1"]);
    let options = ProducerOptions { max_in_flight: 6, ..ProducerOptions::default() };
    let error = Producer::open(&cluster, options).await.unwrap_err();
    assert!(error.to_string().starts_with("max.in.flight.requests.per.connection=6"), "{error}");
}
