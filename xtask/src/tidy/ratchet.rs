//! Sizes of files and functions, and duplicate versions, as a ratchet: what is over the limit today is recorded in
//! `ci/ratchet.toml` and may not grow; nothing joins it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use super::source::Source;

/// Where the record is, from the root.
pub const FILE: &str = "ci/ratchet.toml";

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// What is over a limit: its name and by how much it may be.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ratchet {
    /// Lines of files.
    pub files: BTreeMap<String, usize>,
    /// Lines of functions: `path::name`.
    pub functions: BTreeMap<String, usize>,
    /// How many versions of a dependency are linked.
    pub duplicates: BTreeMap<String, usize>,
}

impl Ratchet {
    /// Reads the record; none is an empty one.
    pub fn read(root: &Path) -> Result<Ratchet> {
        match fs::read_to_string(root.join(FILE)) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{FILE} is not what it should be")),
            Err(_) => Ok(Ratchet::default()),
        }
    }

    /// Writes it.
    pub fn write(&self, root: &Path) -> Result<()> {
        let mut text = String::from(
            "# What is over a limit of `cargo xtask tidy`: it may shrink, not grow, and nothing joins it.\n\
             # Written by `UPDATE=1 cargo xtask tidy`; a line more needs a reason in the commit.\n",
        );
        for (title, entries) in self.sections() {
            write!(text, "\n[{title}]\n")?;
            for (name, size) in entries {
                writeln!(text, "\"{name}\" = {size}")?;
            }
        }
        fs::write(root.join(FILE), text).with_context(|| format!("cannot write {FILE}"))
    }

    /// Adds what is over a limit in a file.
    pub fn measure(&mut self, source: &Source) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            self.files.insert(source.path.clone(), lines);
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES) {
            let size = self.functions.entry(format!("{}::{}", source.path, function.name)).or_default();
            *size = function.lines.max(*size);
        }
    }

    /// Compares what is there now with the record.
    pub fn compare(&self, now: &Ratchet) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((title, recorded), (_, measured)) in self.sections().into_iter().zip(now.sections()) {
            let limit = match title {
                "files" => format!("{FILE_LINES} lines a file"),
                "functions" => format!("{FUNCTION_LINES} lines a function"),
                _ => "one version of a dependency".to_owned(),
            };
            for (name, size) in measured {
                match recorded.get(name) {
                    None => findings.push(Finding::of(name, &format!("{size}: over the limit of {limit}"))),
                    Some(old) if size > old => {
                        findings.push(Finding::of(
                            name,
                            &format!("grew from {old} to {size}; the limit is {limit}"),
                        ));
                    }
                    Some(_) => {}
                }
            }
            for name in recorded.keys().filter(|name| !measured.contains_key(*name)) {
                let text =
                    format!("is within the limit of {limit} now: take it off by `UPDATE=1 cargo xtask tidy`");
                findings.push(Finding::of(name, &text));
            }
        }
        findings
    }

    fn sections(&self) -> [(&'static str, &BTreeMap<String, usize>); 3] {
        [("files", &self.files), ("functions", &self.functions), ("duplicates", &self.duplicates)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_function(lines: usize) -> Ratchet {
        let text = format!("fn long() {{\n{}}}\n", "\n".repeat(lines - 2) + "");
        let mut ratchet = Ratchet::default();
        ratchet.measure(&Source::new("crates/x/src/a.rs", text));
        ratchet
    }

    #[test]
    fn a_new_offender_is_found_and_a_recorded_one_is_not() {
        let now = with_function(90);
        assert_eq!(now.functions.len(), 1);
        assert_eq!(Ratchet::default().compare(&now).len(), 1);
        assert!(now.compare(&with_function(90)).is_empty());
        assert!(now.compare(&with_function(80)).is_empty());
    }

    #[test]
    fn a_recorded_offender_that_grows_or_is_gone_is_found() {
        assert_eq!(with_function(90).compare(&with_function(91)).len(), 1);
        assert_eq!(with_function(90).compare(&with_function(70)).len(), 1);
    }

    #[test]
    fn a_long_file_is_measured() {
        let mut ratchet = Ratchet::default();
        ratchet.measure(&Source::new("crates/x/src/a.rs", "\n".repeat(601)));
        assert_eq!(ratchet.files.get("crates/x/src/a.rs"), Some(&601));
    }

    #[test]
    fn the_record_reads_back_as_written() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("ci"))?;
        let ratchet = with_function(90);
        ratchet.write(dir.path())?;
        assert_eq!(Ratchet::read(dir.path())?, ratchet);
        Ok(())
    }
}
