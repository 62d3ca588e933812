//! All rules over all evidence.

use serde::{Deserialize, Serialize};

use crate::baseline::Baseline;
use crate::check::{Cx, Out};
use crate::evidence::{Evidence, Suppression};
use crate::finding::{Finding, Severity, Status, Verdict};
use crate::profiles;
use crate::rules::{RULES, Rule};
use crate::weight::Weights;

/// What an audit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// A verdict for each rule that was run, in the order of their codes.
    pub verdicts: Vec<Verdict>,
    /// Suppressions that held back nothing, or whose day is over: texts for people.
    pub notes: Vec<String>,
}

/// Runs `rules` over the evidence.
pub fn audit(evidence: &Evidence, rules: &[&Rule]) -> Report {
    let weights = Weights::of_evidence(evidence);
    let cx = Cx { evidence, weights: &weights };
    let run = |rule: &&Rule| {
        let mut out = Out::new(&rule.code());
        (rule.check)(&cx, &mut out);
        let mut verdict = out.verdict();
        if evidence.live.secured {
            verdict.findings.iter_mut().for_each(Finding::connect_securely);
        }
        profiles::settle(&mut verdict.findings);
        verdict.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
        verdict
    };
    let mut report = Report { verdicts: rules.iter().map(run).collect(), notes: Vec::new() };
    let suppressions = evidence.spec.value().map(|spec| spec.suppressions.as_slice()).unwrap_or_default();
    suppress(&mut report, suppressions, evidence.at_ms);
    report
}

/// All rules.
pub fn all_rules() -> Vec<&'static Rule> {
    RULES.iter().collect()
}

impl Report {
    /// Findings that count: those that no suppression holds back.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.verdicts
            .iter()
            .flat_map(|verdict| &verdict.findings)
            .filter(|finding| finding.suppressed.is_none())
    }

    /// Marks what an earlier audit had found: of findings that look alike no more than it had.
    pub fn compare(&mut self, baseline: &Baseline) {
        let findings = self.verdicts.iter_mut().flat_map(|verdict| &mut verdict.findings);
        baseline.mark(findings.filter(|finding| finding.suppressed.is_none()).collect());
    }

    /// How many rules came to this.
    pub fn count(&self, status: Status) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.status == status).count()
    }

    /// The worst of the findings that count.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|finding| finding.severity).max()
    }
}

fn suppress(report: &mut Report, suppressions: &[Suppression], now_ms: i64) {
    for suppression in suppressions {
        let Suppression { rule, reason, until, place, .. } = suppression;
        let mut held = 0_u64;
        let over = suppression.until_ms < now_ms;
        let findings = report.verdicts.iter_mut().flat_map(|verdict| &mut verdict.findings);
        for finding in findings.filter(|finding| covers(suppression, finding)) {
            held += 1;
            if !over {
                finding.suppressed = Some(format!("accepted until {until}: {reason}"));
            }
        }
        if over {
            report.notes.push(format!("{place}: the suppression of {rule} ended on {until}"));
        } else if held == 0 {
            report.notes.push(format!("{place}: the suppression of {rule} held nothing back: it can go"));
        } else if let (2.., Some(subject)) = (held, exact(suppression)) {
            report.notes.push(format!(
                "{place}: the suppression of {rule} on {subject:?} holds back {held} findings, not one"
            ));
        }
    }
}

/// The one subject that it names.
fn exact(suppression: &Suppression) -> Option<&str> {
    suppression.subject.as_deref().filter(|subject| !subject.ends_with('*'))
}

fn covers(suppression: &Suppression, finding: &Finding) -> bool {
    suppression.rule == finding.rule
        && match &suppression.subject {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(beginning) => finding.subject.starts_with(beginning),
                None => finding.subject == *pattern,
            },
        }
}
