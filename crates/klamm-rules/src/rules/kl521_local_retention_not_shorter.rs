//! A topic in tiered storage keeps as much locally as in all.
//!
//! ## What it does
//! For topics with `remote.storage.enable=true`, compares `local.retention.ms` and `local.retention.bytes` with `retention.ms` and
//! `retention.bytes`; -2, the default, means the same, -1 no limit. It fires when neither limits what stays on local disks.
//!
//! ## Why it hurts
//! Every record is stored locally for its whole life and in remote storage besides: the disks are as full as without, and the remote copy is paid for.
//!
//! ## Example
//!     retention.ms=2592000000, local.retention.ms=-2
//!
//! ## Use instead
//!     local.retention.ms=86400000
//!
//! ## Severity
//! Warning: nothing is lost.
//!
//! ## References
//! - KIP-405: Kafka tiered storage

use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::check::{Cx, Out};
use crate::evidence::Configs;
use crate::finding::{Finding, Fix, Severity};
use crate::text::{number, source_of, value};

const LOCAL_MS: &str = "local.retention.ms";
const DAY_MS: i64 = 86_400_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    for (name, topic) in topics {
        let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
            continue;
        };
        if value(configs, "remote.storage.enable") != Some("true") {
            out.judged();
            continue;
        }
        let limit = |local: &str, all: &str| Some(limits(number(configs, local)?, number(configs, all)?));
        let (ms, bytes) =
            (limit(LOCAL_MS, "retention.ms"), limit("local.retention.bytes", "retention.bytes"));
        match (ms, bytes) {
            (Some(ms), Some(bytes)) => {
                out.judged();
                if !ms && !bytes {
                    found(cx, out, name, configs);
                }
            }
            _ => out.unclear(&format!("topic {name}"), "its local retention was not told"),
        }
    }
}

/// Local retention ends before the retention of all does.
fn limits(local: i64, all: i64) -> bool {
    match (local, all) {
        (-2 | -1, _) => false,
        (_, -1) => true,
        (local, all) => local < all,
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, name: &str, configs: &Configs) {
    let all = number(configs, "retention.ms").unwrap_or(-1);
    let to = if all > 0 { DAY_MS.min(all / 2) } else { DAY_MS }.to_string();
    let from = value(configs, LOCAL_MS).unwrap_or("-2");
    let source = configs.get(LOCAL_MS).map(|fact| fact.source);
    let back = match source {
        Some(ConfigSource::Topic) => cx.set_topic(name, LOCAL_MS, from),
        _ => cx.unset_topic(name, LOCAL_MS),
    };
    let kind = ChangeKind::SetConfig {
        name: LOCAL_MS.to_owned(),
        from: Some(from.to_owned()),
        to: to.clone(),
        from_source: source,
    };
    let fix = Fix::new(format!("keep records of topic {name} locally for a shorter time"), Risk::Safe)
        .command(cx.set_topic(name, LOCAL_MS, &to))
        .ask("older records are then read from remote storage: slower, and paid for by request")
        .undo(back)
        .change(Change { topic: name.to_owned(), kind, risk: Risk::Safe });
    let facts = [LOCAL_MS, "retention.ms", "local.retention.bytes", "retention.bytes"];
    let finding = Finding::new(
        Severity::Warning,
        format!("topic {name}"),
        "it is tiered, and kept locally as long as in all",
    );
    let finding = facts.iter().fold(finding, |finding, fact| {
        finding.fact(*fact, value(configs, fact).unwrap_or("not told"), source_of(configs, fact))
    });
    out.found(
        finding
            .consequence(
                "its records are stored on local disks for their whole life, and in remote storage besides",
            )
            .fix(fix)
            .next("how far back do consumers read every day? So much has to be local"),
    );
}
