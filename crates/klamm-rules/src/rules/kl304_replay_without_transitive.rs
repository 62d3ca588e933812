//! Old records of a topic are read again, and its subject's level only looks at the last version.
//!
//! ## What it does
//! Takes subjects (`schema registry`) of topics that keep their records long (`live`, `spec`): compacted, kept for ever, or for 90 days or more. It fires when their level promises to read old data (BACKWARD, FULL) only against the
//! version before, or does not promise it at all (FORWARD). `NONE` is KL302's.
//!
//! ## Why it hurts
//! A consumer that reads the topic from the beginning meets records of every version that ever was. BACKWARD promises that the newest schema reads those of the version before; two steps, each of them compatible, can break the
//! first one.
//!
//! ## Example
//!     cleanup.policy=compact with BACKWARD
//!
//! ## Use instead
//!     cleanup.policy=compact with BACKWARD_TRANSITIVE
//!
//! ## Severity
//! Warning.

use klamm_plan::Risk;

use crate::amend::configs;
use crate::check::{Cx, Out};
use crate::evidence::Subject;
use crate::finding::{Finding, Fix, Severity};
use crate::samples::promise;
use crate::schemas::{level_source, promises, registry, set_level, topic_of};
use crate::text::{duration, number, source_of, value};

/// Kept for so long, records of more than the last two versions are there.
const LONG_MS: i64 = 90 * 86_400_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(registry) = registry(cx, out) else { return };
    for subject in &registry.subjects {
        let Some(topic) = topic_of(&subject.name) else { continue };
        let level = subject.compatibility.to_ascii_uppercase();
        if level == "NONE" {
            continue;
        }
        let Some((what, kept, source)) = keeps_long(cx, out, topic) else { continue };
        out.judged();
        if promises(&level, "BACKWARD_TRANSITIVE") {
            continue;
        }
        let wanted = if promises(&level, "FORWARD") { "FULL_TRANSITIVE" } else { "BACKWARD_TRANSITIVE" };
        out.found(finding(cx, subject, topic, wanted).fact(what, kept, source));
    }
}

fn keeps_long(cx: &Cx<'_>, out: &mut Out, topic: &str) -> Option<(&'static str, String, String)> {
    if let Some(promise) = promise(cx, out, topic).filter(|promise| promise.forever) {
        return Some(("kept", "for ever".to_owned(), format!("spec, {}", promise.place)));
    }
    let live = out.see("topics of the cluster", &cx.evidence.live.topics)?.get(topic)?;
    let configs = configs(out, topic, live)?;
    let policy = value(configs, "cleanup.policy").unwrap_or_default();
    if policy.contains("compact") {
        return Some(("cleanup.policy", policy.to_owned(), source_of(configs, "cleanup.policy").to_owned()));
    }
    let kept = number(configs, "retention.ms").filter(|ms| *ms < 0 || *ms >= LONG_MS)?;
    let text = if kept < 0 { "for ever".to_owned() } else { duration(kept) };
    Some(("retention.ms", text, source_of(configs, "retention.ms").to_owned()))
}

fn finding(cx: &Cx<'_>, subject: &Subject, topic: &str, wanted: &str) -> Finding {
    let (set, back) = set_level(subject, wanted);
    let fix = Fix::new(format!("set the level of {} to {wanted}", subject.name), Risk::RefusesWrites)
        .command(set)
        .undo(back);
    Finding::new(
        Severity::Warning,
        format!("subject {}", subject.name),
        format!(
            "its level is {}, and records of all {} versions are read again",
            subject.compatibility, subject.version
        ),
    )
    .fact("compatibility", subject.compatibility.clone(), level_source(subject))
    .consequence(format!(
        "a consumer that reads {topic} from the beginning can meet a record that its schema cannot read"
    ))
    .fix(fix)
    .next(format!(
        "does the newest schema of {} read records of every version that is registered?",
        subject.name
    ))
    .weighed(cx.weight(topic))
}
