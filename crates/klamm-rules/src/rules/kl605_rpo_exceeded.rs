//! The copy in the second cluster is further behind than may be lost.
//!
//! ## What it does
//! Compares the time stamp of the newest record of each strong topic with that of its copy, against the recovery point of the spec.
//!
//! ## Why it hurts
//! What is not copied when the cluster is lost is lost. The promise is broken now, not then.
//!
//! ## Example
//!     recovery point 1 min; newest record 10:00:00, newest copy 09:52:10
//!
//! ## Use instead
//!     more tasks (`tasks.max`) for MirrorMaker 2, or a wider link
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-734: offsets of the highest time stamp; KIP-382: MirrorMaker 2 keeps time stamps, unless the copy has message.timestamp.type=LogAppendTime

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::recovery::{alias, second_server};
use crate::text::{duration, value};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let Some(recovery) = &spec.recovery else { return };
    let here = out.see("newest records of the cluster", &cx.evidence.live.newest);
    let there = out.see("newest records of the second cluster", &cx.evidence.second.newest);
    let (Some(here), Some(there)) = (here, there) else { return };
    let allowed = i64::try_from(recovery.rpo_ms).unwrap_or(i64::MAX);
    let topics = cx.evidence.second.topics.value();
    for topic in spec.topics.keys().filter(|topic| cx.weight(topic).strong) {
        let Some(newest) = here.get(topic).filter(|newest| **newest >= 0) else { continue };
        let renamed = alias(cx).map(|alias| format!("{alias}.{topic}"));
        let mut names = renamed.iter().map(String::as_str).chain([topic.as_str()]);
        // A copy that did not tell is not the second cluster's own topic of the same name.
        let exists = |name: &&str| {
            there.contains_key(*name) || topics.is_some_and(|topics| topics.contains_key(*name))
        };
        let Some((copy, copied)) = names.find(exists).and_then(|name| Some((name, *there.get(name)?))) else {
            continue;
        };
        let configs = topics.and_then(|topics| topics.get(copy)?.configs.value());
        if configs.and_then(|configs| value(configs, "message.timestamp.type")) == Some("LogAppendTime") {
            out.unclear(
                &format!("topic {copy}"),
                "its time stamps are the second cluster's: they do not tell how far behind it is",
            );
            continue;
        }
        out.judged();
        let behind = if copied < 0 { i64::MAX } else { newest.saturating_sub(copied) };
        if behind <= allowed {
            continue;
        }
        let shown = if copied < 0 { "all of it".to_owned() } else { duration(behind) };
        out.found(
            Finding::new(Severity::Error, format!("topic {copy} of the second cluster"), format!("it is {shown} behind, {} may be lost", duration(allowed)))
                .fact(format!("newest record of {topic}"), format!("{newest} ms since 1970"), "first cluster")
                .fact(format!("newest record of {copy}"), format!("{copied} ms since 1970"), "second cluster")
                .fact("recovery point that is promised", duration(allowed), recovery.place.to_string())
                .consequence(format!("if the cluster is lost now, {shown} of {topic} is lost with it"))
                .fix(
                    Fix::new("let the copy catch up", Risk::Safe)
                        .ask("is MirrorMaker 2 running, and are all its tasks? Its log and its heartbeats topic tell")
                        .ask("if it runs and is slow: raise tasks.max, run one more process beside the second cluster, compress, or widen the link")
                        .undo_by("the former tasks.max again"),
                )
                .next(format!("kafka-get-offsets.sh --bootstrap-server {} --topic {copy} --time max-timestamp", second_server(cx)))
                .weighed(cx.weight(topic)),
        );
    }
}
