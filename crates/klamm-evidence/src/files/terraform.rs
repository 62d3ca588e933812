//! Terraform: topics of the Kafka and Confluent providers, and the configuration of MSK. The one module that knows the HCL parser.

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body};
use hcl_edit::template::{Element, Template};
use klamm_rules::evidence::{BrokerFile, Client, Role, TopicFile};

use super::names::Dialect;
use super::properties::properties;
use super::settings::{File, literal};
use super::tree::{At, Pair};

/// What an expression that is not known stands for.
const COMPUTED: &str = "${computed}";

/// Reads a file of Terraform.
///
/// # Errors
/// When it is no HCL.
pub(super) fn read(text: &str, file: &mut File<'_>) -> Result<(), String> {
    let body: Body = hcl_edit::parser::parse_body(text)
        .map_err(|error| format!("line {}: not HCL: {}", error.location().line(), error.message().trim()))?;
    for block in body.blocks() {
        match block.ident.as_str() {
            "provider" => provider(block, text, file),
            "resource" => {}
            _ => continue,
        }
        let kind = block.labels.first().map_or("", |label| label.as_str());
        match kind {
            "kafka_topic" => topic(block, &["name", "partitions", "replication_factor"], text, file),
            "confluent_kafka_topic" => topic(block, &["topic_name", "partitions_count", ""], text, file),
            "aws_msk_configuration" => msk(block, text, file),
            _ => {}
        }
    }
    Ok(())
}

fn at(text: &str, span: Option<std::ops::Range<usize>>) -> At {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return At::default() };
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    At { line: u32::try_from(line).unwrap_or(0), column: u32::try_from(column).unwrap_or(0) }
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    block.body.get_attribute(name).map(|attribute| &attribute.value)
}

fn label(block: &Block) -> String {
    block.labels.get(1).map_or("", |label| label.as_str()).to_owned()
}

fn topic(block: &Block, names: &[&str; 3], text: &str, file: &mut File<'_>) {
    let [name, partitions, copies] = names;
    let number = |name: &str| attribute(block, name).and_then(|value| value_of(value).trim().parse().ok());
    let topic = attribute(block, name).and_then(|value| literal(&value_of(value)));
    let mut pairs = Vec::new();
    if let Some(Expression::Object(object)) = attribute(block, "config") {
        for (key, value) in object.iter() {
            let name = match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                ObjectKey::Expression(name) => value_of(name),
            };
            pairs.push(Pair::new(name, value_of(value.expr()), at(text, value.expr().span())));
        }
    }
    let configs = file.settings(&pairs, Dialect::Java);
    let place = file.place(at(text, block.span()));
    let (partitions, replication_factor) = (number(partitions), number(copies));
    // A name that is computed is told by the resource's.
    let topic = topic.unwrap_or_else(|| label(block));
    file.into.topics.push(TopicFile { topic, place, partitions, replication_factor, configs });
}

/// How Terraform itself connects: `provider "kafka" { … }`.
fn provider(block: &Block, text: &str, file: &mut File<'_>) {
    let name = block.labels.first().map_or("", |label| label.as_str());
    if !["kafka", "confluent", "confluentcloud", "kafka-connect"].contains(&name) {
        return;
    }
    let pairs: Vec<Pair> = block
        .body
        .attributes()
        .map(|told| Pair::new(told.key.as_str(), value_of(&told.value), at(text, told.value.span())))
        .collect();
    let client = Client {
        role: Role::Admin,
        name: format!("provider {name}"),
        place: file.place(at(text, block.span())),
        settings: file.settings(&pairs, Dialect::Java),
        open: true,
        ..Client::default()
    };
    file.into.clients.push(client);
}

