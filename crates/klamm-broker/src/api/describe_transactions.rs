//! `DescribeTransactions` (KIP-664): who holds a transactional id, and the partitions of what is open. Offsets of groups stand there as partitions of
//! `__consumer_offsets`, as in Kafka, although there is no such topic here.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use klamm_wire::protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName, TransactionalId,
};

use super::rights::Right;
use super::shape::{Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::transactions::Txn;

pub(crate) struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    type Response = DescribeTransactionsResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[plain(&TEXT)] };

    async fn handle(call: &Call<'_>, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
        respond(request, |id| {
            call.check_transactional_id(Right::Describe, id)?;
            if id.is_empty() {
                return Err(ErrorCode::INVALID_REQUEST);
            }
            let mut txn = call.node.transactions.get(id).ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)?;
            txn.partitions.retain(|(topic, _)| call.check_topic(Right::Describe, topic).is_ok());
            Ok(txn)
        })
    }

    fn throttled(response: &mut DescribeTransactionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(
        _: &Call<'_>,
        request: DescribeTransactionsRequest,
        error: ErrorCode,
    ) -> DescribeTransactionsResponse {
        respond(request, |_| Err(error))
    }
}

fn respond(
    request: DescribeTransactionsRequest,
    one: impl Fn(&str) -> Result<Txn, ErrorCode>,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id: TransactionalId| match one(&id) {
        Ok(txn) => state(&txn).with_transactional_id(id),
        Err(error) => TransactionState::default().with_error_code(error.code()).with_transactional_id(id),
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn state(txn: &Txn) -> TransactionState {
    let mut topics = BTreeMap::<&str, Vec<i32>>::new();
    for (topic, partition) in &txn.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicData::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
    });
    TransactionState::default()
        .with_transaction_state(text(txn.phase.name()))
        .with_transaction_timeout_ms(txn.timeout_ms)
        .with_transaction_start_time_ms(txn.start_ms)
        .with_producer_id(ProducerId(txn.producer_id))
        .with_producer_epoch(txn.epoch)
        .with_topics(topics.collect())
}
