//! A consumer of strong data starts at the end where it has no offset.
//!
//! ## What it does
//! Takes `auto.offset.reset` of each consumer with a group, or its library's default: `latest` in Java, librdkafka, kafka-python, aiokafka, KafkaJS
//! (`fromBeginning: false`) and Sarama; `earliest` in kafka-go and franz-go.
//!
//! ## Why it hurts
//! `latest` skips whatever was written before the group's first poll: with a new group, after its offsets expired, and in each partition that is added later, whose
//! first records come before the consumer knows of it.
//!
//! ## Example
//!     auto.offset.reset=latest
//!
//! ## Use instead
//!     auto.offset.reset=earliest
//!
//! ## Severity
//! Error on strong data where somebody wrote it, warning where it is a default; info where the topics are not known.
//!
//! ## References
//! - Apache Kafka, consumer configuration `auto.offset.reset`; KIP-1106

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::{consumers, ungrouped};
use crate::evidence::Library;
use crate::finding::{Finding, Severity};

const RESET: &str = "auto.offset.reset";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in consumers(cx, out) {
        let weight = cx.weight_of_all(&client.topics);
        let reset = client.effective(RESET);
        if ungrouped(client) || (!weight.strong && !client.topics.is_empty()) {
            out.judged();
            continue;
        }
        if client.library == Library::Sarama && client.setting("group.id").is_none() {
            out.unclear(&client.subject(), "whether it reads in a group is not known");
            continue;
        }
        let Some(value) = reset.value() else {
            out.unclear(&client.subject(), format!("{RESET}: {}", reset.source()));
            continue;
        };
        let known = weight.strong || !client.topics.is_empty() || reset.is_set();
        if !matches!(value.to_ascii_lowercase().as_str(), "latest" | "largest" | "end") {
            out.judged();
            continue;
        }
        if !known {
            out.unclear(
                &client.subject(),
                format!("which topics it reads is not known, and {RESET} is {value} ({})", reset.source()),
            );
            continue;
        }
        out.judged();
        let severity = match (weight.strong, reset.is_set()) {
            (true, true) => Severity::Error,
            (true, false) => Severity::Warning,
            (false, true) => Severity::Info,
            (false, false) => continue,
        };
        let finding = Finding::new(severity, client.subject(), format!("{RESET} is {value}"))
            .at(client.setting(RESET).map_or(&client.place, |setting| &setting.place))
            .fact(RESET, value, reset.source())
            .consequence(
                "a new group, one whose offsets expired, and each added partition skip \
                what was written before",
            )
            .fix(advice::set(
                client,
                "start at the beginning where there is no offset",
                &[(RESET, "earliest")],
            ))
            .next("does its work stand records that come twice? after a reset it gets all of them")
            .weighed(weight);
        out.found(finding);
    }
}
