//! A plan in the form that each program reads, one file a format.
//!
//! Names and defaults differ between clients, so settings are translated in meaning and never copied: what a client does
//! not have is said in a comment, what it would do otherwise is set. Every file carries the reasons as comments and the
//! plan's hash, so that drift can be seen.

mod java;
mod librdkafka;
mod properties;

use klamm_contract::Layer;

use crate::{Plan, Setting};

/// A form that some program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Properties of Java's producers and consumers.
    Java,
    /// Properties of librdkafka, and of the clients that are made of it.
    Librdkafka,
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
    pub const ALL: &'static [Format] = &[Format::Java, Format::Librdkafka];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Java => "java",
            Format::Librdkafka => "librdkafka",
        }
    }
}

/// The plan in `format`: a file for the producer of each topic, and one for each consumer group.
pub fn export(plan: &Plan, format: Format) -> Vec<ExportFile> {
    match format {
        Format::Java => clients(plan, java::producer, java::consumer),
        Format::Librdkafka => clients(plan, librdkafka::producer, librdkafka::consumer),
    }
}

type Writer = fn(&[Setting], &mut properties::Page);

fn clients(plan: &Plan, producer: Writer, consumer: Writer) -> Vec<ExportFile> {
    let file = |role: &str, name: &str, settings: &[Setting], write: Writer| {
        let title = format!("{role} {name} of service {}", plan.service);
        let mut page = properties::Page::new(&title, plan);
        page.bootstrap(&plan.cluster.bootstrap);
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
