//! What the libraries on librdkafka share (confluent-kafka for Python, Go and JavaScript, rdkafka for Rust): its names of settings.

use crate::meaning::Raw;

/// Aliases and names of librdkafka's own, with Java's.
const NAMES: &[(&str, &str)] = &[
    ("request.required.acks", "acks"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("compression.codec", "compression.type"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.max.bytes", "max.request.size"),
    ("message.send.max.retries", "retries"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("fetch.wait.max.ms", "fetch.max.wait.ms"),
];

/// Keys that hold functions, or a map whose entries are settings of their own.
const NONE: &[&str] = &[
    "default.topic.config",
    "error_cb",
    "stats_cb",
    "logger",
    "on_commit",
    "throttle_cb",
    "oauth_cb",
    "on_delivery",
];

/// A setting under Java's name, with Java's word for its value.
pub(crate) fn translate(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    let name = name.strip_prefix("default.topic.config.").unwrap_or(name);
    if NONE.contains(&name) {
        return None;
    }
    let java = NAMES.iter().find(|(own, _)| *own == name).map_or(name, |(_, java)| java);
    let value = value.text().map(|text| match (java, text.as_str()) {
        ("acks", "-1") => "all".to_owned(),
        ("auto.offset.reset", "smallest" | "beginning") => "earliest".to_owned(),
        ("auto.offset.reset", "largest" | "end") => "latest".to_owned(),
        _ => text,
    });
    Some((java.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_have_javas_names_and_words() {
        let text = |text: &str| Raw::Text(text.to_owned());
        let made = |name, value| translate(name, &text(value)).unwrap();
        assert_eq!(made("request.required.acks", "-1"), ("acks".to_owned(), Some("all".to_owned())));
        assert_eq!(made("auto.offset.reset", "end").1.as_deref(), Some("latest"));
        assert_eq!(made("socket.timeout.ms", "1").0, "socket.timeout.ms");
        assert_eq!(translate("acks", &Raw::Unknown), Some(("acks".to_owned(), None)));
    }
}
