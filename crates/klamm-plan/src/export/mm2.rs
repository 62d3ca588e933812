//! MirrorMaker 2 to the second cluster: `connect-mirror-maker.sh mm2.properties`.

use super::ExportFile;
use super::properties::Page;
use crate::Plan;

/// Name of the second cluster in the file.
const SECOND: &str = "second";

pub(super) fn files(plan: &Plan) -> Vec<ExportFile> {
    let Some(recovery) = &plan.recovery else { return Vec::new() };
    let alias = recovery.alias.as_str();
    let mut page = Page::new(&format!("MirrorMaker 2 from {alias} to {SECOND}"), plan);
    recovery.because.iter().for_each(|why| page.remark(why));
    page.extra("clusters", &format!("{alias},{SECOND}"), "The two clusters.");
    let addresses = |list: &[String]| if list.is_empty() { "HOST:PORT".to_owned() } else { list.join(",") };
    page.extra(&format!("{alias}.bootstrap.servers"), &addresses(&plan.cluster.bootstrap), "This cluster.");
    page.extra(
        &format!("{SECOND}.bootstrap.servers"),
        &addresses(&recovery.to),
        "The second one, where the mirror runs.",
    );
    let flow = format!("{alias}->{SECOND}");
    page.extra(&format!("{flow}.enabled"), "true", "One way; the way back is a mirror of its own.");
    page.extra(&format!("{SECOND}->{alias}.enabled"), "false", "Not back.");
    let exact =
        |names: &[String]| names.iter().map(|name| name.replace('.', "\\.")).collect::<Vec<_>>().join(",");
    page.extra(
        &format!("{flow}.topics"),
        &exact(&recovery.topics),
        "Topics of the plan, as regular expressions.",
    );
    if !recovery.groups.is_empty() {
        page.extra(&format!("{flow}.groups"), &exact(&recovery.groups), "Groups of the plan.");
    }
    for setting in &recovery.settings {
        let name = match setting.name.as_str() {
            // Clients of the mirror: read here, write there.
            name if name.starts_with("consumer.") => format!("{alias}.{name}"),
            name if name.starts_with("producer.") => format!("{SECOND}.{name}"),
            "tasks.max" => "tasks.max".to_owned(),
            name => format!("{flow}.{name}"),
        };
        page.setting(&name, setting);
    }
    let factor = recovery
        .settings
        .iter()
        .find(|setting| setting.name == "replication.factor")
        .map_or("3", |s| s.value.as_str());
    for name in [
        "offset-syncs.topic",
        "checkpoints.topic",
        "heartbeats.topic",
        "config.storage",
        "offset.storage",
        "status.storage",
    ] {
        page.extra(
            &format!("{name}.replication.factor"),
            factor,
            "The mirror's own topics are as safe as the mirrored ones.",
        );
    }
    vec![ExportFile { path: "mm2.properties".to_owned(), text: page.finish() }]
}
