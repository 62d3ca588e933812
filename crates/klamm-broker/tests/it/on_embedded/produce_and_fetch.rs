//! Records in and out.

use std::time::{Duration, Instant};

use klamm_broker::{Api, Broker, Clock, Fault, FaultRule};
use klamm_kafka::ErrorCode;
use klamm_wire::batch::Compression;
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::{
    FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest, ProducerId, TransactionalId,
};

use crate::client::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_with_any_codec_is_fetched() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    for codec in Compression::ALL {
        let answer = client.produce("t", 0, compressed(codec, &[codec.name(), "second"]));
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(codec.id()) * 2), "{codec}");
    }
    let expected: Vec<_> = Compression::ALL.iter().flat_map(|codec| [codec.name(), "second"]).collect();
    assert_eq!(client.values("t", 0, 0), expected);
    assert_eq!(client.values("t", 0, 4), expected[4..]);
    let beyond = client.fetch("t", 0, 11, Duration::ZERO);
    assert_eq!(beyond.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.code());
}

/// Large batches leave the log by another way than small ones.
#[tokio::test(flavor = "multi_thread")]
async fn large_and_small_batches_arrive_as_they_were_stored_in_one_answer_of_every_version() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let sizes = [1, 700_000, 15_000, 17_000, 0, 100_000];
    client.create("t", sizes.len() as i32, &[]);
    let values = sizes.map(|size| "x".repeat(size));
    for (partition, value) in (0..).zip(&values) {
        assert_eq!(client.produce("t", partition, batch(&[value])).error_code, 0);
    }
    let mut request = fetch_request("t", 0, 0, Duration::ZERO);
    for partition in 1..sizes.len() as i32 {
        let other = fetch_request("t", partition, 0, Duration::ZERO).topics.remove(0).partitions.remove(0);
        request.topics[0].partitions.push(other);
    }
    for version in 4..=12 {
        let answer = client.call(version, &request);
        for (found, value) in answer.responses[0].partitions.iter().zip(&values) {
            assert_eq!(found.error_code, 0, "version {version}");
            let records = found.records.clone().unwrap();
            let sent = batch(&[value]);
            assert_eq!(records[20..], sent[20..], "version {version}, {} bytes", value.len());
        }
    }
    // What comes after the large answer on this connection is in step with it.
    assert_eq!(client.values("t", 1, 0), [values[1].as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_that_is_cut_in_its_midst_ends_there() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    assert_eq!(client.produce("t", 0, batch(&["x".repeat(200_000).as_str()])).error_code, 0);
    broker.faults().add(FaultRule::new(Fault::CutAnswer).api(Api::Fetch).times(1));
    client.send(12, &fetch_request("t", 0, 0, Duration::ZERO)).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!((100_000..110_000).contains(&received.len()), "{}", received.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_is_acknowledged_with_its_first_offset_and_stored_once() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let id = client.producer_id();
    let other = client.producer_id();
    assert_ne!(id, other);
    for sequence in 0..3 {
        let answer = client.produce("t", 0, idempotent(id, 0, sequence, &sequence.to_string()));
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(sequence)));
    }
    let again = client.produce("t", 0, idempotent(id, 0, 1, "1"));
    assert_eq!((again.error_code, again.base_offset), (0, 1));
    let gap = client.produce("t", 0, idempotent(id, 0, 7, "lost"));
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.code());
    assert_eq!(client.produce("t", 0, idempotent(id, 1, 0, "new epoch")).error_code, 0);
    let fenced = client.produce("t", 0, idempotent(id, 0, 3, "zombie"));
    assert_eq!(fenced.error_code, ErrorCode::INVALID_PRODUCER_EPOCH.code());
    assert_eq!(client.values("t", 0, 0), ["0", "1", "2", "new epoch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_id_fences_its_earlier_holders_also_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::start(kept_in(data.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let init = |client: &mut Client, held: (i64, i16)| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text("t"))))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(held.0))
            .with_producer_epoch(held.1);
        let answer = client.call(4, &request);
        (answer.error_code, answer.producer_id.0, answer.producer_epoch)
    };
    let (_, id, first) = init(&mut client, (-1, -1));
    assert_eq!(init(&mut client, (-1, -1)), (0, id, first + 1));
    assert_eq!(init(&mut client, (id, first)).0, ErrorCode::PRODUCER_FENCED.code());
    assert_eq!(client.produce("t", 0, idempotent(id, first + 1, 0, "holder")).error_code, 0);
    let fenced = client.produce("t", 0, idempotent(id, first, 0, "zombie"));
    assert_eq!(fenced.error_code, ErrorCode::INVALID_PRODUCER_EPOCH.code());
    drop(client);
    broker.shutdown().await.unwrap();

    let broker = Broker::start(kept_in(data.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(init(&mut client, (id, first + 1)), (0, id, first + 2));
    assert_ne!(client.producer_id(), id, "an id is handed out once");
    assert_eq!(client.values("t", 0, 0), ["holder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_the_next_record_and_no_longer() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let begin = Instant::now();
    let waiting = std::thread::spawn({
        let mut client = Client::connect(&broker.bootstrap());
        move || client.fetch("t", 0, 0, Duration::from_secs(20))
    });
    // Another partition's record does not end the wait.
    client.produce("t", 1, batch(&["other"]));
    client.produce("t", 0, batch(&["awaited"]));
    let data = waiting.join().unwrap();
    assert_eq!((data.error_code, data.high_watermark), (0, 1));
    assert!(!data.records.unwrap().is_empty());
    assert!(begin.elapsed() < Duration::from_secs(15), "it did not wait for its time to end");

    let begin = Instant::now();
    let empty = client.fetch("t", 0, 1, Duration::from_millis(100));
    assert!(empty.records.unwrap().is_empty() && begin.elapsed() >= Duration::from_millis(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_can_be_named_by_their_ids() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let id = client.create_response("t", 1, 1, &[]).topics[0].topic_id;
    let produce = |id| {
        let data = PartitionProduceData::default().with_records(Some(batch(&["a"])));
        let topic = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![data]);
        ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
    };
    let fetch = |id| {
        let partition = FetchPartition::default().with_partition_max_bytes(1000);
        let topic = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
        FetchRequest::default().with_topics(vec![topic])
    };
    let answer = client.call(13, &produce(id));
    assert_eq!(answer.responses[0].topic_id, id);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    for version in 13..=17 {
        let answer = client.call(version, &fetch(id));
        assert!(!answer.responses[0].partitions[0].records.as_ref().unwrap().is_empty(), "version {version}");
    }
    let unknown = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let answer = client.call(13, &produce(unknown));
    let error = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(error, ErrorCode::UNKNOWN_TOPIC_ID.code());
    let error = client.call(13, &fetch(unknown)).responses[0].partitions[0].error_code;
    assert_eq!(error, ErrorCode::UNKNOWN_TOPIC_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_named() {
    let mut config = klamm_broker::BrokerConfig::default();
    config.clock = Clock::held(NOW);
    let broker = klamm_broker::Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("compacted", 1, &[("cleanup.policy", "compact")]);
    let mut builder = klamm_wire::batch::BatchBuilder::new(Compression::None);
    builder.append(NOW, Some(b"k"), None, &[]);
    builder.append(NOW, None, Some(b"v"), &[]);
    let answer = client.produce("compacted", 0, builder.finish().unwrap().into());
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD.code());
    assert_eq!(answer.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);

    client.create("small", 1, &[("max.message.bytes", "100")]);
    let answer = client.produce("small", 0, batch(&[&"x".repeat(100)]));
    assert_eq!(answer.error_code, ErrorCode::MESSAGE_TOO_LARGE.code());

    client.create("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let answer = client.produce("stamped", 0, batch(&["x"]));
    assert_eq!((answer.error_code, answer.log_append_time_ms), (0, NOW));
    let unknown = client.produce("stamped", 1, batch(&["x"]));
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_listed_by_position_and_by_time() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    for time in [NOW, NOW + 100, NOW + 50] {
        let mut builder = klamm_wire::batch::BatchBuilder::new(Compression::Zstd);
        builder.append(time, None, Some(b"v"), &[]);
        builder.append(time, None, Some(b"v"), &[]);
        client.produce("t", 0, builder.finish().unwrap().into());
    }
    let mut list = |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
        let answer = client.call(8, &ListOffsetsRequest::default().with_topics(vec![topic]));
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code, partition.timestamp, partition.offset)
    };
    assert_eq!(list(-2), (0, -1, 0), "earliest");
    assert_eq!(list(-1), (0, -1, 6), "latest");
    assert_eq!(list(-3), (0, NOW + 100, 2), "largest timestamp");
    assert_eq!(list(NOW + 1), (0, NOW + 100, 2));
    assert_eq!(list(NOW + 101), (0, -1, -1), "none is as young");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_produce_request_with_acks_0_is_not_answered() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.send(9, &produce_request("t", 0, batch(&["silent"])).with_acks(0)).unwrap();
    assert_eq!(client.values("t", 0, 0), ["silent"], "the next answer is the next request's");
}
