//! `WriteTxnMarkers`: ends what a producer has open in partitions, without its coordinator: how `kafka-transactions.sh abort` ends a hanging
//! transaction (KIP-664). Version 2, which tells brokers the version of the transaction, is not offered.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use klamm_wire::protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use klamm_wire::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::rights::Right;
use super::shape::{BOOL, INT16, INT32, INT64, Shape, TEXT, plain, structs};
use super::{Call, Handler};
use crate::log::{Marker, Outcome, TransactionVersion};

pub(crate) struct WriteTxnMarkers;

impl Handler for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    type Response = WriteTxnMarkersResponse;

    const REQUEST: Shape = Shape {
        flexible: 1,
        fields: &[structs(&[INT64, INT16, BOOL, structs(&[TEXT, plain(&INT32)]), INT32])],
    };

    async fn handle(call: &Call<'_>, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
        let rights = call.check_cluster(Right::Alter).or_else(|_| call.check_cluster(Right::ClusterAction));
        if let Err(error) = rights {
            return Self::refuse(call, request, error);
        }
        respond(request, |marker, topic, partition| write(call, marker, topic, partition))
    }

    fn refuse(_: &Call<'_>, request: WriteTxnMarkersRequest, error: ErrorCode) -> WriteTxnMarkersResponse {
        respond(request, |_, _, _| Err(error))
    }
}

fn write(call: &Call<'_>, marker: &WritableTxnMarker, topic: &str, partition: i32) -> Result<(), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = call.node.topics.get(topic).ok_or(unknown)?;
    let log = topic.partition(partition).ok_or(unknown)?;
    let marker = Marker {
        producer_id: marker.producer_id.0,
        epoch: marker.producer_epoch,
        outcome: if marker.transaction_result { Outcome::Commit } else { Outcome::Abort },
        coordinator_epoch: marker.coordinator_epoch,
    };
    let now_ms = call.node.config.clock.now_ms();
    log.append_marker(&marker, TransactionVersion::Classic, &topic.settings(), now_ms)
        .map_err(|error| error.code)?;
    match call.node.config.fsync {
        true => log.sync().map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR),
        false => Ok(()),
    }
}

fn respond(
    request: WriteTxnMarkersRequest,
    one: impl Fn(&WritableTxnMarker, &str, i32) -> Result<(), ErrorCode>,
) -> WriteTxnMarkersResponse {
    let of_topic = |marker: &WritableTxnMarker, topic: &WritableTxnMarkerTopic| {
        let partitions = topic.partition_indexes.iter().map(|&partition| {
            let error = one(marker, &topic.name, partition).err().unwrap_or(ErrorCode::NONE);
            WritableTxnMarkerPartitionResult::default()
                .with_partition_index(partition)
                .with_error_code(error.code())
        });
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    };
    let markers = request.markers.iter().map(|marker| {
        let topics = marker.topics.iter().map(|topic| of_topic(marker, topic)).collect();
        WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics)
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}
