//! The zoo: folders with clusters, files and programs that are broken in a way that is known, and such that look suspicious and are not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::run_in;

/// Each half has at least so many.
const AT_LEAST: usize = 30;

#[tokio::test]
async fn the_broken_ones_are_found() -> Result<()> {
    all("broken", |expect, found| {
        let listed = |finding: &&Found| expect.wanted.iter().any(|wanted| wanted.is(finding));
        let missing = expect.wanted.iter().filter(|wanted| !found.iter().any(|finding| wanted.is(finding)));
        let refused = found.iter().filter(|finding| expect.refused.contains(&finding.rule));
        let errors = found.iter().filter(|finding| finding.severity == "error" && !listed(finding));
        let mut wrong: Vec<String> = missing.map(|wanted| format!("missing {}", wanted.line)).collect();
        wrong.extend(refused.map(|finding| format!("refused {finding}")));
        wrong.extend(errors.map(|finding| format!("unexpected {finding}")));
        wrong
    })
    .await
}

#[tokio::test]
async fn the_healthy_ones_have_no_findings() -> Result<()> {
    all("healthy", |_, found| found.iter().map(|finding| format!("unexpected {finding}")).collect()).await
}

/// One line of `expect`: a rule, and a subject or its beginning with a `*`.
struct Wanted {
    line: String,
    rule: String,
    subject: String,
}

/// What a case's `expect` says.
#[derive(Default)]
struct Expect {
    wanted: Vec<Wanted>,
    refused: Vec<String>,
}

/// A finding, as the report has it.
struct Found {
    rule: String,
    severity: String,
    subject: String,
    what: String,
}

impl Wanted {
    fn is(&self, finding: &Found) -> bool {
        let subject = match self.subject.strip_suffix('*') {
            Some(beginning) => finding.subject.starts_with(beginning),
            None => finding.subject == self.subject,
        };
        subject && finding.rule == self.rule
    }
}

impl Expect {
    fn read(folder: &Path) -> Result<Expect> {
        let file = folder.join("expect");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let mut expect = Expect::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("not ") {
                Some(rule) => expect.refused.push(rule.to_owned()),
                None => {
                    let (rule, subject) =
                        line.split_once(' ').with_context(|| format!("no subject: {line}"))?;
                    let (rule, subject) = (rule.to_owned(), subject.to_owned());
                    expect.wanted.push(Wanted { line: line.to_owned(), rule, subject });
                }
            }
        }
        Ok(expect)
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}: {}", self.severity, self.rule, self.subject, self.what)
    }
}

/// Audits every case of one half, and fails with all that is wrong with any of them.
async fn all(half: &str, judge: impl Fn(&Expect, &[Found]) -> Vec<String>) -> Result<()> {
    let folder = xtask::paths::root().join("tests/zoo").join(half);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut cases: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    cases.sort();
    ensure!(cases.len() >= AT_LEAST, "{} cases in {}", cases.len(), folder.display());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ensure!(case.join("README.md").is_file(), "{half}/{name} has no README.md");
        let (expect, found) = (Expect::read(case)?, findings(case).await.context(name.clone())?);
        wrong.extend(judge(&expect, &found).into_iter().map(|text| format!("{half}/{name}: {text}")));
    }
    ensure!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// Audits all that a case has.
async fn findings(case: &Path) -> Result<Vec<Found>> {
    let mut args = vec!["audit"];
    let has = |name: &str| case.join(name).exists();
    args.extend(has("klamm.yaml").then_some("klamm.yaml"));
    let exported = exported(case).await?;
    if let Some(folder) = &exported {
        let folder = folder.path().to_str().context("a folder in UTF-8")?;
        args.extend(["--files", folder, "--code", folder]);
    }
    for (option, name) in [("--files", "files"), ("--code", "code"), ("--evidence", "evidence.json")] {
        if has(name) {
            args.extend([option, name]);
        }
    }
    args.push("--json");
    let run = run_in(case, &args).await?;
    ensure!(run.code != Some(2), "{}", run.stderr);
    let report = super::report(&run)?;
    let all = report["findings"].as_array().context("a report has findings")?;
    Ok(all.iter().filter(|finding| finding["suppressed"].is_null()).map(found).collect())
}

/// What klamm exports of the case's spec, where the case names a form in `export`.
async fn exported(case: &Path) -> Result<Option<TempDir>> {
    let Ok(form) = std::fs::read_to_string(case.join("export")) else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let out = folder.path().to_str().context("a folder in UTF-8")?;
    let run = run_in(case, &["export", "--format", form.trim(), "--out", out, "klamm.yaml"]).await?;
    ensure!(run.code == Some(0), "export {form}: {}", run.stderr);
    ensure!(std::fs::read_dir(folder.path())?.next().is_some(), "export {form} wrote nothing");
    Ok(Some(folder))
}

fn found(finding: &Value) -> Found {
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    Found { rule: text("rule"), severity: text("severity"), subject: text("subject"), what: text("what") }
}
