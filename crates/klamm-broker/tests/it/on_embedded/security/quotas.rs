//! Quotas: set, told, and enforced by an answer that says for how long, and a connection that is not read for so long.

use std::time::Duration;

use klamm_broker::{Broker, BrokerConfig, Clock};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use klamm_wire::protocol::messages::describe_client_quotas_request::ComponentData;
use klamm_wire::protocol::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest, FetchResponse,
    MetadataRequest, ProduceResponse,
};

use crate::client::*;

/// Type and name of each part of an entity.
type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn entry(entity: Entity<'_>, ops: &[(&str, Option<f64>)]) -> EntryData {
    let entity = entity.iter().map(|(kind, name)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    });
    let ops = ops.iter().map(|(key, value)| {
        OpData::default().with_key(text(key)).with_value(value.unwrap_or(0.0)).with_remove(value.is_none())
    });
    EntryData::default().with_entity(entity.collect()).with_ops(ops.collect())
}

fn alter(client: &mut Client, entries: Vec<EntryData>) -> Vec<i16> {
    let answer = client.call(1, &AlterClientQuotasRequest::default().with_entries(entries));
    answer.entries.iter().map(|entry| entry.error_code).collect()
}

fn describe(client: &mut Client, filter: &[(&str, i8, Option<&str>)], strict: bool) -> Vec<(String, f64)> {
    let components = filter.iter().map(|(kind, match_type, name)| {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(*match_type)
            .with_match(name.map(text))
    });
    let request =
        DescribeClientQuotasRequest::default().with_components(components.collect()).with_strict(strict);
    let answer = client.call(1, &request);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    let mut all = Vec::new();
    for entry in answer.entries.unwrap() {
        let name = |part: &klamm_wire::protocol::messages::describe_client_quotas_response::EntityData| {
            format!("{}={}", &*part.entity_type, part.entity_name.as_deref().unwrap_or("*"))
        };
        let entity = entry.entity.iter().map(name).collect::<Vec<_>>().join(",");
        all.extend(entry.values.iter().map(|value| (format!("{entity} {}", &*value.key), value.value)));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_set_told_and_removed_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = kept_in(dir.path());
    let broker = Broker::start(config.clone()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let set = vec![
        entry(
            &[("user", Some("u"))],
            &[("producer_byte_rate", Some(1e6)), ("request_percentage", Some(12.5))],
        ),
        entry(&[("user", None), ("client-id", Some("c"))], &[("consumer_byte_rate", Some(2e6))]),
        entry(&[("ip", Some("10.0.0.1"))], &[("connection_creation_rate", Some(5.0))]),
    ];
    assert_eq!(alter(&mut client, set), [0, 0, 0]);
    drop((client, broker));
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let user = ("user=u producer_byte_rate".to_owned(), 1e6);
    let user_percent = ("user=u request_percentage".to_owned(), 12.5);
    let both = ("client-id=c,user=* consumer_byte_rate".to_owned(), 2e6);
    let ip = ("ip=10.0.0.1 connection_creation_rate".to_owned(), 5.0);
    assert_eq!(describe(&mut client, &[], false), [both.clone(), ip, user.clone(), user_percent.clone()]);
    assert_eq!(describe(&mut client, &[("user", 0, Some("u"))], false), [user.clone(), user_percent]);
    assert_eq!(describe(&mut client, &[("user", 1, None)], false), std::slice::from_ref(&both));
    assert_eq!(describe(&mut client, &[("user", 2, None), ("client-id", 2, None)], true), [both]);
    assert_eq!(alter(&mut client, vec![entry(&[("user", Some("u"))], &[("request_percentage", None)])]), [0]);
    assert_eq!(describe(&mut client, &[("user", 2, None)], true), [user]);
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_that_mean_nothing_are_refused() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let rate = [("producer_byte_rate", Some(1.0))];
    let wrong = vec![
        entry(&[], &rate),
        entry(&[("planet", Some("x"))], &rate),
        entry(&[("user", Some(""))], &rate),
        entry(&[("ip", Some("10.0.0.1"))], &rate),
        entry(&[("ip", Some("10.0.0.1")), ("user", None)], &[("connection_creation_rate", Some(1.0))]),
        entry(&[("user", Some("a"))], &[("producer_byte_rate", Some(0.0))]),
        entry(&[("user", Some("b"))], &[("producer_byte_rate", Some(1.5))]),
        entry(&[("user", Some("c"))], &[("unknown", Some(1.0))]),
        entry(&[("user", Some("d"))], &[rate[0], rate[0]]),
    ];
    let count = wrong.len();
    assert_eq!(alter(&mut client, wrong), vec![ErrorCode::INVALID_REQUEST.code(); count]);
    let only = AlterClientQuotasRequest::default()
        .with_entries(vec![entry(&[("user", Some("u"))], &rate)])
        .with_validate_only(true);
    assert_eq!(client.call(1, &only).entries[0].error_code, 0);
    assert!(describe(&mut client, &[], false).is_empty());
    for (component, error) in [(("planet", 2), 35), (("user", 0), 42), (("", 2), 42), (("user", 9), 42)] {
        let component =
            ComponentData::default().with_entity_type(text(component.0)).with_match_type(component.1);
        let request =
            DescribeClientQuotasRequest::default().with_components(vec![component.with_match(None)]);
        assert_eq!(client.call(1, &request).error_code, error);
    }
}

async fn held() -> (Clock, Broker) {
    let mut config = BrokerConfig::default();
    config.clock = Clock::held(NOW);
    let clock = config.clock.clone();
    (clock, Broker::start(config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_beyond_its_rate_is_told_and_waits() {
    let (clock, broker) = held().await;
    let mut admin = Client::named(&broker.bootstrap(), "admin");
    admin.create("t", 1, &[]);
    let quota = entry(&[("client-id", Some("eager"))], &[("producer_byte_rate", Some(1_000.0))]);
    assert_eq!(alter(&mut admin, vec![quota]), [0]);
    let mut eager = Client::named(&broker.bootstrap(), "eager");
    let values = "x".repeat(20_000);
    let request = produce_request("t", 0, batch(&[&values]));
    let answer: ProduceResponse = eager.call(9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "it is stored all the same");
    // 20 KB over ten seconds are twice the rate: ten seconds more make it right.
    assert!((10_000..11_000).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);
    assert_eq!(admin.call(9, &request).throttle_time_ms, 0, "another client");
    eager.send(3, &ApiVersionsRequest::default()).unwrap();
    clock.advance(Duration::from_millis(answer.throttle_time_ms as u64 - 1));
    assert!(eager.has_nothing_for(Duration::from_millis(100)), "not read yet");
    clock.advance(Duration::from_millis(1));
    assert_eq!(eager.receive::<ApiVersionsRequest>(3).unwrap().error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_beyond_its_rate_gets_nothing_until_it_is_due() {
    let (clock, broker) = held().await;
    let mut client = Client::named(&broker.bootstrap(), "eager");
    client.create("t", 1, &[]);
    for _ in 0..4 {
        client.produce("t", 0, batch(&[&"x".repeat(4_000)]));
    }
    let quota = entry(&[("user", Some("ANONYMOUS"))], &[("consumer_byte_rate", Some(1_000.0))]);
    assert_eq!(alter(&mut client, vec![quota]), [0]);
    let fetch = |client: &mut Client, offset: i64| -> FetchResponse {
        client.call(12, &fetch_request("t", 0, offset, Duration::ZERO))
    };
    // Asks again as long as it is told to wait, and gives the bytes that it got, and how often it was told.
    let patiently = |client: &mut Client, offset: i64| {
        for waits in 0.. {
            let answer = fetch(client, offset);
            if answer.throttle_time_ms == 0 {
                return (answer.responses[0].partitions[0].records.as_ref().unwrap().len(), waits);
            }
            assert!(answer.responses.is_empty() && waits < 5, "{answer:?}");
            clock.advance(Duration::from_millis(answer.throttle_time_ms as u64));
        }
        unreachable!("it ends by itself")
    };
    let (bytes, _) = patiently(&mut client, 0);
    assert!(
        (8_000..=10_000).contains(&bytes),
        "{bytes}: no more than ten seconds of the rate, or it would never end"
    );
    let (bytes, waits) = patiently(&mut client, 2);
    assert!(bytes > 0 && waits > 0, "{bytes} {waits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_the_broker_busy_is_throttled_by_any_request() {
    let (clock, broker) = held().await;
    let mut client = Client::named(&broker.bootstrap(), "busy");
    let quota = entry(&[("client-id", None)], &[("request_percentage", Some(1e-9))]);
    assert_eq!(alter(&mut client, vec![quota]), [0]);
    clock.advance(Duration::from_secs(60));
    let answer = client.call(12, &MetadataRequest::default());
    assert_eq!(answer.throttle_time_ms, 1_000, "never longer than a window");
    clock.advance(Duration::from_secs(60));
    assert_eq!(client.call(3, &ApiVersionsRequest::default()).throttle_time_ms, 1_000);
}
