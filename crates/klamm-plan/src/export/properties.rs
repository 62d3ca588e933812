//! Properties files, with the reasons as comments.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::spec::{Mechanism, SecretRef};
use crate::{Plan, Setting, text};

/// Variable for a password that only a command knows: no config provider of Kafka's runs commands.
const PASSWORD_VARIABLE: &str = "KAFKA_PASSWORD";
/// Columns of a comment.
const WIDTH: usize = 110;

/// A properties file that is being written.
pub(super) struct Page {
    text: String,
}

impl Page {
    pub fn new(title: &str, plan: &Plan) -> Page {
        let mut page = Page { text: String::new() };
        page.comment(&format!(
            "{title}: made by klamm from plan {}; change the spec and export again.",
            plan_hash(plan)
        ));
        if plan.profile == klamm_contract::Profile::Dev {
            page.comment(
                "Profile dev: copies, racks and the in-sync floor are not asked for. Not for production.",
            );
        }
        page
    }

    pub fn finish(self) -> String {
        self.text
    }

    pub fn bootstrap(&mut self, addresses: &[String]) {
        self.text.push('\n');
        match addresses {
            [] => {
                self.comment("The spec names no cluster: fill in where it is.");
                self.text.push_str("#bootstrap.servers=HOST:PORT\n");
            }
            some => self.entry("bootstrap.servers", &some.join(",")),
        }
    }

    /// Words alone.
    pub fn remark(&mut self, words: &str) {
        self.comment(words);
    }

    /// How Java connects. The password is read by a config provider of Kafka's own when the client starts. [KIP-297]
    pub fn security(&mut self, plan: &Plan) {
        let cluster = &plan.cluster;
        let Some(protocol) = protocol(plan) else { return };
        self.extra("security.protocol", protocol, "As the spec connects; hostnames are verified.");
        if let Some(ca) = &cluster.ca {
            self.extra("ssl.truststore.type", "PEM", "Certificates as they are. [KIP-651]");
            self.extra("ssl.truststore.location", ca, "What is trusted.");
        }
        let Some(mechanism) = cluster.sasl else { return };
        self.extra("sasl.mechanism", mechanism.name(), "How the client says who it is.");
        let secret = match &cluster.password {
            Some(SecretRef::Env(env)) => self.variable(env, ""),
            Some(command @ SecretRef::Command(_)) => {
                self.variable(PASSWORD_VARIABLE, &format!(" Set {PASSWORD_VARIABLE} to {command}."))
            }
            Some(SecretRef::File(file)) => {
                self.extra(
                    "config.providers",
                    "dir",
                    "The password stays where it is: this is a reference. Java takes the file as it is: without an end of line. [KIP-297]",
                );
                let class = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
                self.entry("config.providers.dir.class", class);
                let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
                format!("${{dir:{folder}:{name}}}")
            }
            None => return,
        };
        let module = if mechanism == Mechanism::Plain { "plain.Plain" } else { "scram.Scram" };
        self.entry(
            "sasl.jaas.config",
            &format!(
                "org.apache.kafka.common.security.{module}LoginModule required username=\"{}\" password=\"{secret}\";",
                cluster.username
            ),
        );
    }

    /// A reference to an environment variable.
    fn variable(&mut self, variable: &str, more: &str) -> String {
        let reason = format!("The password stays where it is: this is a reference.{more} [KIP-887]");
        self.extra("config.providers", "env", &reason);
        let class = "org.apache.kafka.common.config.provider.EnvVarConfigProvider";
        self.entry("config.providers.env.class", class);
        format!("${{env:{variable}}}")
    }

    /// How librdkafka connects. It has no references: the program puts the password there.
    pub fn security_of_librdkafka(&mut self, plan: &Plan) {
        let cluster = &plan.cluster;
        let Some(protocol) = protocol(plan) else { return };
        self.extra(
            "security.protocol",
            &protocol.to_lowercase(),
            "As the spec connects; hostnames are verified.",
        );
        if let Some(ca) = &cluster.ca {
            self.extra("ssl.ca.location", ca, "What is trusted.");
        }
        let Some(mechanism) = cluster.sasl else { return };
        self.extra("sasl.mechanism", mechanism.name(), "How the client says who it is.");
        self.entry("sasl.username", &cluster.username);
        let place = cluster.password.as_ref().map_or("where it is".to_owned(), SecretRef::to_string);
        self.comment(&format!(
            "librdkafka's files have no references: set sasl.password in the program, from {place}."
        ));
    }

    /// A setting under the name that the program knows, with its reason.
    pub fn setting(&mut self, name: &str, setting: &Setting) {
        self.text.push('\n');
        self.comment(&format!("{} [{}]", setting.reason, setting.source));
        if setting.value.starts_with('<') {
            // A value that only whoever runs the program can know.
            let _ = writeln!(self.text, "#{name}={}", setting.value);
        } else {
            self.entry(name, &setting.value);
        }
    }

    /// A setting that the plan does not have under that name, and why it is here.
    pub fn extra(&mut self, name: &str, value: &str, reason: &str) {
        self.text.push('\n');
        self.comment(reason);
        self.entry(name, value);
    }

    /// A setting that this client does not have.
    pub fn missing(&mut self, setting: &Setting, instead: &str) {
        self.text.push('\n');
        self.comment(&format!("No {} here ({} is planned): {instead}", setting.name, setting.value));
    }

    fn comment(&mut self, words: &str) {
        comment(&mut self.text, words);
    }

    fn entry(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{name}={}", escaped(value));
    }
}

/// `security.protocol` of clients; `None` for Kafka's own default, in clear and without a name.
pub(super) fn protocol(plan: &Plan) -> Option<&'static str> {
    match (plan.cluster.tls, plan.cluster.sasl.is_some()) {
        (true, true) => Some("SASL_SSL"),
        (true, false) => Some("SSL"),
        (false, true) => Some("SASL_PLAINTEXT"),
        (false, false) => None,
    }
}

/// `words` as lines that a `#` begins.
pub(super) fn comment(text: &mut String, words: &str) {
    for line in text::wrap(words, WIDTH - 2) {
        let _ = writeln!(text, "# {line}");
    }
}

/// A value as `java.util.Properties` reads it back. librdkafka's readers have no escapes, and its values need none.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' ' if index == 0 => text.push_str("\\ "),
            c if (' '..='~').contains(&c) => text.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

/// Half of the SHA-256 of the plan's JSON form, in hex: short enough to compare by eye.
pub(super) fn plan_hash(plan: &Plan) -> String {
    hash(plan.to_json().as_bytes())[..32].to_owned()
}

pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_java_reads_them() {
        assert_eq!(escaped("kafka-1:9092,kafka-2:9092"), "kafka-1:9092,kafka-2:9092");
        assert_eq!(escaped(" a\\b\nc"), "\\ a\\\\b\\nc");
        assert_eq!(escaped("ü😀"), "\\u00fc\\ud83d\\ude00");
    }
}
