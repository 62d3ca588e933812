//! A plan in the form that each program reads, one file a format.
//!
//! Names and defaults differ between clients, so settings are translated in meaning and never copied: what a client does
//! not have is said in a comment, what it would do otherwise is set. Every file carries the reasons as comments and the
//! plan's hash, so that drift can be seen.

mod code;
mod java;
mod librdkafka;
mod mm2;
mod prometheus;
mod properties;
mod server_properties;
mod streams;
mod strimzi;

pub(crate) use self::code::identifier;

use klamm_contract::Layer;

use crate::{Plan, Setting};

/// A form that some program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Brokers and controllers: `server.properties`, a systemd unit, kernel settings.
    ServerProperties,
    /// Properties of Java's producers and consumers.
    Java,
    /// Properties of librdkafka, and of the clients that are made of it.
    Librdkafka,
    /// A Python module for kafka-python.
    KafkaPython,
    /// A JavaScript module for KafkaJS.
    KafkaJs,
    /// A Rust module of contracts for this project's library.
    Rust,
    /// Resources of the Strimzi operator.
    Strimzi,
    /// MirrorMaker 2.
    Mm2,
    /// Properties of Kafka Streams applications.
    Streams,
    /// Alerts for Prometheus.
    PrometheusRules,
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Path below the folder of the export.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl Format {
    /// All formats.
    pub const ALL: &'static [Format] = &[
        Format::ServerProperties,
        Format::Java,
        Format::Librdkafka,
        Format::KafkaPython,
        Format::KafkaJs,
        Format::Rust,
        Format::Strimzi,
        Format::Mm2,
        Format::Streams,
        Format::PrometheusRules,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::ServerProperties => "server-properties",
            Format::Java => "java",
            Format::Librdkafka => "librdkafka",
            Format::KafkaPython => "kafka-python",
            Format::KafkaJs => "kafkajs",
            Format::Rust => "rust",
            Format::Strimzi => "strimzi",
            Format::Mm2 => "mm2",
            Format::Streams => "streams",
            Format::PrometheusRules => "prometheus-rules",
        }
    }
}

/// The plan in `format`. Empty when it has nothing of what the format is for: no application, no second cluster.
pub fn export(plan: &Plan, format: Format) -> Vec<ExportFile> {
    match format {
        Format::ServerProperties => server_properties::files(plan),
        Format::Java => clients(plan, java::producer, java::consumer, properties::Page::security),
        Format::Librdkafka => clients(
            plan,
            librdkafka::producer,
            librdkafka::consumer,
            properties::Page::security_of_librdkafka,
        ),
        Format::KafkaPython => code::python_files(plan),
        Format::KafkaJs => code::kafkajs_files(plan),
        Format::Rust => code::rust_files(plan),
        Format::Strimzi => strimzi::files(plan),
        Format::Mm2 => mm2::files(plan),
        Format::Streams => streams::files(plan),
        Format::PrometheusRules => prometheus::files(plan),
    }
}

type Writer = fn(&[Setting], &mut properties::Page);

fn clients(
    plan: &Plan,
    producer: Writer,
    consumer: Writer,
    security: fn(&mut properties::Page, &Plan),
) -> Vec<ExportFile> {
    let file = |role: &str, name: &str, settings: &[Setting], write: Writer| {
        let title = format!("{role} {name} of service {}", plan.service);
        let mut page = properties::Page::new(&title, plan);
        page.bootstrap(&plan.cluster.bootstrap);
        security(&mut page, plan);
        write(settings, &mut page);
        ExportFile { path: format!("{role}-{}.properties", file_name(name)), text: page.finish() }
    };
    let of_producer = |settings: &[Setting]| -> Vec<Setting> {
        settings.iter().filter(|setting| setting.layer == Layer::Producer).cloned().collect()
    };
    let producers = plan
        .topics
        .iter()
        .map(|topic| file("producer", topic.name(), &of_producer(&topic.settings), producer));
    let consumers =
        plan.consumers.iter().map(|group| file("consumer", &group.contract.group, &group.settings, consumer));
    producers.chain(consumers).collect()
}

/// A group id may hold what no file name may: such characters become `_`, and a hash keeps two of them apart.
fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(plain) && !name.starts_with('.') {
        return name.to_owned();
    }
    let replaced: String = name.chars().map(|c| if plain(c) && c != '.' { c } else { '_' }).collect();
    format!("{replaced}-{}", &properties::hash(name.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn file_names_are_plain_and_apart(one in "\\PC{1,20}", other in "\\PC{1,20}") {
            for name in [&one, &other] {
                let file = file_name(name);
                prop_assert!(!file.contains(['/', '\\', '\0']) && !file.starts_with('.'), "{}", file);
            }
            prop_assert_eq!(one == other, file_name(&one) == file_name(&other));
        }
    }
}
