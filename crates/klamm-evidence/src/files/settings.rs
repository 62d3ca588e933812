//! From pairs as they are written to settings under Java's names, without the secrets.

use std::collections::BTreeMap;

use klamm_rules::evidence::{FileEvidence, Line, Place, SecretPlace, Setting};

use super::names::Dialect;
use super::secrets;
use super::tree::{At, Pair};
use super::yaml::TEMPLATE;

/// One file, and what is found in it.
pub(super) struct File<'a> {
    /// Path from the folder that is searched, with slashes.
    pub path: &'a str,
    /// Its lines as they stand.
    pub lines: &'a [&'a str],
    /// What has been found so far.
    pub into: &'a mut FileEvidence,
}

impl File<'_> {
    /// A place in this file.
    pub fn place(&self, at: At) -> Place {
        Place { file: self.path.to_owned(), line: at.line, column: at.column }
    }

    /// Settings under Java's names. Secrets in clear are noted and left out; what is read at run time has no value.
    pub fn settings(&mut self, pairs: &[Pair], dialect: Dialect) -> BTreeMap<String, Setting> {
        pairs.iter().map(|pair| self.setting(pair, dialect)).collect()
    }

    /// One setting, with its name in Java.
    pub fn setting(&mut self, pair: &Pair, dialect: Dialect) -> (String, Setting) {
        let place = self.place(pair.at);
        let (name, value) = dialect.java(&pair.name, &pair.text);
        let kind = self.secret(pair).or_else(|| secrets::kind(&name, &pair.text));
        if let Some(kind) = kind {
            self.note(pair, kind);
        }
        let hidden = kind.is_some() || is_reference(&pair.text);
        let stands = pair.written.as_ref().unwrap_or(&pair.name);
        let written = (name != *stands).then(|| stands.clone());
        let value = if hidden { None } else { value };
        let line = if hidden { Line::Shared } else { self.line(pair) };
        (name, Setting { value, written, place, secret: kind.is_some(), line })
    }

    /// Notes a secret that stands in clear in what is no client's setting: a variable, a resource's field.
    pub fn look_for_secret(&mut self, pair: &Pair) {
        if let Some(kind) = self.secret(pair) {
            self.note(pair, kind);
        }
    }

    fn secret(&self, pair: &Pair) -> Option<&'static str> {
        let written = pair.written.as_ref().and_then(|written| secrets::kind(written, &pair.text));
        written.or_else(|| secrets::kind(&pair.name, &pair.text))
    }

    fn note(&mut self, pair: &Pair, kind: &str) {
        let name = pair.name.clone();
        let found = SecretPlace { place: self.place(pair.at), name, kind: kind.to_owned() };
        // The same line may be read for several clients.
        let same = |known: &SecretPlace| known.place == found.place && known.kind == found.kind;
        if !self.into.secrets.iter().any(same) {
            self.into.secrets.push(found);
        }
    }

    /// The line that the pair stands on alone. Only what is one name and one value is kept: other text of a file may be secret.
    fn line(&self, pair: &Pair) -> Line {
        let raw = pair.at.line.checked_sub(1).and_then(|at| self.lines.get(at as usize));
        raw.and_then(|raw| alone(raw, &pair.text)).unwrap_or(Line::Shared)
    }
}

