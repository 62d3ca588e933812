//! `ListTransactions` (KIP-664): all transactional ids, by state, producer, age (KIP-994) and a regular expression over the whole id (KIP-1152). The
//! expression is read by Rust's engine where Kafka has Java's: without look-around and back-references.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_transactions_response::TransactionState;
use klamm_wire::protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};
use regex::Regex;

use super::rights::Right;
use super::shape::{INT64, Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::transactions::{Phase, Txn};

pub(crate) struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    type Response = ListTransactionsResponse;

    const REQUEST: Shape =
        Shape { flexible: 0, fields: &[plain(&TEXT), plain(&INT64), INT64.since(1), TEXT.since(2)] };

    async fn handle(call: &Call<'_>, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let pattern = request.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        let pattern = match pattern.map(|pattern| Regex::new(&format!("^(?:{pattern})$"))).transpose() {
            Ok(pattern) => pattern,
            Err(_) => return Self::refuse(call, request, ErrorCode::INVALID_REGULAR_EXPRESSION),
        };
        let is_state = |name: &str| name == "Dead" || Phase::ALL.iter().any(|phase| phase.name() == name);
        let unknown = request.state_filters.iter().filter(|name| !is_state(name)).cloned().collect();
        let now_ms = call.node.config.clock.now_ms();
        let included = |id: &str, txn: &Txn| {
            let (producers, states) = (&request.producer_id_filters, &request.state_filters);
            let age_ms = now_ms - txn.start_ms;
            (producers.is_empty() || producers.contains(&ProducerId(txn.producer_id)))
                && (states.is_empty() || states.iter().any(|state| **state == *txn.phase.name()))
                && (request.duration_filter < 0 || age_ms > request.duration_filter)
                && call.check_transactional_id(Right::Describe, id).is_ok()
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
        };
        let all = call.node.transactions.all().into_iter().filter(|(id, txn)| included(id, txn));
        let states = all.map(|(id, txn)| {
            TransactionState::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(ProducerId(txn.producer_id))
                .with_transaction_state(text(txn.phase.name()))
        });
        ListTransactionsResponse::default()
            .with_unknown_state_filters(unknown)
            .with_transaction_states(states.collect())
    }

    fn throttled(response: &mut ListTransactionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: ListTransactionsRequest, error: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse::default().with_error_code(error.code())
    }
}
