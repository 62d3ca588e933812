//! Changes of settings as the lines of their file: a patch shows the line that stands there, or the change is told in words.

use std::collections::BTreeMap;

use crate::evidence::{Line, Place, Setting};
use crate::finding::{Fix, Step};

/// Settings that stand together in one file.
pub(crate) struct Block<'a> {
    /// All of them, under Java's names.
    pub settings: &'a BTreeMap<String, Setting>,
    /// Where they begin.
    pub place: &'a Place,
}

impl Block<'_> {
    /// Sets a setting where it stands, or beside the others. `spelled` is its name in the words of what reads the file.
    pub fn set(&self, fix: Fix, name: &str, spelled: &str, to: &str) -> Fix {
        match self.settings.get(name) {
            Some(setting) => replace(fix, setting, name, to),
            None => self.add(fix, name, spelled, to),
        }
    }

    fn add(&self, fix: Fix, name: &str, spelled: &str, to: &str) -> Fix {
        if let Some((place, line)) = self.beside(name, spelled, to) {
            return patch(fix, &place, String::new(), line);
        }
        let known = self.settings.values().any(|setting| setting.line != Line::Unknown);
        if !known || is_flat(&self.place.file) {
            return patch(fix, self.place, String::new(), plain(&self.place.file, spelled, to));
        }
        let written = self.variable(name).unwrap_or_else(|| spelled.to_owned());
        fix.code(self.place, format!("set {written} to {to}"))
            .undo_by(format!("take {written} out of {} again", self.place.file))
    }

    /// A new line in the form of another one of this file.
    fn beside(&self, name: &str, spelled: &str, to: &str) -> Option<(Place, String)> {
        let here = self.settings.iter().filter(|(_, setting)| setting.place.file == self.place.file);
        let fitting = here.filter_map(|(java, setting)| {
            let Line::Own { before, after, .. } = &setting.line else { return None };
            // Spring has a place of its own for what it has no name for.
            if setting.written.as_deref().is_some_and(is_springs) {
                return None;
            }
            let before = renamed(before, java, name, spelled)?;
            let comma = if self.place.file.ends_with(".json") && !after.ends_with(',') { "," } else { "" };
            Some((setting.place.clone(), format!("{before}{to}{after}{comma}")))
        });
        fitting.max_by_key(|(place, _)| place.line)
    }

    /// The name as an environment variable, where the others are such.
    fn variable(&self, name: &str) -> Option<String> {
        self.settings.iter().find_map(|(java, setting)| {
            let prefix = setting.written.as_deref()?.strip_suffix(&variable(java))?;
            prefix.ends_with('_').then(|| format!("{prefix}{}", variable(name)))
        })
    }
}

/// The line of a setting with another value, forth in the fix and back in its undo.
pub(crate) fn replace(fix: Fix, setting: &Setting, name: &str, to: &str) -> Fix {
    let written = setting.written.as_deref().unwrap_or(name);
    let to = spelled_value(written, to);
    let place = &setting.place;
    match (&setting.line, &setting.value) {
        (Line::Own { .. }, Some(_)) => patch(
            fix,
            place,
            setting.line.now().unwrap_or_default(),
            setting.line.with(to).unwrap_or_default(),
        ),
        (Line::Unknown, Some(value)) => {
            patch(fix, place, plain(&place.file, written, value), plain(&place.file, written, to))
        }
        (_, value) => fix.code(place, format!("set {written} to {to}")).undo_by(format!(
            "set {written} at {place} back to {}",
            value.as_deref().unwrap_or("what it is")
        )),
    }
}

/// The line of a setting as it stands; in words where it has none of its own.
pub(crate) fn now(setting: &Setting, name: &str) -> String {
    let written = setting.written.as_deref().unwrap_or(name);
    let value = setting.value.as_deref().unwrap_or("…");
    setting.line.now().unwrap_or_else(|| plain(&setting.place.file, written, value))
}

/// A line of a file, forth in the fix and back in its undo.
pub(crate) fn patch(fix: Fix, place: &Place, from: String, to: String) -> Fix {
    let mut fix = fix.patch(place, from.clone(), to.clone());
    fix.undo.push(Step::Patch { place: place.clone(), from: to, to: from });
    fix
}

/// A setting as this file's format writes it.
fn plain(file: &str, name: &str, value: &str) -> String {
    let yaml = [".yml", ".yaml"].iter().any(|end| file.ends_with(end));
    match (yaml, file.ends_with(".tf"), file.ends_with(".json")) {
        (true, ..) => format!("{name}: \"{value}\""),
        (_, true, _) => format!("\"{name}\" = \"{value}\""),
        (_, _, true) => format!("\"{name}\": \"{value}\""),
        _ => format!("{name}={value}"),
    }
}

