//! A small service to start from: a producer and a consumer that hold to the contract, with the exported settings.

use crate::Plan;
use crate::export::{ExportFile, Format, export, identifier};
use crate::text::quoted;

/// Languages in which a service can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Apache Kafka's client.
    Java,
    /// kafka-python.
    Python,
    /// This project's library.
    Rust,
}

impl Language {
    /// All of them.
    pub const ALL: &'static [Language] = &[Language::Java, Language::Python, Language::Rust];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Python => "python",
            Language::Rust => "rust",
        }
    }
}

/// The files of a service that writes the plan's first topic and reads with its first group.
///
/// # Errors
/// What the plan lacks for that.
pub fn service(plan: &Plan, language: Language) -> Result<Vec<ExportFile>, String> {
    let topic = plan.topics.first().ok_or("the spec owns no topic to write to")?;
    let group = plan.consumers.first().ok_or("the spec has no consumer group to read with")?;
    let reads: Vec<String> = group.contract.topics.iter().map(|topic| quoted(topic)).collect();
    let settings = |format: Format| -> Vec<ExportFile> {
        let files = export(plan, format).into_iter();
        files.map(|file| ExportFile { path: format!("config/{}", file.path), text: file.text }).collect()
    };
    let (mut files, path, template) = match language {
        Language::Java => (settings(Format::Java), "Service.java", include_str!("service/Service.java.txt")),
        Language::Python => {
            (settings(Format::KafkaPython), "service.py", include_str!("service/service.py.txt"))
        }
        Language::Rust => (export(plan, Format::Rust), "src/main.rs", include_str!("service/main.rs.txt")),
    };
    // Exported in the order of the plan: topics, then groups.
    let file = |prefix: &str| {
        let found = files
            .iter()
            .find_map(|file| file.path.strip_prefix("config/").filter(|path| path.starts_with(prefix)));
        quoted(found.unwrap_or_default())
    };
    let bootstrap = plan.cluster.bootstrap.join(",");
    let text = template
        .replace("@TOPIC@", &quoted(topic.name()))
        .replace("@GROUP@", &quoted(&group.contract.group))
        .replace("@PRODUCER_FILE@", &file("producer-"))
        .replace("@CONSUMER_FILE@", &file("consumer-"))
        .replace(
            "@READS@",
            &if language == Language::Python { format!("[{}]", reads.join(", ")) } else { reads.join(", ") },
        )
        .replace("@BOOTSTRAP@", &quoted(if bootstrap.is_empty() { "localhost:9092" } else { &bootstrap }))
        .replace("@TOPIC_FN@", &identifier("topic", topic.name()))
        .replace("@GROUP_FN@", &identifier("group", &group.contract.group));
    files.push(ExportFile { path: path.to_owned(), text });
    if language == Language::Rust {
        let text = "[package]\nname = \"service\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nklamm = \"0.1\"\n\
                    tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\", \"signal\"] }\n";
        files.push(ExportFile { path: "Cargo.toml".to_owned(), text: text.to_owned() });
    }
    Ok(files)
}
