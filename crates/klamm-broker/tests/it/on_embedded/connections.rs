//! What a connection may do, and what it may not.

use std::time::Duration;

use bytes::Bytes;
use klamm_broker::{Api, Broker, BrokerConfig};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, IncrementalAlterConfigsRequest, ResponseHeader,
};
use klamm_wire::protocol::protocol::Decodable;

use crate::client::*;

#[tokio::test(flavor = "multi_thread")]
async fn api_versions_tells_exactly_what_is_offered() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    for version in 0..=4 {
        let answer = client.call(version, &ApiVersionsRequest::default());
        let told: Vec<_> =
            answer.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
        let offered =
            Api::ALL.iter().map(|api| (*api as i16, *api.versions().start(), *api.versions().end()));
        assert_eq!(told, offered.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_api_versions_that_is_too_high_is_answered_in_version_0() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.send_raw(&[0, 18, 0, 99, 0, 0, 0, 7, 0, 0, 1, 0]).unwrap();
    let mut frame: Bytes = client.receive_raw().unwrap();
    assert_eq!(ResponseHeader::decode(&mut frame, 0).unwrap().correlation_id, 7);
    let answer = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION.code());
    assert_eq!((answer.api_keys[0].api_key, answer.api_keys[0].max_version), (18, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_request_closes_its_connection_and_no_other() {
    let broker = start().await;
    let mut bystander = Client::connect(&broker.bootstrap());
    let frames: [&[u8]; 6] = [
        b"",
        b"GET / HTTP/1.1",
        &[0, 3, 0, 99, 0, 0, 0, 1, 0, 0],
        &[3, 231, 0, 0, 0, 0, 0, 1, 0, 0],
        &[0, 3, 0, 9, 0, 0, 0, 1, 0, 0],
        &[0, 19, 0, 2, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff],
    ];
    for frame in frames {
        let mut client = Client::connect(&broker.bootstrap());
        client.send_raw(frame).unwrap();
        assert!(client.receive_raw().is_err(), "{frame:?}");
        assert!(!bystander.call(3, &ApiVersionsRequest::default()).api_keys.is_empty());
    }
    assert!(broker.recent_closures().len() >= frames.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_connections_beyond_the_limits_are_refused() {
    let mut config = BrokerConfig::default();
    (config.max_request_bytes, config.max_connections) = (100, 2);
    config.max_idle = Duration::from_millis(300);
    let broker = Broker::start(config).await.unwrap();
    let mut one = Client::connect(&broker.bootstrap());
    let mut two = Client::connect(&broker.bootstrap());
    for client in [&mut one, &mut two] {
        client.call(3, &ApiVersionsRequest::default());
    }
    let mut three = Client::connect(&broker.bootstrap());
    assert!(three.try_call(3, &ApiVersionsRequest::default()).is_err(), "two are enough");
    let _ = one.send_raw(&[0; 101]);
    assert!(one.receive_raw().is_err(), "too large");
    assert!(two.receive_raw().is_err(), "idle for too long");
    eventually("a place for another one", || {
        Client::connect(&broker.bootstrap()).try_call(3, &ApiVersionsRequest::default()).is_ok()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let frames: Vec<i32> = (0..100).collect();
    for id in &frames {
        let mut frame = vec![0, 18, 0, 0];
        frame.extend(id.to_be_bytes());
        frame.extend([0, 0]);
        client.send_raw(&frame).unwrap();
    }
    for id in frames {
        let answer = client.receive_raw().unwrap();
        assert_eq!(answer[..4], id.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_may_have_so_many_connections_and_the_limit_moves_while_it_runs() {
    let mut config = BrokerConfig::default();
    config.max_connections_per_ip = 2;
    let broker = Broker::start(config).await.unwrap();
    let ask = |client: &mut Client| client.try_call(3, &ApiVersionsRequest::default()).is_ok();
    let (mut one, mut two) = (Client::connect(&broker.bootstrap()), Client::connect(&broker.bootstrap()));
    assert!(ask(&mut one) && ask(&mut two));
    assert!(!ask(&mut Client::connect(&broker.bootstrap())), "two are enough");
    assert!(broker.recent_closures().iter().any(|why| why.contains("max.connections.per.ip")));
    let change =
        AlterableConfig::default().with_name(text("max.connections.per.ip")).with_value(Some(text("3")));
    let this_broker = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("1"))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![this_broker]);
    assert_eq!(one.call(1, &request).responses[0].error_code, 0);
    assert!(ask(&mut Client::connect(&broker.bootstrap())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_or_does_not_finish_its_request_is_closed() {
    let mut config = BrokerConfig::default();
    (config.max_write_stall, config.max_idle) = (Duration::from_millis(200), Duration::from_millis(1_500));
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let large = "x".repeat(900_000);
    for _ in 0..20 {
        assert_eq!(client.produce("t", 0, batch(&[&large])).error_code, 0);
    }
    let mut deaf = Client::connect(&broker.bootstrap());
    let mut fetch = fetch_request("t", 0, 0, Duration::ZERO);
    fetch.topics[0].partitions[0].partition_max_bytes = 1 << 24;
    for _ in 0..4 {
        // What it sends after it was closed does not arrive.
        let _ = deaf.send(12, &fetch);
    }
    let noted = |words: &str| broker.recent_closures().iter().any(|why| why.contains(words));
    eventually("closing who does not read", || noted("does not read"));
    let mut slow = Client::connect(&broker.bootstrap());
    slow.send_part(&[0, 0, 0, 100, 0, 18]).unwrap();
    eventually("closing who does not finish", || noted("no request for too long"));
    assert!(slow.receive_raw().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_are_no_burden() {
    let broker = start().await;
    let idle: Vec<_> = (0..1_000).map(|_| Client::connect(&broker.bootstrap())).collect();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    assert_eq!(client.produce("t", 0, batch(&["a"])).error_code, 0);
    drop(idle);
}
