//! `AddPartitionsToTxn`: partitions join a transaction (KIP-98). From version 4 on, which brokers send to each other, several transactions at
//! once, and a question without effect (`verify_only`, KIP-890).

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use klamm_wire::protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use klamm_wire::protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::rights::Right;
use super::shape::{BOOL, INT16, INT32, INT64, Shape, TEXT, plain, structs};
use super::{Call, Handler, names};
use crate::log::TransactionVersion;
use crate::transactions::{Place, fenced_since};

/// The first version with several transactions.
const SEVERAL: i16 = 4;
/// The first version with `PRODUCER_FENCED` (KIP-588).
const FENCED: i16 = 2;

pub(crate) struct AddPartitionsToTxn;

impl Handler for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    type Response = AddPartitionsToTxnResponse;

    const REQUEST: Shape = Shape {
        flexible: 3,
        fields: &[
            structs(&[TEXT, INT64, INT16, BOOL, structs(&[TEXT, plain(&INT32)])]).since(SEVERAL),
            TEXT.until(3),
            INT64.until(3),
            INT16.until(3),
            structs(&[TEXT, plain(&INT32)]).until(3),
        ],
    };

    async fn handle(call: &Call<'_>, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        if call.version >= SEVERAL {
            // Only brokers ask for several.
            if let Err(error) = call.check_cluster(Right::ClusterAction) {
                return Self::refuse(call, request, error);
            }
        }
        respond(call, request, |transaction| handle(call, transaction))
    }

    fn throttled(response: &mut AddPartitionsToTxnResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &AddPartitionsToTxnRequest) -> Vec<String> {
        let several = request.transactions.iter().flat_map(|transaction| &transaction.topics);
        names(request.v3_and_below_topics.iter().chain(several).map(|topic| &topic.name))
    }

    fn refuse(
        call: &Call<'_>,
        request: AddPartitionsToTxnRequest,
        error: ErrorCode,
    ) -> AddPartitionsToTxnResponse {
        let response = respond(call, request, |transaction| same(&transaction.topics, error));
        if call.version < SEVERAL { response } else { response.with_error_code(error.code()) }
    }
}

fn respond(
    call: &Call<'_>,
    request: AddPartitionsToTxnRequest,
    one: impl Fn(&AddPartitionsToTxnTransaction) -> Vec<AddPartitionsToTxnTopicResult>,
) -> AddPartitionsToTxnResponse {
    if call.version >= SEVERAL {
        let results = request.transactions.into_iter().map(|transaction| {
            let topics = one(&transaction);
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id)
                .with_topic_results(topics)
        });
        return AddPartitionsToTxnResponse::default().with_results_by_transaction(results.collect());
    }
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(request.v3_and_below_transactional_id)
        .with_producer_id(request.v3_and_below_producer_id)
        .with_producer_epoch(request.v3_and_below_producer_epoch)
        .with_topics(request.v3_and_below_topics);
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(one(&transaction))
}

/// One wrong partition, and none joins.
fn handle(
    call: &Call<'_>,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = &transaction.topics;
    let from_client = call.version < SEVERAL;
    if let (true, Err(error)) =
        (from_client, call.check_transactional_id(Right::Write, &transaction.transactional_id))
    {
        return same(topics, error);
    }
    let check = |topic: &str, partition: i32| {
        if from_client {
            call.check_topic(Right::Write, topic)?;
        }
        let known = call.node.topics.get(topic).is_some_and(|topic| topic.partition(partition).is_some());
        if known { Ok(()) } else { Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) }
    };
    let mut all = topics.iter().flat_map(|t| t.partitions.iter().copied().map(|p| (&t.name, p)));
    if !all.all(|(topic, partition)| check(topic, partition).is_ok()) {
        return results(topics, |(topic, partition)| match check(topic, *partition) {
            Ok(()) => ErrorCode::OPERATION_NOT_ATTEMPTED,
            Err(error) => error,
        });
    }
    let (id, transactions) = (transaction.transactional_id.as_str(), &call.node.transactions);
    let holder = (transaction.producer_id.0, transaction.producer_epoch);
    if id.is_empty() {
        return same(topics, ErrorCode::INVALID_REQUEST);
    }
    if transaction.verify_only {
        return results(topics, |place| {
            transactions.verify(id, holder, place).err().unwrap_or(ErrorCode::NONE)
        });
    }
    let places: BTreeSet<Place> = topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().copied().map(|partition| (topic.name.to_string(), partition))
        })
        .collect();
    let version = match call.version {
        SEVERAL.. => TransactionVersion::Two,
        _ => TransactionVersion::Classic,
    };
    let added = transactions.add(call.node, id, holder, &places, version);
    same(topics, fenced_since(FENCED, call.version, added.err().unwrap_or(ErrorCode::NONE)))
}

fn same(topics: &[AddPartitionsToTxnTopic], error: ErrorCode) -> Vec<AddPartitionsToTxnTopicResult> {
    results(topics, |_| error)
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    error: impl Fn(&Place) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let partitions = topic.partitions.iter().copied().map(|partition| {
            let error = error(&(topic.name.to_string(), partition));
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(partition)
                .with_partition_error_code(error.code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    };
    topics.iter().map(of_topic).collect()
}
