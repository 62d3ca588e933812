//! `cargo xtask tidy`: the house style, as far as a program can check it.

mod code;
mod packages;
mod ratchet;
mod source;
mod text;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use packages::Metadata;
use ratchet::Ratchet;
use source::Source;

/// Something to put right, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    place: String,
    text: String,
}

impl Finding {
    fn at(path: &str, line: usize, text: &str) -> Finding {
        Finding { place: format!("{path}:{line}"), text: text.to_owned() }
    }

    fn of(name: &str, text: &str) -> Finding {
        Finding { place: name.to_owned(), text: text.to_owned() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Whether the record of what is over a limit is compared or rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A difference is a finding.
    Compare,
    /// The record becomes what is there now.
    Update,
}

/// Checks the repository and prints what is wrong.
pub fn run(root: &Path, record: Record) -> Result<()> {
    let findings = check(root, record)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("{count} findings"),
    }
}

/// Everything that is wrong in the repository.
pub fn check(root: &Path, record: Record) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut now = Ratchet::default();
    for path in files(root)? {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        findings.extend(text::check(&path, &text));
        if path.ends_with(".rs") {
            let source = Source::new(&path, text);
            findings.extend(code::check(&source));
            now.measure(&source);
        }
    }
    let metadata = Metadata::read(root)?;
    let page = fs::read_to_string(root.join("docs/dependencies.md")).context("no docs/dependencies.md")?;
    findings.extend(metadata.check(&page));
    metadata.measure(&mut now);
    match record {
        Record::Compare => findings.extend(Ratchet::read(root)?.compare(&now)),
        Record::Update => now.write(root)?,
    }
    Ok(findings)
}

/// What git tracks or would track.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect())
}
