//! Sends and their outcomes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use klamm_client::{Effect, ProduceErrorKind, Producer, ProducerOptions, Record, RecordSet};
use klamm_testkit::anyhow::{Result, ensure};
use klamm_testkit::{Cluster, scenarios};

use crate::setup::{self, SOON};

scenarios!(
    a_record_comes_back_as_it_was_sent,
    records_of_a_key_share_a_partition_and_keep_their_order,
    a_full_buffer_makes_the_sender_wait,
    a_cancelled_wait_sends_nothing,
    what_cannot_be_sent_is_refused_before_anything_is,
    closing_delivers_what_was_accepted,
    dropping_the_producer_delivers_what_was_accepted,
    acknowledgements_of_the_leader_alone_need_no_identity,
    a_receipt_has_the_brokers_time_where_the_topic_says_so,
);

async fn a_record_comes_back_as_it_was_sent(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    let producer = setup::producer(&cluster).await?;
    let record = Record::new(&topic)
        .key("k")
        .value("v")
        .header("h", "1")
        .null_header("n")
        .timestamp_ms(1_700_000_000_000);
    let receipt = producer.send(record.partition(1)).await?.await?;
    ensure!(
        (receipt.partition, receipt.offset, receipt.timestamp_ms) == (1, 0, 1_700_000_000_000),
        "{receipt:?}"
    );
    producer.send(Record::new(&topic).key("").partition(1)).await?.await?;

    let mut reader = setup::Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    let mut fields = Vec::new();
    while fields.len() < 2 {
        if let klamm_client::Event::Batch(batch) = reader.event().await? {
            fields.extend(batch.records().map(|record| {
                let headers: Vec<_> = record
                    .headers()
                    .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect();
                let owned = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
                (record.offset, owned(record.key), owned(record.value), headers)
            }));
        }
    }
    let headers = vec![("h".to_owned(), Some(b"1".to_vec())), ("n".to_owned(), None)];
    ensure!(fields[0] == (0, Some(b"k".to_vec()), Some(b"v".to_vec()), headers), "{:?}", fields[0]);
    // An empty key and a null value stay apart.
    ensure!(fields[1] == (1, Some(Vec::new()), None, Vec::new()), "{:?}", fields[1]);
    Ok(())
}

async fn records_of_a_key_share_a_partition_and_keep_their_order(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 4).await?;
    let producer = setup::producer(&cluster).await?;
    let mut batches = Vec::new();
    for round in 0..20 {
        let mut set = RecordSet::new();
        for key in 0..50 {
            let (key, value) = (format!("key-{key}"), format!("key-{key}/{round:03}"));
            set.push(&Record::new(&topic).key(&key).value(&value));
        }
        batches.push(producer.send_batch(&set).await?);
    }
    for batch in batches {
        for (key, receipt) in batch.await.into_receipts()?.iter().enumerate() {
            let expected = klamm_kafka::partition_for_key(format!("key-{key}").as_bytes(), 4);
            ensure!(receipt.partition == expected && receipt.offset >= 0, "{receipt:?}");
        }
    }
    let mut reader = setup::Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    reader.read(1_000).await?;
    for (partition, records) in &reader.read {
        ensure!(
            records.iter().map(|(offset, _)| *offset).eq(0..records.len() as i64),
            "{partition} has gaps"
        );
        let mut values: Vec<_> = records.iter().map(|(_, value)| value.clone()).collect();
        // A stable sort by key leaves each key's records in the order of the log.
        values.sort_by(|a, b| a[..a.len() - 4].cmp(&b[..b.len() - 4]));
        ensure!(values.is_sorted(), "{partition} is out of order");
    }
    Ok(())
}

async fn a_full_buffer_makes_the_sender_wait(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let options = ProducerOptions { buffer_bytes: 64 << 10, ..setup::producer_options() };
    let producer = Producer::open(&setup::options(&cluster), options).await?;
    let value = vec![b'x'; 10_000];
    let mut pending = Vec::new();
    for _ in 0..200 {
        pending.push(producer.send(Record::new(&topic).value(&value)).await?);
        let load = producer.in_flight();
        ensure!(load.bytes <= load.capacity_bytes, "{load:?}");
    }
    for one in pending {
        one.await?;
    }
    ensure!(producer.in_flight().bytes == 0, "memory is not free: {:?}", producer.in_flight());
    Ok(())
}

