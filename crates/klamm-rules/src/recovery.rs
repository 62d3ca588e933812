//! Names of topics in the second cluster, and commands for it.

use std::collections::BTreeMap;

use crate::check::{Cx, Out};
use crate::evidence::{Line, MirrorFlow, Setting, Topic};
use crate::finding::Fix;
use crate::lines::{patch, replace};

/// What the first cluster is called in names of the second one: by the spec, else by the files of MirrorMaker 2 when they have one source.
pub fn alias<'a>(cx: &Cx<'a>) -> Option<&'a str> {
    let spec = cx.evidence.spec.value().and_then(|spec| spec.recovery.as_ref());
    if let Some(alias) = spec.map(|recovery| recovery.alias.as_str()).filter(|alias| !alias.is_empty()) {
        return Some(alias);
    }
    let mut sources = cx.evidence.files.value()?.mirrors.iter().map(|flow| flow.source.as_str());
    let first = sources.next()?;
    sources.all(|source| source == first).then_some(first)
}

/// The copy of a topic in the second cluster: `alias.topic`, or the same name where names are kept.
pub fn copy_of<'a>(
    second: &'a BTreeMap<String, Topic>,
    alias: Option<&str>,
    topic: &str,
) -> Option<(&'a str, &'a Topic)> {
    let renamed = alias.and_then(|alias| second.get_key_value(&format!("{alias}.{topic}")));
    let found = renamed.or_else(|| second.get_key_value(topic))?;
    Some((found.0, found.1))
}

/// `--bootstrap-server …` of the second cluster.
pub fn second_server<'a>(cx: &Cx<'a>) -> &'a str {
    match cx.evidence.second.bootstrap.as_str() {
        "" => "$SECOND_BOOTSTRAP",
        known => known,
    }
}

/// The command that changes a topic of the second cluster: `--add-config a=b`, `--delete-config a`.
pub fn of_second_topic(cx: &Cx<'_>, topic: &str, change: &str) -> String {
    let server = second_server(cx);
    format!(
        "kafka-configs.sh --bootstrap-server {server} --alter --entity-type topics --entity-name {topic} {change}"
    )
}

/// A setting of a flow of MirrorMaker 2; `default` is what it does by itself. `None` when it is no constant; that is written down.
pub fn of_flow<'a>(out: &mut Out, flow: &'a MirrorFlow, name: &str, default: &'a str) -> Option<&'a str> {
    let Some(setting) = flow.settings.get(name) else { return Some(default) };
    if setting.value.is_none() {
        out.unclear(&flow_subject(flow), format!("{name} is set to what is not a constant"));
    }
    setting.value.as_deref()
}

/// Sets a setting of a flow where it stands, else as its file has it. MirrorMaker reads it when it starts.
pub fn set_in_flow(fix: Fix, flow: &MirrorFlow, name: &str, to: &str) -> Fix {
    let full = format!("{}->{}.{name}", flow.source, flow.target);
    match flow.settings.get(name) {
        Some(setting) if setting.line == Line::Unknown && setting.written.is_none() => {
            replace(fix, &Setting { written: Some(full), ..setting.clone() }, name, to)
        }
        Some(setting) => replace(fix, setting, name, to),
        None if flow.place.file.ends_with(".properties") => {
            patch(fix, &flow.place, String::new(), format!("{full}={to}"))
        }
        None => fix
            .code(&flow.place, format!("set {name} to {to} in the connector's config of this flow"))
            .undo_by(format!("take {name} out of {} again", flow.place.file)),
    }
}

/// How findings name a flow.
pub fn flow_subject(flow: &MirrorFlow) -> String {
    format!("mirror {}->{} in {}", flow.source, flow.target, flow.place.file)
}

/// Flows that copy anything.
pub fn is_on(flow: &MirrorFlow) -> bool {
    let told = flow.settings.get("enabled").and_then(|setting| setting.value.as_deref());
    told.is_none_or(|told| told.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_found_by_its_alias_before_its_own_name() {
        let second: BTreeMap<String, Topic> =
            ["east.orders", "orders", "payments"].map(|name| (name.to_owned(), Topic::default())).into();
        let name = |topic| copy_of(&second, Some("east"), topic).map(|(name, _)| name);
        assert_eq!(name("orders"), Some("east.orders"));
        assert_eq!(name("payments"), Some("payments"));
        assert_eq!(name("x"), None);
    }
}
