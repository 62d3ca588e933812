//! Transactions, by the brokers that coordinate them.

use klamm_admin::{Admin, TransactionListing};
use klamm_rules::Seen;
use klamm_rules::evidence::Transaction;

use super::missing::{Missing, lacking, of_brokers, why};
use super::topics::PROBE;

/// What listing all transactions needs.
const PERMISSION: &str = "DESCRIBE on TransactionalId:*";

/// Ids that are described, those with work under way first. An old Streams application alone may have thousands.
const DESCRIBED: usize = 2_000;

pub(super) async fn collect(admin: &Admin) -> Seen<Vec<Transaction>> {
    let (listed, all) = tokio::join!(
        async { of_brokers(admin.list_transactions().await, PERMISSION) },
        admin.may_describe_transactional_id(PROBE),
    );
    let (listed, gaps) = match listed {
        Seen::Full(listed) => (listed, Vec::new()),
        Seen::Partial { value, missing } => (value, missing),
        other => return other.map(|_| Vec::new()),
    };
    let nothing = listed.values().all(Vec::is_empty);
    let mut missing = Missing::default();
    match all {
        Ok(true) => {}
        // Kafka lists what one may describe, and is silent about the rest.
        Ok(false) if nothing => return Seen::Denied { permission: PERMISSION.to_owned() },
        Ok(false) => missing.note("transactional ids that are hidden from this user", lacking(PERMISSION)),
        Err(error) => missing.note("whether transactional ids are hidden from this user", why(&error)),
    }
    let mut found = Vec::new();
    let mut left = DESCRIBED;
    for (broker, mut listings) in listed {
        listings.sort_by_key(|listing| !is_under_way(&listing.state));
        let ids: Vec<String> = listings.iter().take(left).map(|listing| listing.id.clone()).collect();
        left -= ids.len();
        for listing in &listings[ids.len()..] {
            missing
                .note(format!("transactional id {}", listing.id), format!("only {DESCRIBED} are described"));
        }
        let described = match ids.is_empty() {
            true => Vec::new(),
            false => match admin.describe_transactions(broker, &ids).await {
                Ok(described) => described,
                Err(error) => {
                    missing.note(format!("transactions of broker {broker}"), why(&error));
                    ids.iter().map(|_| Err(error.clone())).collect()
                }
            },
        };
        let mut transactions: Vec<Transaction> = listings.into_iter().map(listing).collect();
        for told in described {
            match told {
                Ok(told) => {
                    if let Some(known) = transactions.iter_mut().find(|known| known.id == told.id) {
                        *known = Transaction {
                            id: told.id,
                            state: told.state,
                            producer_id: told.producer_id,
                            epoch: told.epoch,
                            timeout_ms: told.timeout_ms,
                            started_ms: told.started_ms,
                            partitions: told.partitions,
                        };
                    }
                }
                Err(error) if error.is_denied() => missing.note("a transaction", lacking(PERMISSION)),
                Err(error) => missing.note("a transaction", why(&error)),
            }
        }
        found.append(&mut transactions);
    }
    Seen::from_parts(found, [gaps, missing.lines()].concat())
}

fn is_under_way(state: &str) -> bool {
    !matches!(state, "Empty" | "CompleteCommit" | "CompleteAbort")
}

fn listing(listing: TransactionListing) -> Transaction {
    Transaction {
        id: listing.id,
        state: listing.state,
        producer_id: listing.producer_id,
        ..Transaction::default()
    }
}
