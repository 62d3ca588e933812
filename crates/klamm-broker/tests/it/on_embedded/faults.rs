//! Faults on purpose.

use std::time::{Duration, Instant};

use klamm_broker::{Api, Fault};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::MetadataRequest;

use crate::client::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_be_failed_without_effect_and_only_so_often() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    broker.faults().inject(Api::Produce, 2, Fault::Error(ErrorCode::NOT_ENOUGH_REPLICAS));
    for _ in 0..2 {
        let answer = client.produce("t", 0, batch(&["refused"]));
        assert_eq!(answer.error_code, ErrorCode::NOT_ENOUGH_REPLICAS.code());
    }
    assert_eq!(client.produce("t", 0, batch(&["taken"])).error_code, 0);
    assert_eq!(client.values("t", 0, 0), ["taken"]);
    assert_eq!(broker.faults().hits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_closed_before_or_after_the_effect() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    for (fault, value) in [(Fault::CloseBefore, "lost"), (Fault::CloseAfter, "stored")] {
        broker.faults().inject(Api::Produce, 1, fault);
        let mut victim = Client::connect(&broker.bootstrap());
        assert!(victim.try_call(9, &produce_request("t", 0, batch(&[value]))).is_err());
    }
    assert_eq!(client.values("t", 0, 0), ["stored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_can_be_made_slow() {
    let broker = start().await;
    broker.faults().inject_for_client("slow", Api::Metadata, 1, Fault::Delay(Duration::from_millis(200)));
    let (mut slow, mut other) =
        (Client::named(&broker.bootstrap(), "slow"), Client::connect(&broker.bootstrap()));
    other.call(12, &MetadataRequest::default());
    assert_eq!(broker.faults().hits(), 0);
    let begin = Instant::now();
    slow.call(12, &MetadataRequest::default());
    assert!(begin.elapsed() >= Duration::from_millis(200));
}