async fn a_cancelled_wait_sends_nothing(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    // Room for one record.
    let options = ProducerOptions { buffer_bytes: 20_000, ..setup::producer_options() };
    let producer = Producer::open(&setup::options(&cluster), options).await?;
    let value = vec![b'x'; 15_000];
    let mut accepted = 0;
    for _ in 0..100 {
        let first = producer.send(Record::new(&topic).value(&value)).await?;
        accepted += 1;
        let second = {
            let mut second = pin!(producer.send(Record::new(&topic).value(&value)));
            poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx))).await
        };
        first.await?;
        // It was acknowledged before the second one asked.
        if let Poll::Ready(second) = second {
            second?.await?;
            accepted += 1;
            continue;
        }
        let third = producer.send(Record::new(&topic).value(&value)).await?.await?;
        ensure!(third.offset == accepted, "the cancelled record is in the log: {third:?}");
        return Ok(());
    }
    Err(klamm_testkit::anyhow::anyhow!("there was always room for two"))
}

async fn what_cannot_be_sent_is_refused_before_anything_is(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let producer = setup::producer(&cluster).await?;
    let large = vec![0; 2 << 20];
    let mut set = RecordSet::new();
    set.push(&Record::new(&topic).value("small"));
    set.push(&Record::new(&topic).value(&large));
    let Err(error) = producer.send_batch(&set).await else {
        return Err(klamm_testkit::anyhow::anyhow!("sent"));
    };
    ensure!(
        matches!(error.kind(), ProduceErrorKind::TooLarge { .. }) && error.effect() == Effect::None,
        "{error}"
    );
    ensure!(error.to_string().contains("max.request.size=1048576"), "{error}");

    let Err(error) = producer.send(Record::new(&topic).partition(9)).await else {
        return Err(klamm_testkit::anyhow::anyhow!("sent"));
    };
    ensure!(matches!(error.kind(), ProduceErrorKind::UnknownPartition), "{error}");

    ensure!(producer.send(Record::new(&topic)).await?.await?.offset == 0, "the refused set left something");
    Ok(())
}

async fn closing_delivers_what_was_accepted(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let producer = setup::producer(&cluster).await?;
    let mut pending = Vec::new();
    for _ in 0..100 {
        pending.push(producer.send(Record::new(&topic).value("v")).await?);
    }
    producer.close(SOON).await?;
    for one in pending {
        one.await?;
    }
    let Err(error) = producer.send(Record::new(&topic)).await else {
        return Err(klamm_testkit::anyhow::anyhow!("a closed producer accepted a record"));
    };
    ensure!(matches!(error.kind(), ProduceErrorKind::Closed), "{error}");
    Ok(())
}

async fn dropping_the_producer_delivers_what_was_accepted(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let producer = setup::producer(&cluster).await?;
    let pending = producer.send(Record::new(&topic).value("v")).await?;
    drop(producer);
    ensure!(pending.await?.offset == 0);
    Ok(())
}

async fn acknowledgements_of_the_leader_alone_need_no_identity(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let (acks, idempotence) = (klamm_contract::Acks::Leader, false);
    let options = ProducerOptions { acks, idempotence, max_in_flight: 100, ..setup::producer_options() };
    let producer = Producer::open(&setup::options(&cluster), options).await?;
    let set: RecordSet = (0..1_000).map(|_| Record::new(&topic).value("v")).collect();
    let receipts = producer.send_batch(&set).await?.await.into_receipts()?;
    ensure!(receipts.iter().map(|receipt| receipt.offset).eq(0..1_000), "{receipts:?}");
    Ok(())
}

async fn a_receipt_has_the_brokers_time_where_the_topic_says_so(cluster: Cluster) -> Result<()> {
    let config = ("message.timestamp.type".to_owned(), "LogAppendTime".to_owned());
    let topic = setup::topic_with(&cluster, 1, vec![config]).await?;
    let producer = setup::producer(&cluster).await?;
    let receipt = producer.send(Record::new(&topic).timestamp_ms(1)).await?.await?;
    ensure!(receipt.offset == 0 && receipt.timestamp_ms > 1_700_000_000_000, "{receipt:?}");
    Ok(())
}
