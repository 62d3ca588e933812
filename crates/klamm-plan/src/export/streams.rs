//! Properties of Kafka Streams applications.

use super::ExportFile;
use super::properties::Page;
use crate::Plan;

pub(super) fn files(plan: &Plan) -> Vec<ExportFile> {
    let file = |streams: &crate::StreamsPlan| {
        let mut page =
            Page::new(&format!("application {} of service {}", streams.application, streams.service), plan);
        page.bootstrap(&plan.cluster.bootstrap);
        page.security(plan);
        streams.settings.iter().for_each(|setting| {
            // A setting of the topics that Streams makes goes behind `topic.`, as it stands in the plan.
            page.setting(&setting.name, setting);
        });
        ExportFile {
            path: format!("streams-{}.properties", super::file_name(&streams.application)),
            text: page.finish(),
        }
    };
    plan.streams.iter().map(file).collect()
}
