//! `klamm audit`: look, judge, tell, and make the fixes that are safe.

mod explain;
mod fix;
mod gather;
mod txn;

use std::io::IsTerminal;
use std::path::Path;

use klamm_apply::amends;
use klamm_rules::evidence::{EVIDENCE_VERSION, Evidence};
use klamm_rules::{Baseline, Report, Rule, Severity, audit};

pub use explain::run as explain;
pub use txn::run as txn;

use crate::args::{AuditArgs, AuditReportArgs, FailOnArg, ReportArg};
use crate::failure::{Exit, Failure, Outcome};
use crate::screen::{self, AuditDetail, AuditPaint, AuditShown};

/// A file of evidence that is larger was named by mistake.
const LARGEST_EVIDENCE_BYTES: u64 = 1 << 30;
/// A report in JSON that is larger was named by mistake.
const LARGEST_REPORT_BYTES: u64 = 256 << 20;

/// Exit code 0 when nothing is at or above `--fail-on`, 1 when something is.
pub async fn run(args: &AuditArgs) -> Outcome {
    let rules = chosen(&args.report.rules)?;
    let baseline = args.report.baseline.as_deref().map(baseline).transpose()?;
    let before = args.look.evidence.as_deref().map(kept).transpose()?;
    let (evidence, admin) = gather::gather(args, before).await?;
    if let Some(file) = &args.look.save_evidence {
        let text = serde_json::to_string(&evidence)
            .map_err(|error| Failure::new(format!("the evidence has no JSON form: {error}")))?;
        write(file, &(text + "\n"))?;
    }
    let mut report = audit(&evidence, &rules);
    if let Some(baseline) = &baseline {
        report.compare(baseline);
    }
    let shown = AuditShown {
        report: &report,
        evidence: &evidence,
        compared: baseline.is_some(),
        fail_on: fail_on(args.report.fail_on),
    };
    tell(&shown, &args.report)?;
    let exit = if shown.fails() { Exit::Findings } else { Exit::Clean };
    match (args.fix.fix, admin) {
        (true, Some(admin)) => fix::run(&args.fix, args.report.output.json, &admin, &report, exit).await,
        (true, None) => Err(Failure::new("there is no cluster to fix").hint("add `--bootstrap HOST:PORT`")),
        (false, _) => Ok(exit),
    }
}

/// The rules that were asked for; all without a word.
fn chosen(asked: &[String]) -> Result<Vec<&'static Rule>, Failure> {
    if asked.is_empty() {
        return Ok(klamm_rules::all_rules());
    }
    let matches =
        |rule: &Rule, word: &str| rule.name() == word || rule.code().starts_with(&word.to_ascii_uppercase());
    for word in asked {
        if word.trim().is_empty() || !klamm_rules::RULES.iter().any(|rule| matches(rule, word)) {
            return Err(Failure::new(format!("no rule is {word:?}")).hint("`klamm explain` lists all rules"));
        }
    }
    let wanted = |rule: &&'static Rule| asked.iter().any(|word| matches(rule, word));
    Ok(klamm_rules::RULES.iter().filter(wanted).collect())
}

fn fail_on(arg: FailOnArg) -> Option<Severity> {
    match arg {
        FailOnArg::Info => Some(Severity::Info),
        FailOnArg::Warning => Some(Severity::Warning),
        FailOnArg::Error => Some(Severity::Error),
        FailOnArg::Never => None,
    }
}

fn tell(shown: &AuditShown<'_>, args: &AuditReportArgs) -> Result<(), Failure> {
    let format = if args.output.json { ReportArg::Json } else { args.format };
    let detail = if args.output.verbose { AuditDetail::Full } else { AuditDetail::Short };
    let terminal = args.out.is_none() && std::io::stdout().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let paint = if colours { AuditPaint::Colours } else { AuditPaint::Plain };
    // Forms for programs have escapes of their own.
    let mut plain = shown.report.clone();
    screen::audit_clean(&mut plain);
    let programs = shown;
    let shown = &AuditShown { report: &plain, ..*programs };
    let text = match format {
        ReportArg::Text => screen::audit_text(shown, detail, paint),
        ReportArg::Json => screen::audit_json(programs).to_string() + "\n",
        ReportArg::Sarif => {
            serde_json::to_string_pretty(&screen::audit_sarif(programs)).unwrap_or_default() + "\n"
        }
        ReportArg::Junit => screen::audit_junit(programs),
        ReportArg::Markdown => screen::audit_markdown(shown),
        ReportArg::Html => screen::audit_html(shown),
    };
    match &args.out {
        Some(file) => write(file, &text),
        None => {
            screen::say_text(&text);
            Ok(())
        }
    }
}

/// Whole or not at all: a reader never sees half a report.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", file.display()));
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, file).map_err(failed)
}

fn baseline(file: &Path) -> Result<Baseline, Failure> {
    let text = read(file, LARGEST_REPORT_BYTES)?;
    Baseline::parse(&text).map_err(|why| {
        Failure::new(format!("{}: {why}", file.display()))
            .hint("`klamm audit --format json --out FILE` writes a report to compare with")
    })
}

fn kept(file: &Path) -> Result<Evidence, Failure> {
    let text = read(file, LARGEST_EVIDENCE_BYTES)?;
    let evidence: Evidence = serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("{}: no evidence of an audit: {error}", file.display()))
            .hint("`klamm audit --save-evidence FILE` writes evidence")
    })?;
    match evidence.version {
        EVIDENCE_VERSION => Ok(evidence),
        other => Err(Failure::new(format!(
            "{} has version {other}, this klamm reads {EVIDENCE_VERSION}",
            file.display()
        ))
        .hint("`klamm audit --save-evidence FILE` writes evidence")),
    }
}

fn read(file: &Path, limit: u64) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > limit {
        let name = file.display();
        return Err(Failure::new(format!("{name} has {bytes} bytes; at most {limit} are read"))
            .hint("is it the right file?"));
    }
    std::fs::read_to_string(file).map_err(failed)
}

/// Fixes that nobody notices, of findings that count. One of which `--fix` cannot make a part is left whole: it is printed.
fn safe_changes(report: &Report) -> Vec<klamm_plan::Change> {
    let mut changes: Vec<klamm_plan::Change> = Vec::new();
    for finding in report.findings() {
        let safe = |change: &klamm_plan::Change| change.risk == klamm_plan::Risk::Safe && amends(change);
        let safe = finding.fix.changes.iter().all(safe);
        if safe && finding.fix.risk == klamm_plan::Risk::Safe {
            let new = finding.fix.changes.iter().filter(|change| !changes.contains(change));
            changes.extend(new.cloned().collect::<Vec<_>>());
        }
    }
    changes
}
