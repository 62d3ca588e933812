//! Kafka Streams applications, as spec, files, code and groups know them.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Cx, Out};
use crate::evidence::{Client, Group, GroupKind, Role, StreamsPromise, Topic};

/// One application, by its `application.id`.
#[derive(Debug, Default)]
pub(crate) struct App<'a> {
    pub clients: Vec<&'a Client>,
    pub promise: Option<&'a StreamsPromise>,
    pub group: Option<&'a Group>,
}

/// All applications that are known by their id.
pub(crate) fn apps<'a>(cx: &Cx<'a>, out: &mut Out) -> BTreeMap<String, App<'a>> {
    let mut apps: BTreeMap<String, App<'a>> = BTreeMap::new();
    for client in cx.clients(&[Role::Streams], out) {
        // An id that is computed cannot be joined with anything; the application is judged by its settings alone.
        let id = client.setting("application.id").and_then(|setting| setting.value.clone());
        let id = id.unwrap_or_else(|| format!("in {}", client.place.file));
        apps.entry(id).or_default().clients.push(client);
    }
    if let Some(spec) = out.see("spec", &cx.evidence.spec) {
        for (id, promise) in &spec.streams {
            apps.entry(id.clone()).or_default().promise = Some(promise);
        }
    }
    if let Some(groups) = out.see("groups", &cx.evidence.groups) {
        for group in groups.iter().filter(|group| is_streams(group)) {
            apps.entry(group.name.clone()).or_default().group = Some(group);
        }
    }
    apps
}

/// The application's id is the group's; the classic protocol shows it by the assignor.
pub(crate) fn is_streams(group: &Group) -> bool {
    group.kind == GroupKind::Streams || group.assignor == "stream"
}

/// Topics that belong to an application by their name: `<application.id>-…-changelog` or `-repartition`. Of two ids that fit, the longer one has it.
pub(crate) fn internal<'a>(
    topics: &'a BTreeMap<String, Topic>,
    apps: &BTreeMap<String, App<'_>>,
    id: &str,
    kind: &str,
) -> Vec<(&'a String, &'a Topic)> {
    let owner = |name: &str| {
        let fits = |id: &&String| name.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with('-'));
        apps.keys().filter(fits).max_by_key(|id| id.len()).is_some_and(|owner| owner == id)
    };
    topics.iter().filter(|(name, _)| name.ends_with(kind) && owner(name)).collect()
}

/// The application keeps state: it says so in the spec, or its changelogs are there. `None` when nobody looked.
pub(crate) fn stateful(
    cx: &Cx<'_>,
    out: &mut Out,
    apps: &BTreeMap<String, App<'_>>,
    id: &str,
) -> Option<String> {
    let topics = out.see("topics of the cluster", &cx.evidence.live.topics);
    if let Some(bytes) = apps.get(id)?.promise.and_then(|promise| promise.state_bytes) {
        return Some(format!("{bytes} bytes of state by the spec"));
    }
    let changelogs = internal(topics?, apps, id, "-changelog");
    let first = changelogs.first()?;
    Some(format!("{} changelogs, {} among them", changelogs.len(), first.0))
}

/// How findings name an application.
pub(crate) fn subject(id: &str) -> String {
    format!("streams application {id}")
}

/// Topics that the members of a group read, or that it has offsets of.
pub(crate) fn read_by(group: &Group) -> BTreeSet<String> {
    let assigned = group.members.iter().flat_map(|member| member.assigned.iter().flatten());
    let subscribed = group.members.iter().flat_map(|member| &member.subscribed).cloned();
    let stored = group.offsets.iter().map(|offset| offset.topic.clone());
    assigned.map(|one| one.topic.clone()).chain(subscribed).chain(stored).collect()
}
