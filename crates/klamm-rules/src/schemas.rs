//! Subjects of a registry, their topics, and what compatibility levels promise.

use crate::check::{Cx, Out};
use crate::evidence::{SchemaEvidence, Subject};

/// What the registry holds; written down when nobody looked.
pub(crate) fn registry<'a>(cx: &Cx<'a>, out: &mut Out) -> Option<&'a SchemaEvidence> {
    out.see("schema registry", &cx.evidence.schemas)
}

/// The topic of a subject that is named after its topic (TopicNameStrategy, the default).
pub(crate) fn topic_of(subject: &str) -> Option<&str> {
    subject.strip_suffix("-value").or_else(|| subject.strip_suffix("-key"))
}

/// `has` promises everything that `wants` does.
pub(crate) fn promises(has: &str, wants: &str) -> bool {
    let (has, wants) = (parts(has), parts(wants));
    wants.iter().all(|part| has.contains(part))
}

fn parts(level: &str) -> Vec<&'static str> {
    match level.trim().to_ascii_uppercase().as_str() {
        "BACKWARD" => vec!["old data"],
        "BACKWARD_TRANSITIVE" => vec!["old data", "all old data"],
        "FORWARD" => vec!["old readers"],
        "FORWARD_TRANSITIVE" => vec!["old readers", "all old readers"],
        "FULL" => vec!["old data", "old readers"],
        "FULL_TRANSITIVE" => vec!["old data", "old readers", "all old data", "all old readers"],
        _ => Vec::new(),
    }
}

/// The command that sets a subject's level, and the one that takes it back.
pub(crate) fn set_level(subject: &Subject, level: &str) -> (String, String) {
    let put = |level: &str| {
        format!(
            "curl -sS -X PUT -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data \
             '{{\"compatibility\": \"{level}\"}}' \"$SCHEMA_REGISTRY/config/{}\"",
            subject.name
        )
    };
    let back = match subject.inherited {
        true => format!("curl -sS -X DELETE \"$SCHEMA_REGISTRY/config/{}\"", subject.name),
        false => put(&subject.compatibility),
    };
    (put(level), back)
}

/// Where a subject's level comes from.
pub(crate) fn level_source(subject: &Subject) -> &'static str {
    if subject.inherited { "the registry's default" } else { "set on the subject" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_promise_what_their_names_say() {
        for (has, wants, enough) in [
            ("FULL", "BACKWARD", true),
            ("BACKWARD", "FULL", false),
            ("BACKWARD", "BACKWARD_TRANSITIVE", false),
            ("FULL_TRANSITIVE", "FORWARD_TRANSITIVE", true),
            ("NONE", "BACKWARD", false),
            ("FORWARD", "NONE", true),
        ] {
            assert_eq!(promises(has, wants), enough, "{has} for {wants}");
        }
    }
}