/// Files in which any line may be `name=value`.
fn is_flat(file: &str) -> bool {
    [".properties", ".conf", ".cnf", ".cfg", ".config", ".ini", ".env"].iter().any(|end| file.ends_with(end))
}

/// A name of Spring's, or the variable that stands for it.
pub(crate) fn is_springs(written: &str) -> bool {
    written.starts_with("spring.") || written.starts_with("SPRING_")
}

fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace(['.', '-'], "_")
}

/// What stands before the value of one setting, for another one.
fn renamed(before: &str, java: &str, name: &str, spelled: &str) -> Option<String> {
    if name.contains("->") {
        return None;
    }
    let (own, upper) = (variable(java), before.contains(&variable(java)));
    let (old, new) = if upper { (own, variable(name)) } else { (java.to_owned(), spelled.to_owned()) };
    let at = before.rfind(&old)?;
    let whole = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    let ends = whole(before[..at].chars().next_back()) && whole(before[at + old.len()..].chars().next());
    ends.then(|| format!("{}{new}{}", &before[..at], &before[at + old.len()..]))
}

/// Libraries' own switches have values of their own.
pub(crate) fn spelled_value<'a>(written: &str, to: &'a str) -> &'a str {
    match (written.rsplit('.').next().unwrap_or(written), to) {
        ("rejectUnauthorized" | "ssl_check_hostname", "https") => "true",
        ("readUncommitted", "read_committed") => "false",
        ("readUncommitted", "read_uncommitted") => "true",
        ("fromBeginning", "earliest") => "true",
        ("fromBeginning", "latest") => "false",
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use klamm_plan::Risk;

    use super::*;

    fn own(before: &str, value: &str, after: &str) -> Line {
        Line::Own { before: before.to_owned(), value: value.to_owned(), after: after.to_owned() }
    }

    fn steps(file: &str, name: &str, written: Option<&str>, line: Line, set: &str) -> String {
        let place = Place { file: file.to_owned(), line: 7, column: 1 };
        let (value, written) = (Some("1".to_owned()), written.map(str::to_owned));
        let setting = Setting { value, written, place: place.clone(), line, ..Setting::default() };
        let settings = [(name.to_owned(), setting)].into();
        let home = Block { settings: &settings, place: &place };
        match home.set(Fix::new("x", Risk::Safe), set, set, "3").steps.as_slice() {
            [Step::Patch { from, to, .. }] => format!("{from} -> {to}"),
            [Step::Code { instead, .. }] => instead.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_line_that_stands_there_is_changed() {
        let name = "offsets.topic.replication.factor";
        let line = own("      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: ", "1", "");
        assert_eq!(
            steps("c.yml", name, Some("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"), line, name),
            "      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 1 ->       KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 3"
        );
        let heredoc = own("offsets.topic.replication.factor = ", "1", "");
        assert_eq!(
            steps("msk.tf", name, None, heredoc, name),
            "offsets.topic.replication.factor = 1 -> offsets.topic.replication.factor = 3"
        );
        assert_eq!(steps("k.yaml", "listeners", None, Line::Shared, "listeners"), "set listeners to 3");
    }

    #[test]
    fn what_is_added_has_the_form_of_what_is_there() {
        for (file, name, written, before, after, expected) in [
            (
                "c.yml",
                "node.id",
                Some("KAFKA_NODE_ID"),
                "      - KAFKA_NODE_ID=",
                "",
                " ->       - KAFKA_DEFAULT_REPLICATION_FACTOR=3",
            ),
            (
                "k.yaml",
                "node.id",
                None,
                "      node.id: \"",
                "\"",
                " ->       default.replication.factor: \"3\"",
            ),
            (
                "c.json",
                "node.id",
                None,
                "  \"node.id\": \"",
                "\"",
                " ->   \"default.replication.factor\": \"3\",",
            ),
            (
                "w.yaml",
                "node.id",
                Some("KAFKA_NODE_ID"),
                "              value: \"",
                "\"",
                "set KAFKA_DEFAULT_REPLICATION_FACTOR to 3",
            ),
            (
                "a.yaml",
                "acks",
                Some("spring.kafka.producer.acks"),
                "      acks: ",
                "",
                "set default.replication.factor to 3",
            ),
        ] {
            let made = steps(file, name, written, own(before, "1", after), "default.replication.factor");
            assert_eq!(made, expected, "{file}");
        }
        assert_eq!(steps("s.properties", "node.id", None, Line::Shared, "a.b"), " -> a.b=3");
    }
}
