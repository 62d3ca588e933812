//! Transactions as their coordinators know them (KIP-664).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_transactions_response::TransactionState;
use klamm_wire::protocol::messages::{
    DescribeTransactionsRequest, ListTransactionsRequest, ProducerId, TransactionalId,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::each::PerBroker;
use crate::error::AdminError;
use crate::pace::Peer;

/// Transactional ids in one request.
pub(crate) const IDS_PER_REQUEST: usize = 500;

/// A transactional id that a coordinator has listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    /// `transactional.id`.
    pub id: String,
    /// Producer id.
    pub producer_id: i64,
    /// Kafka's words: `Empty`, `Ongoing`, `PrepareAbort`, `CompleteCommit` …
    pub state: String,
}

/// A transaction as its coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// `transactional.id`.
    pub id: String,
    /// Kafka's words: `Empty`, `Ongoing`, `PrepareAbort`, `CompleteCommit` …
    pub state: String,
    /// Producer id.
    pub producer_id: i64,
    /// Epoch.
    pub epoch: i16,
    /// `transaction.timeout.ms` of the producer.
    pub timeout_ms: i32,
    /// Began at, in milliseconds since 1970 by the coordinator's clock.
    pub started_ms: Option<i64>,
    /// Partitions that have no marker yet.
    pub partitions: Vec<(String, i32)>,
}

impl Admin {
    /// Transactional ids by the broker that coordinates them. Those that this client may not describe are not listed.
    pub async fn list_transactions(&self) -> PerBroker<Vec<TransactionListing>> {
        self.list_transactions_of(&[]).await
    }

    /// The same of some producer ids; of all when there are none.
    pub(crate) async fn list_transactions_of(&self, producers: &[i64]) -> PerBroker<Vec<TransactionListing>> {
        let ids = producers.iter().copied().map(ProducerId).collect();
        let request = &ListTransactionsRequest::default().with_producer_id_filters(ids);
        self.at_each("list the transactions", &|id, peer| list(id, peer, request)).await
    }

    /// Transactions that one broker coordinates, as it has listed them. One that is gone is left out.
    ///
    /// # Errors
    /// Of the request; each transaction has its own, too.
    pub async fn describe_transactions(
        &self,
        coordinator: i32,
        ids: &[String],
    ) -> Result<Vec<Result<TransactionDescription, AdminError>>, AdminError> {
        let mut described = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_PER_REQUEST) {
            let id = |id: &String| TransactionalId(StrBytes::from_string(id.clone()));
            let request =
                &DescribeTransactionsRequest::default().with_transactional_ids(some.iter().map(id).collect());
            let ask = |peer: Peer| async move { Ok(peer.call(request).await?) };
            let answer = self.at_broker("describe transactions", coordinator, &ask).await?;
            described.extend(answer.transaction_states.iter().filter_map(description));
        }
        Ok(described)
    }
}

async fn list(
    id: i32,
    peer: Peer,
    request: &ListTransactionsRequest,
) -> Result<Vec<TransactionListing>, AdminError> {
    let answer = peer.call(request).await?;
    let refused = |code| AdminError::kafka(code, None, "list transactions", &format!("broker {id}"));
    ErrorCode::from(answer.error_code).ok().map_err(refused)?;
    let listings = answer.transaction_states.iter().map(|listed| TransactionListing {
        id: listed.transactional_id.0.to_string(),
        producer_id: listed.producer_id.0,
        state: listed.transaction_state.to_string(),
    });
    Ok(listings.collect())
}

fn description(told: &TransactionState) -> Option<Result<TransactionDescription, AdminError>> {
    let id = told.transactional_id.0.to_string();
    let code = ErrorCode::from(told.error_code);
    if code == ErrorCode::TRANSACTIONAL_ID_NOT_FOUND {
        return None;
    }
    if let Err(code) = code.ok() {
        return Some(Err(AdminError::kafka(code, None, "describe", &format!("transactional id {id}"))));
    }
    let partitions = told
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic.0.to_string(), *partition)));
    Some(Ok(TransactionDescription {
        id,
        state: told.transaction_state.to_string(),
        producer_id: told.producer_id.0,
        epoch: told.producer_epoch,
        timeout_ms: told.transaction_timeout_ms,
        started_ms: (told.transaction_start_time_ms >= 0).then_some(told.transaction_start_time_ms),
        partitions: partitions.collect(),
    }))
}
