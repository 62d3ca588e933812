//! Changes of settings as steps of a fix, with what takes them back.

use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind};

use crate::advice::is_code;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Configs, Topic};
use crate::finding::Fix;
use crate::lines::Block;

/// A topic's configuration, as far as it was seen.
pub(crate) fn configs<'a>(out: &mut Out, name: &str, topic: &'a Topic) -> Option<&'a Configs> {
    out.see(&format!("configuration of topic {name}"), &topic.configs)
}

/// Copies of the partition that has the fewest.
pub(crate) fn copies(topic: &Topic) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
}

/// Sets a topic's configuration: the command, what takes it back, and the same for apply.
pub(crate) fn set_topic(cx: &Cx<'_>, fix: Fix, topic: &str, configs: &Configs, name: &str, to: &str) -> Fix {
    let fact = configs.get(name);
    let from = fact.and_then(|fact| fact.value.clone());
    let own = fact.is_some_and(|fact| fact.source == ConfigSource::Topic);
    let back = match &from {
        Some(value) if own => cx.set_topic(topic, name, value),
        _ => cx.unset_topic(topic, name),
    };
    let risk = fix.risk;
    let kind = ChangeKind::SetConfig {
        name: name.to_owned(),
        from,
        to: to.to_owned(),
        from_source: fact.map(|fact| fact.source),
    };
    fix.command(cx.set_topic(topic, name, to)).undo(back).change(Change {
        topic: topic.to_owned(),
        kind,
        risk,
    })
}

/// Several settings one after the other; they are taken back from the last to the first.
pub(crate) fn set_topic_all(
    cx: &Cx<'_>,
    fix: Fix,
    topic: &str,
    configs: &Configs,
    settings: &[(&str, &str)],
) -> Fix {
    let set = |fix, (name, to): &(&str, &str)| set_topic(cx, fix, topic, configs, name, to);
    let mut fix = settings.iter().fold(fix, set);
    fix.undo.reverse();
    fix
}

/// The command that sets a group's configuration, and what takes it back.
pub(crate) fn set_group(cx: &Cx<'_>, fix: Fix, group: &str, configs: &Configs, name: &str, to: &str) -> Fix {
    let base = format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type groups --entity-name {group}",
        cx.bootstrap()
    );
    // DescribeConfigs has no source of its own for what is set on a group: whatever is no default may be.
    let fact = configs.get(name);
    let own = fact.is_some_and(|fact| matches!(fact.source, ConfigSource::Other | ConfigSource::Topic));
    let back = match fact.and_then(|fact| fact.value.as_deref()) {
        Some(value) if own => format!("{base} --add-config {name}={value}"),
        _ => format!("{base} --delete-config {name}"),
    };
    fix.command(format!("{base} --add-config {name}={to}")).undo(back)
}

/// Sets a setting of a client where it stands, or beside its others.
pub(crate) fn set_client(fix: Fix, client: &Client, name: &str, to: &str) -> Fix {
    let place = client.setting(name).map_or(&client.place, |setting| &setting.place);
    if !is_code(place) {
        return Block { settings: &client.settings, place: &client.place }.set(fix, name, name, to);
    }
    let written = client.setting(name).and_then(|setting| setting.written.as_deref()).unwrap_or(name);
    let undo = match client.setting(name) {
        Some(setting) => {
            let from = setting.value.as_deref().unwrap_or("…");
            format!("set {written} at {place} back to {from}")
        }
        None => format!("take {written} out of {} again", place.file),
    };
    fix.code(place, format!("set {written} to {to}")).undo_by(undo)
}
