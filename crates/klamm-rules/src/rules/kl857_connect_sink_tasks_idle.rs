//! A sink connector has more tasks than there are partitions to read.
//!
//! ## What it does
//! Compares `tasks.max` of sink connectors (`file`) with the partitions of their topics (`live`). Connectors with `topics.regex` are left out.
//!
//! ## Why it hurts
//! A task is a consumer: one without a partition is idle, takes memory and connections, and makes it look as if the connector could do more.
//!
//! ## Example
//!     tasks.max=16 on a topic with 6 partitions
//!
//! ## Use instead
//!     tasks.max=6
//!
//! ## Severity
//! Info.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::evidence::Role;
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::{connector_topics, sinks, told};
use crate::text::listed;

const TASKS: &str = "tasks.max";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for connector in cx.clients(&[Role::Connector], out) {
        let names = connector_topics(connector);
        if sinks(connector) != Some(true) || names.is_empty() || connector.setting("topics.regex").is_some() {
            continue;
        }
        let told = told(connector, TASKS);
        let Some(tasks) = told.number() else {
            out.unclear(&connector.subject(), told.source());
            continue;
        };
        let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
        let known: Vec<usize> =
            names.iter().filter_map(|name| Some(topics.get(name)?.partitions.len())).collect();
        if known.len() < names.len() {
            continue;
        }
        out.judged();
        let partitions: i64 = known.iter().map(|count| *count as i64).sum();
        if tasks <= partitions || partitions == 0 {
            continue;
        }
        let fix = Fix::new(format!("give it {partitions} tasks"), Risk::RestartsClients);
        let finding = Finding::new(
            Severity::Info,
            connector.subject(),
            format!("{} of its {tasks} tasks are idle", tasks - partitions),
        )
        .fact(TASKS, tasks.to_string(), told.source())
        .fact(
            format!("partitions of {}", listed(&names, 3)),
            partitions.to_string(),
            "placement of the topics",
        )
        .consequence("tasks without a partition do nothing: the sink is no faster than with fewer of them")
        .fix(set_client(fix, connector, TASKS, &partitions.to_string()))
        .next("does the sink need more partitions, or fewer tasks?")
        .at(&connector.place);
        out.found(finding);
    }
}