fn msk(block: &Block, text: &str, file: &mut File<'_>) {
    let Some(value) = attribute(block, "server_properties") else { return };
    let start = at(text, value.span()).line;
    // A heredoc begins on the line below its mark.
    let offset =
        if matches!(value, Expression::HeredocTemplate(_)) { start } else { start.saturating_sub(1) };
    let moved = |pair: Pair| Pair { at: At { line: pair.at.line + offset, column: 0 }, ..pair };
    let pairs: Vec<Pair> = properties(&value_of(value)).into_iter().map(moved).collect();
    let settings = file.settings(&pairs, Dialect::Java);
    let place = file.place(at(text, block.span()));
    let name =
        attribute(block, "name").and_then(|name| literal(&value_of(name))).unwrap_or_else(|| label(block));
    // MSK has defaults of its own.
    file.into.brokers.push(BrokerFile { name, place, nodes: None, settings, open: true });
}

/// The text of a constant; what is computed is a reference.
fn value_of(value: &Expression) -> String {
    match value {
        Expression::String(text) => text.value().clone(),
        Expression::Number(number) => number.value().to_string(),
        Expression::Bool(flag) => flag.value().to_string(),
        Expression::StringTemplate(template) => template.iter().map(element).collect(),
        Expression::HeredocTemplate(heredoc) => whole(&heredoc.template),
        Expression::Parenthesis(inner) => value_of(inner.inner()),
        _ => COMPUTED.to_owned(),
    }
}

fn whole(template: &Template) -> String {
    template.iter().map(element).collect()
}

fn element(element: &Element) -> String {
    match element {
        Element::Literal(text) => text.value().clone(),
        _ => COMPUTED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    fn found(text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        super::super::read("main.tf", text, &mut into);
        into
    }

    #[test]
    fn topics_and_configurations() {
        let text = "resource \"kafka_topic\" \"logs\" {\n  name               = \"logs\"\n  replication_factor = 1\n  partitions         = var.n\n  config = {\n    \"cleanup.policy\" = \"compact\"\n    \"retention.ms\" = var.retention\n  }\n}\nresource \"aws_msk_configuration\" \"c\" {\n  name = \"main\"\n  server_properties = <<PROPERTIES\nauto.create.topics.enable = true\nmin.insync.replicas = ${var.isr}\nPROPERTIES\n}\n";
        let found = found(text);
        let [topic] = found.topics.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (topic.topic.as_str(), topic.partitions, topic.replication_factor),
            ("logs", None, Some(1))
        );
        assert_eq!(topic.configs["cleanup.policy"].value.as_deref(), Some("compact"));
        assert_eq!(topic.configs["cleanup.policy"].place.line, 6);
        assert_eq!(topic.configs["retention.ms"].value, None);
        let broker = &found.brokers[0];
        assert_eq!(broker.settings["auto.create.topics.enable"].place.line, 13);
        assert_eq!(
            (broker.name.as_str(), broker.settings["min.insync.replicas"].value.as_deref()),
            ("main", None)
        );
    }

    #[test]
    fn the_provider_has_secrets_and_switches() {
        let text = "provider \"kafka\" {\n  sasl_password   = \"Adm1nPassw0rd\"\n  sasl_username = var.user\n  skip_tls_verify = true\n}\nprovider \"aws\" {\n  secret_key = \"x\"\n}\n";
        let found = found(text);
        let [client] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!(client.settings["skip_tls_verify"].value.as_deref(), Some("true"));
        assert_eq!(
            client.settings["skip_tls_verify"].line.with("false").as_deref(),
            Some("  skip_tls_verify = false")
        );
        assert_eq!(found.secrets.len(), 1);
        assert_eq!((found.secrets[0].name.as_str(), found.secrets[0].place.line), ("sasl_password", 2));
        assert!(!format!("{found:?}").contains("Adm1n"));
    }

    #[test]
    fn broken_and_foreign_files_yield_nothing() {
        let broken = found("resource \"kafka_topic\" \"x\" {\n  name = \n");
        assert_eq!((broken.topics.len(), broken.skipped.len()), (0, 1));
        let foreign = found("resource \"aws_instance\" \"kafka\" { ami = \"x\" }\n");
        assert!(foreign.topics.is_empty() && foreign.skipped.is_empty());
    }
}
