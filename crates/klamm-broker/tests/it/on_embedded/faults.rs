//! Faults on purpose.

use std::time::{Duration, Instant};

use klamm_broker::{Api, Broker, BrokerConfig, Clock, Fault, FaultRule};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{GroupId, HeartbeatRequest, MetadataRequest};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_strikes_one_topic_whether_it_is_named_or_known_by_its_id() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let id = client.create_response("t", 1, 1, &[]).topics[0].topic_id;
    client.create("u", 1, &[]);
    let refused = Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let rule = broker.faults().add(FaultRule::new(refused).api(Api::Produce).topic("t"));
    let not_leader = ErrorCode::NOT_LEADER_OR_FOLLOWER.code();
    assert_eq!(client.produce("u", 0, batch(&["taken"])).error_code, 0);
    assert_eq!(client.produce("t", 0, batch(&["refused"])).error_code, not_leader);
    let mut by_id = produce_request("", 0, batch(&["refused"]));
    by_id.topic_data[0].topic_id = id;
    let answer = client.call(13, &by_id);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, not_leader);
    assert_eq!((rule.hits(), broker.faults().hits()), (2, 2));
    rule.remove();
    assert_eq!(client.produce("t", 0, batch(&["taken"])).error_code, 0);
    assert_eq!(client.values("t", 0, 0), ["taken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_or_its_answer_can_be_lost_while_the_connection_stays() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    for (fault, value) in [(Fault::DropRequest, "lost"), (Fault::DropAnswer, "stored")] {
        let rule = broker.faults().add(FaultRule::new(fault).api(Api::Produce).times(1));
        client.send(9, &produce_request("t", 0, batch(&[value]))).unwrap();
        // The next answer on the connection is that of the next request.
        client.call(12, &MetadataRequest::default());
        assert_eq!((rule.hits(), rule.left()), (1, Some(0)));
    }
    assert_eq!(client.values("t", 0, 0), ["stored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_cut_in_the_midst_of_an_answer() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    broker.faults().add(FaultRule::new(Fault::CutAnswer).api(Api::Metadata).times(1));
    client.send(12, &MetadataRequest::default()).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    let told = u32::from_be_bytes(received[..4].try_into().unwrap()) as usize;
    assert_eq!(received.len(), 4 + told / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_ends_when_a_held_clock_has_reached_it() {
    let mut config = BrokerConfig::default();
    config.clock = Clock::held(NOW);
    let clock = config.clock.clone();
    let broker = Broker::start(config).await.unwrap();
    let hour = Duration::from_secs(3_600);
    let rule = broker.faults().add(FaultRule::new(Fault::Delay(hour)).api(Api::Metadata).times(1));
    let mut client = Client::connect(&broker.bootstrap());
    client.send(12, &MetadataRequest::default()).unwrap();
    eventually("the request", || rule.hits() == 1);
    // The hour begins when the request is looked at, which may be after the first step.
    eventually("the answer", || {
        clock.advance(hour);
        client.is_readable()
    });
    client.receive::<MetadataRequest>(12).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_moves_away_and_comes_back_with_everything() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let mut heartbeat = || {
        let request =
            HeartbeatRequest::default().with_group_id(GroupId(text("g"))).with_member_id(text("nobody"));
        client.call(4, &request).error_code
    };
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID.code();
    assert_eq!(heartbeat(), unknown);
    let moved = broker.faults().move_coordinator(3);
    for _ in 0..3 {
        assert_eq!(heartbeat(), ErrorCode::NOT_COORDINATOR.code());
    }
    assert_eq!((heartbeat(), moved.hits()), (unknown, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_nothing_and_then_everything_again() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["before"]));
    broker.faults().fill_disk();
    let storage = ErrorCode::KAFKA_STORAGE_ERROR.code();
    assert_eq!(client.produce("t", 0, batch(&["refused"])).error_code, storage);
    assert_eq!(client.create("u", 1, &[]), storage);
    assert!(broker.storage_failure().is_some_and(|why| why.contains("no space left")));
    assert_eq!(broker.faults().disk_hits(), 2);
    assert_eq!(client.values("t", 0, 0), ["before"], "reading needs no room");
    broker.faults().free_disk();
    assert_eq!(client.create("u", 1, &[]), 0);
    assert_eq!(client.produce("t", 0, batch(&["after"])).base_offset, 1);
    assert_eq!(client.values("t", 0, 0), ["before", "after"]);
}
