//! For a terminal: worst first, short unless asked for all.

use klamm_plan::Risk;
use klamm_rules::{Finding, Gap, Severity, Status, Verdict};

use super::{Shown, gap_text, name_of, step_text};

/// Findings of one rule that are shown.
const SHOWN: usize = 5;
/// Pieces of evidence that were not seen, and texts of one piece.
const UNSEEN_SHOWN: usize = 8;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The first finding of a rule whole, a line for each of some more.
    Short,
    /// Everything, rules that passed among it.
    Full,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// None.
    Plain,
    /// ANSI colours.
    Colours,
}

impl Paint {
    fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Info => "1;36",
        };
        self.with(code, text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The whole report.
pub fn text(shown: &Shown<'_>, detail: Detail, paint: Paint) -> String {
    let mut text = format!("audit     {}\n", shown.scope());
    for (verdict, findings) in shown.failed() {
        rule(&mut text, shown, verdict, &findings, (detail, paint));
    }
    if detail == Detail::Full {
        for finding in shown.suppressed() {
            let why = finding.suppressed.as_deref().unwrap_or_default();
            text.push_str(&format!(
                "accepted  {} {}: {} ({why})\n",
                finding.rule, finding.subject, finding.what
            ));
        }
        // What nobody asked for is told once for all of its rules.
        let told = |verdict: &&Verdict| verdict.findings.is_empty() && !only_not_asked(verdict);
        for verdict in shown.report.verdicts.iter().filter(told) {
            let unseen = verdict.unseen.iter().map(|(what, gap)| format!("{what}: {}", gap_text(gap)));
            let unseen = unseen.collect::<Vec<_>>().join("; ");
            let unseen = if unseen.is_empty() { unseen } else { format!(" [{unseen}]") };
            let checked = match verdict.status {
                Status::Pass => format!(", {} checked", verdict.checked),
                _ => String::new(),
            };
            text.push_str(&format!(
                "{} {}: {}{checked}{unseen}\n",
                verdict.rule,
                name_of(verdict),
                verdict.status
            ));
        }
    }
    unseen(&mut text, shown, detail);
    for note in &shown.report.notes {
        text.push_str(&format!("note      {note}\n"));
    }
    if let Some(nothing) = shown.nothing_judged() {
        text.push_str(&format!("{}\n", paint.severity(Severity::Warning, &format!("warning   {nothing}"))));
    }
    text.push_str(&format!("summary   {}\n", shown.summary()));
    text
}

fn rule(
    text: &mut String,
    shown: &Shown<'_>,
    verdict: &Verdict,
    findings: &[&Finding],
    (detail, paint): (Detail, Paint),
) {
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Info);
    let count = if findings.len() > 1 { format!(" ({})", findings.len()) } else { String::new() };
    let head = format!("{:<9} {} {}{count}", worst.to_string(), verdict.rule, name_of(verdict));
    text.push_str(&format!("{}\n", paint.severity(worst, &head)));
    let most = if detail == Detail::Full { usize::MAX } else { SHOWN };
    for (at, finding) in findings.iter().take(most).enumerate() {
        let old = if shown.is_old(finding) { " (known)" } else { "" };
        let severity =
            if finding.severity == worst { String::new() } else { format!(" [{}]", finding.severity) };
        text.push_str(&format!("  {}{severity}{old}: {}\n", paint.with("1", &finding.subject), finding.what));
        if at == 0 || detail == Detail::Full {
            whole(text, finding, paint);
        }
    }
    if let Some(more) = findings.len().checked_sub(most).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more: `-v` shows all\n"));
    }
}

fn whole(text: &mut String, finding: &Finding, paint: Paint) {
    let label = |name: &str| paint.with("2", &format!("    {name:<5}"));
    if let Some(place) = &finding.place {
        text.push_str(&format!("{} {place}\n", label("at")));
    }
    for fact in &finding.evidence {
        text.push_str(&format!("{} {} = {} ({})\n", label("seen"), fact.what, fact.value, fact.source));
    }
    if let Some(why) = finding.weight.as_ref().and_then(|weight| weight.inferred.as_deref()) {
        let data =
            if finding.weight.as_ref().is_some_and(|weight| weight.strong) { "strong" } else { "eventual" };
        text.push_str(&format!("{} data taken as {data}, inferred: {why}\n", label("data")));
    }
    text.push_str(&format!("{} {}\n", label("so"), finding.consequence));
    let risk = match finding.fix.risk {
        Risk::Safe => "safe".to_owned(),
        other => other.to_string(),
    };
    text.push_str(&format!("{} {} [{risk}]\n", label("fix"), finding.fix.what));
    for step in &finding.fix.steps {
        lines(text, &step_text(step));
    }
    for (at, step) in finding.fix.undo.iter().enumerate() {
        let label = if at == 0 { label("undo") } else { label("") };
        text.push_str(&format!("{label} {}\n", step_text(step).replace('\n', "\n          ")));
    }
    text.push_str(&format!("{} {}\n", label("next"), finding.next));
}

fn lines(text: &mut String, step: &str) {
    for line in step.lines() {
        text.push_str(&format!("            {line}\n"));
    }
}

/// It is not evaluated, and nothing stood in its way.
fn only_not_asked(verdict: &Verdict) -> bool {
    verdict.status == Status::NotEvaluated && verdict.unseen.iter().all(|(_, gap)| *gap == Gap::NotAsked)
}

fn unseen(text: &mut String, shown: &Shown<'_>, detail: Detail) {
    let mut unseen = shown.unseen();
    if detail == Detail::Full {
        // The rest has a line for each rule.
        unseen.retain(|(what, _)| what.starts_with(super::NOT_ASKED));
    }
    if unseen.is_empty() {
        return;
    }
    text.push_str("not evaluated\n");
    for (what, rules) in unseen.iter().take(UNSEEN_SHOWN) {
        text.push_str(&format!("  {what}: {} {}\n", super::plural(rules.len(), "rule"), some(rules)));
    }
    if let Some(more) = unseen.len().checked_sub(UNSEEN_SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more pieces of evidence: `-v` shows all\n"));
    }
}

fn some(rules: &[&str]) -> String {
    let shown = rules.iter().take(6).copied().collect::<Vec<_>>().join(" ");
    if rules.len() > 6 { format!("{shown} …") } else { shown }
}