/// A line of one name and this value.
fn alone(raw: &str, value: &str) -> Option<Line> {
    let raw = raw.trim_end();
    let at = match value {
        "" => ["\"\"", "''"].iter().find_map(|quotes| raw.rfind(quotes)).map_or(raw.len(), |at| at + 1),
        value => raw.rfind(value)?,
    };
    let (before, rest) = raw.split_at(at);
    let after = rest.get(value.len()..)?;
    // A comment behind it is left out of what is kept.
    let after = after.find(" #").map_or(after, |comment| &after[..comment]).trim_end();
    let key =
        before.trim_start().trim_start_matches("- ").trim_end().trim_end_matches(['"', '\'']).trim_end();
    let name = key.strip_suffix(['=', ':']).unwrap_or(key);
    let marked = key.len() > name.len() || name.trim_start_matches('-').is_empty();
    let one = marked && !name.contains(['{', '}', ',', ';', '#', '=']) && !name.contains(": ");
    let ends = after.chars().all(|c| matches!(c, '"' | '\'' | ','));
    let gap = if value.is_empty() && before.ends_with(':') { " " } else { "" };
    (one && ends).then(|| Line::Own {
        before: format!("{before}{gap}"),
        value: value.to_owned(),
        after: after.to_owned(),
    })
}

/// Whether the text is put together at run time: `${VAR}`, `${env:X}`, `$(X)`, `{{ x }}`, `<x>`, `@x@`, `%{x}`.
pub(super) fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let wrapped = |open: char, close: char| text.len() > 2 && text.starts_with(open) && text.ends_with(close);
    let marks = ["${", "{{", "{%", "$(", "%{", "#{"];
    text.contains(TEMPLATE)
        || marks.iter().any(|mark| text.contains(mark))
        || wrapped('<', '>')
        || wrapped('@', '@')
        || is_variable(text)
}

/// `$KAFKA_ACKS`.
fn is_variable(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// A text that is known as it stands.
pub(super) fn literal(text: &str) -> Option<String> {
    (!text.trim().is_empty() && !is_reference(text)).then(|| text.trim().to_owned())
}

/// Topics that a setting lists; none when it is not known.
pub(super) fn topics(text: &str) -> Vec<String> {
    text.split(',').filter_map(literal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_at_run_time_is_no_value() {
        for text in ["${A}", "x-${env:B}", "{{ c }}", "$(D)", "$E_1", "<password>", "@f@", "\u{E000}\u{E000}"]
        {
            assert!(is_reference(text), "{text}");
        }
        for text in ["all", "a$b", "$", "-1", "org.apache.X", "", "5<6"] {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn a_line_of_its_own_is_kept_as_it_stands() {
        for (raw, value, now) in [
            ("acks=1", "1", "acks=1"),
            ("      KAFKA_MIN_ISR: \"1\"  # why", "1", "      KAFKA_MIN_ISR: \"1\""),
            ("      - KAFKA_MIN_ISR=1", "1", "      - KAFKA_MIN_ISR=1"),
            ("              value: '1'", "1", "              value: '1'"),
            ("  \"acks\": \"1\",", "1", "  \"acks\": \"1\","),
            ("skip_tls_verify = true", "true", "skip_tls_verify = true"),
            ("a.algorithm=", "", "a.algorithm="),
            ("a.algorithm: \"\"", "", "a.algorithm: \"\""),
        ] {
            assert_eq!(alone(raw, value).and_then(|line| line.now()).as_deref(), Some(now), "{raw}");
        }
        for (raw, value) in [
            ("{ \"acks\": \"1\", \"x\": 2 }", "1"),
            ("  - { name: plain, port: 9092, tls: false }", "PLAIN-9092:PLAINTEXT"),
            ("listeners:", "a,b"),
            ("  password: hunter2, acks: 1", "1"),
        ] {
            assert_eq!(alone(raw, value), None, "{raw}");
        }
    }

    #[test]
    fn a_secret_is_noted_and_not_kept() {
        let mut into = FileEvidence::default();
        let mut file = File { path: "f", lines: &[], into: &mut into };
        let pair = Pair::new("sasl.password", "hunter2", At { line: 3, column: 1 });
        for _ in 0..2 {
            let settings = file.settings(std::slice::from_ref(&pair), Dialect::Librdkafka);
            assert!(settings["sasl.password"].secret && settings["sasl.password"].value.is_none());
        }
        assert_eq!(into.secrets.len(), 1);
        assert!(!format!("{into:?}").contains("hunter2"));
    }
}
