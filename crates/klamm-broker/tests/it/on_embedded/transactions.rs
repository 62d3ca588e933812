//! Transactions over the socket: the classic flow, version 2, fencing, time-outs, offsets, and a broker that starts again.

use std::time::Duration;

use klamm_broker::{Broker, BrokerConfig, Clock};
use klamm_kafka::ErrorCode;
use klamm_wire::batch::ProducerStamp;
use klamm_wire::protocol::messages::describe_producers_request::TopicRequest;
use klamm_wire::protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use klamm_wire::protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, ListTransactionsRequest, ProducerId,
    WriteTxnMarkersRequest,
};

use crate::client::*;
use crate::producer::*;

/// What a read_committed reader sees of partition 0.
fn committed(client: &mut Client) -> Vec<String> {
    client.committed_values("t", 0)
}

fn state(client: &mut Client) -> (String, Vec<(String, Vec<i32>)>) {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![txn()]);
    let state = client.call(0, &request).transaction_states.remove(0);
    assert_eq!(state.error_code, 0);
    let topics = state.topics.into_iter().map(|topic| (topic.topic.to_string(), topic.partitions));
    (state.transaction_state.to_string(), topics.collect())
}

async fn with_topic() -> (Broker, Client) {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create("t", 2, &[]), 0);
    (broker, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_flow_commits_and_aborts() {
    let (_broker, mut client) = with_topic().await;
    let mut producer = Producer::start(&mut client, CLASSIC);
    assert_eq!(producer.send("too early"), ErrorCode::TRANSACTION_ABORTABLE);
    producer.versions.produce = 10;
    assert_eq!(producer.send("too early"), ErrorCode::INVALID_TXN_STATE, "what an older client knows");
    assert_eq!(producer.add(&[7]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(producer.add(&[0, 1]), ErrorCode::NONE);
    assert_eq!(producer.send("one"), ErrorCode::NONE);
    assert_eq!(producer.send("two"), ErrorCode::NONE);
    let open = vec![("t".to_owned(), vec![0, 1])];
    assert_eq!(state(producer.client), ("Ongoing".to_owned(), open));
    assert!(committed(producer.client).is_empty());
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(producer.end(true), ErrorCode::NONE, "the answer was lost");
    assert_eq!(producer.end(false), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(state(producer.client), ("CompleteCommit".to_owned(), vec![]));

    assert_eq!(producer.add(&[0]), ErrorCode::NONE);
    assert_eq!(producer.send("dropped"), ErrorCode::NONE);
    assert_eq!(producer.end(false), ErrorCode::NONE);
    assert_eq!(committed(producer.client), ["one", "two"]);
    assert_eq!(client.values("t", 0, 0).len(), 5, "with the dropped one and two markers");
}

#[tokio::test(flavor = "multi_thread")]
async fn version_2_adds_partitions_by_itself_and_raises_the_epoch_with_each_end() {
    let (_broker, mut client) = with_topic().await;
    let mut producer = Producer::start(&mut client, TWO);
    assert_eq!(producer.send("one"), ErrorCode::NONE);
    assert_eq!((producer.end(true), producer.epoch), (ErrorCode::NONE, 1));
    assert_eq!(producer.send("dropped"), ErrorCode::NONE);
    assert_eq!((producer.end(false), producer.epoch), (ErrorCode::NONE, 2));
    assert_eq!((producer.end(false), producer.epoch), (ErrorCode::NONE, 3), "nothing was open");
    assert_eq!(producer.send("two"), ErrorCode::NONE);
    let before = ProducerStamp { id: producer.id, epoch: 2, base_sequence: 0 };
    let zombie = send(producer.client, TWO, before, "zombie");
    assert_eq!(zombie, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&mut client), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_id_fences_who_held_it() {
    let (_broker, mut client) = with_topic().await;
    for versions in [CLASSIC, TWO] {
        let mut zombie = Producer::start(&mut client, versions);
        if versions.end == CLASSIC.end {
            assert_eq!(zombie.add(&[0]), ErrorCode::NONE);
        }
        assert_eq!(zombie.send("from the zombie"), ErrorCode::NONE);
        assert_eq!(init(zombie.client, (-1, -1), MINUTE), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        let (id, epoch) = init(zombie.client, (-1, -1), MINUTE).unwrap();
        assert_eq!((id, epoch), (zombie.id, zombie.epoch + 2), "one to abort, one to go on");
        assert_eq!(zombie.send("again"), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(zombie.end(true), ErrorCode::PRODUCER_FENCED);
        let held = (zombie.id, zombie.epoch);
        assert_eq!(init(zombie.client, held, MINUTE), Err(ErrorCode::PRODUCER_FENCED));
    }
    assert!(committed(&mut client).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    let (_broker, mut client) = with_topic().await;
    let mut producer = Producer::start(&mut client, TWO);
    assert_eq!(producer.commit_offset(5), ErrorCode::NONE);
    assert_eq!(state(producer.client).1[0].0, "__consumer_offsets");
    assert_eq!(offset(producer.client, false), Ok(-1));
    assert_eq!(offset(producer.client, true), Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(offset(producer.client, true), Ok(5));
    assert_eq!(producer.commit_offset(9), ErrorCode::NONE);
    assert_eq!(producer.end(false), ErrorCode::NONE);
    assert_eq!(offset(producer.client, true), Ok(5));

    producer.versions = CLASSIC;
    assert_eq!(producer.commit_offset(7), ErrorCode::TRANSACTION_ABORTABLE, "the group was not added");
    assert_eq!(producer.try_add_group().unwrap(), ErrorCode::NONE);
    assert_eq!(producer.commit_offset(7), ErrorCode::NONE);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(offset(&mut client, true), Ok(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let mut config = BrokerConfig::default();
    config.clock = Clock::held(NOW);
    let clock = config.clock.clone();
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let most = 15 * MINUTE;
    assert_eq!(init(&mut client, (-1, -1), most + 1), Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    assert_eq!(init(&mut client, (-1, -1), 0), Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    let mut producer = Producer::start(&mut client, TWO);
    assert_eq!(producer.send("too slow"), ErrorCode::NONE);
    clock.advance(Duration::from_millis(MINUTE as u64));
    clock.advance(Duration::from_secs(10));
    eventually("the abort", || state(producer.client).0 == "CompleteAbort");
    assert_eq!(producer.end(true), ErrorCode::INVALID_TXN_STATE, "the retry of another outcome");
    assert_eq!(producer.send("zombie"), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert!(committed(&mut client).is_empty());
    let list = ListTransactionsRequest::default().with_transactional_id_pattern(Some(text("t.n")));
    assert_eq!(client.call(2, &list).transaction_states.len(), 1);
    clock.advance(Duration::from_secs(8 * 24 * 3600));
    eventually("the expiry", || client.call(2, &list).transaction_states.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_transaction_is_found_and_ended_without_its_coordinator() {
    let (_broker, mut client) = with_topic().await;
    let mut producer = Producer::start(&mut client, TWO);
    assert_eq!(producer.send("hangs"), ErrorCode::NONE);
    let (id, epoch) = (producer.id, producer.epoch);
    let topics = vec![TopicRequest::default().with_name(topic("t")).with_partition_indexes(vec![0])];
    let request = DescribeProducersRequest::default().with_topics(topics);
    let mut open = || {
        let answer = client.call(0, &request).topics.remove(0).partitions.remove(0);
        let producer = answer.active_producers.first().unwrap();
        assert_eq!((producer.producer_id.0, producer.last_sequence), (id, 0));
        producer.current_txn_start_offset
    };
    assert_eq!(open(), 0);
    let topics =
        vec![WritableTxnMarkerTopic::default().with_name(topic("t")).with_partition_indexes(vec![0, 9])];
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
        .with_coordinator_epoch(0)
        .with_topics(topics);
    let answer = client.call(1, &WriteTxnMarkersRequest::default().with_markers(vec![marker]));
    let codes: Vec<_> = answer.markers[0].topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code()]);
    let answer = client.call(0, &request).topics.remove(0).partitions.remove(0);
    assert_eq!(answer.active_producers[0].current_txn_start_offset, -1);
    assert!(committed(&mut client).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let mut producer = Producer::start(&mut client, TWO);
    assert_eq!(producer.send("before"), ErrorCode::NONE);
    assert_eq!(producer.commit_offset(3), ErrorCode::NONE);
    let (id, epoch) = (producer.id, producer.epoch);
    // As in a kill: nothing is flushed, and the log is checked at the next start.
    drop(broker);

    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    assert!(committed(&mut client).is_empty());
    assert_eq!(offset(&mut client, true), Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
    let mut producer = Producer { client: &mut client, versions: TWO, id, epoch, sequences: [1, 0] };
    assert_eq!(producer.send("after"), ErrorCode::NONE);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&mut client), ["before", "after"]);
    assert_eq!(offset(&mut client, true), Ok(3));
}
