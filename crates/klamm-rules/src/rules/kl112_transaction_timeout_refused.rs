//! `transaction.timeout.ms` is longer than the brokers allow.
//!
//! ## What it does
//! Compares `transaction.timeout.ms` of each producer with a `transactional.id` with the brokers' `transaction.max.timeout.ms` (15 minutes by default).
//!
//! ## Why it hurts
//! `InitProducerId` is refused with `INVALID_TRANSACTION_TIMEOUT`: the producer cannot begin a single transaction.
//!
//! ## Example
//!     transaction.timeout.ms=3600000      # Flink's default is one hour, the brokers' limit 15 minutes
//!
//! ## Use instead
//!     transaction.timeout.ms=900000
//!
//! ## Severity
//! Error: the producer does not start.
//!
//! ## References
//! - Apache Kafka, broker configuration `transaction.max.timeout.ms`

use crate::advice;
use crate::check::{Cx, Out};
use crate::evidence::Client;
use crate::finding::{Finding, Severity};
use crate::producers::producers;
use crate::text::{duration, number, source_of};

const ASKS: &str = "transaction.timeout.ms";
const LIMIT: &str = "transaction.max.timeout.ms";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let transactional = |client: &&&Client| client.setting("transactional.id").is_some();
    let clients = producers(cx, out);
    let clients: Vec<&Client> = clients.iter().filter(transactional).copied().collect();
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    if clients.is_empty() {
        return;
    }
    let mut lowest: Option<(i64, String)> = None;
    for broker in brokers {
        let subject = format!("configuration of broker {}", broker.id);
        let Some(configs) = out.see(&subject, &broker.configs) else { continue };
        match number(configs, LIMIT) {
            Some(ms) if lowest.as_ref().is_none_or(|(low, _)| ms < *low) => {
                lowest = Some((ms, format!("broker {}, {}", broker.id, source_of(configs, LIMIT))));
            }
            Some(_) => {}
            None => out.unclear(&format!("broker {}", broker.id), format!("{LIMIT} was not told")),
        }
    }
    let Some((limit, source)) = lowest else { return };
    for client in clients {
        let asks = client.effective(ASKS);
        let Some(ms) = asks.number() else {
            out.unclear(&client.subject(), format!("{ASKS}: {}", asks.source()));
            continue;
        };
        out.judged();
        if ms <= limit {
            continue;
        }
        let what = format!("it asks for {}, and the brokers allow {}", duration(ms), duration(limit));
        let fix = advice::set(client, "ask for what the brokers allow", &[(ASKS, &limit.to_string())]);
        let finding = Finding::new(Severity::Error, client.subject(), what)
            .at(client.setting(ASKS).map_or(&client.place, |setting| &setting.place))
            .fact(ASKS, ms.to_string(), asks.source())
            .fact(LIMIT, limit.to_string(), source.clone())
            .consequence(
                "the brokers refuse the producer with INVALID_TRANSACTION_TIMEOUT: it writes nothing",
            )
            .fix(fix)
            .next("how long does its longest transaction take?")
            .weighed(cx.weight_of_all(&client.topics));
        out.found(finding);
    }
}
