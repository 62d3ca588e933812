//! A topic is in tiered storage, and a broker does not do tiered storage.
//!
//! ## What it does
//! For topics with `remote.storage.enable=true`, looks at every broker: `remote.log.storage.system.enable`, and whether
//! `remote.log.storage.manager.class.name` and `remote.log.metadata.manager.class.name` name managers that keep nothing (NoOp, in-memory, the one of Kafka's own tests).
//!
//! ## Why it hurts
//! What is only in remote storage can then not be read from that broker, or never got there: it was deleted locally by `local.retention` all the same.
//! A broker with the system switched off refuses the topic's configuration when it starts.
//!
//! ## Example
//!     remote.log.storage.system.enable=false on broker 3
//!
//! ## Use instead
//!     the same remote.log settings on every broker
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-405: Kafka tiered storage

use klamm_plan::Risk;

use crate::brokers::{Value, Wanted, live_values, report};
use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::finding::Severity;
use crate::text::value;

/// Parts of class names that keep nothing, or not beyond the process.
const EMPTY: [&str; 4] = ["NoOpRemote", "Inmemory", "InMemory", "LocalTieredStorage"];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let mut tiered = Vec::new();
    for (name, topic) in topics {
        let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
            continue;
        };
        out.judged();
        if value(configs, "remote.storage.enable") == Some("true") {
            tiered.push(name.as_str());
        }
    }
    if tiered.is_empty() {
        return;
    }
    let names: Vec<String> = tiered.iter().map(|name| (*name).to_owned()).collect();
    let weight = cx.weight_of_all(&names);
    let mut judge = |name: &str, to: &str, what: &str, bad: &dyn Fn(&Value<'_>) -> bool| {
        let values = live_values(cx, out, name);
        let bad: Vec<_> = values.into_iter().filter(bad).collect();
        let wanted = Wanted {
            name,
            to,
            severity: Severity::Error,
            what: what.to_owned(),
            consequence: format!(
                "older records of {} cannot be read there, or are nowhere once they are deleted locally",
                topics_text(&tiered)
            ),
            risk: Risk::Safe,
            next: format!(
                "kafka-topics.sh --bootstrap-server {} --describe --topics-with-overrides",
                cx.bootstrap()
            ),
        };
        report(cx, out, &bad, &wanted, |mut finding| {
            finding.subject = format!("{name} of {}", finding.subject);
            finding
                .fact("topics in tiered storage", topics_text(&tiered), "live configuration of topics")
                .weighed(weight.clone())
        });
    };
    let empty = |value: &Value<'_>| EMPTY.iter().any(|part| value.value.contains(part));
    judge("remote.log.storage.system.enable", "true", "tiered storage is off on brokers", &|value| {
        !value.is_true()
    });
    judge("remote.log.storage.manager.class.name", "CLASS", "the remote storage keeps nothing", &empty);
    judge(
        "remote.log.metadata.manager.class.name",
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        "where remote segments are is kept nowhere",
        &empty,
    );
}
