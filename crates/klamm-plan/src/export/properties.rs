//! Properties files, with the reasons as comments.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{Plan, Setting, text};

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
        for line in text::wrap(words, WIDTH - 2) {
            let _ = writeln!(self.text, "# {line}");
        }
    }

    fn entry(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{name}={}", escaped(value));
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
fn plan_hash(plan: &Plan) -> String {
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
