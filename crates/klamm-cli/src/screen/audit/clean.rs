//! Names of files, groups and clients are other people's text: what a terminal or a page would act on is shown as what it is.

use klamm_rules::evidence::Place;
use klamm_rules::{Finding, Gap, Report, Step};

/// Escapes control characters, line breaks among them, in all that a report says.
pub fn clean(report: &mut Report) {
    report.notes.iter_mut().for_each(text);
    for verdict in &mut report.verdicts {
        for (what, gap) in &mut verdict.unseen {
            text(what);
            match gap {
                Gap::Denied { permission } => text(permission),
                Gap::Failed { why } | Gap::Unclear { why } => text(why),
                Gap::Partial { missing } => missing.iter_mut().for_each(text),
                Gap::NotAsked => {}
            }
        }
        verdict.findings.iter_mut().for_each(finding);
    }
}

fn finding(finding: &mut Finding) {
    let Finding { subject, what, consequence, next, .. } = finding;
    [subject, what, consequence, next, &mut finding.fix.what].into_iter().for_each(text);
    for fact in &mut finding.evidence {
        [&mut fact.what, &mut fact.value, &mut fact.source].into_iter().for_each(text);
    }
    finding.fix.steps.iter_mut().chain(&mut finding.fix.undo).for_each(step);
    finding.place.iter_mut().for_each(place);
    finding.suppressed.iter_mut().for_each(text);
    finding.weight.iter_mut().filter_map(|weight| weight.inferred.as_mut()).for_each(text);
}

fn step(step: &mut Step) {
    match step {
        Step::Command(line) | Step::Ask(line) => text(line),
        Step::Code { place: at, instead } => {
            place(at);
            text(instead);
        }
        Step::Patch { place: at, from, to } => {
            place(at);
            text(from);
            text(to);
        }
    }
}

fn place(place: &mut Place) {
    text(&mut place.file);
}

fn text(text: &mut String) {
    if text.contains(acts) {
        *text = shown(text);
    }
}

/// What a terminal or a page acts on instead of showing it: control characters, and marks that turn the direction of text.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

pub(super) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) = if acts(c) { (Some(c.escape_default()), None) } else { (None, Some(c)) };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use klamm_rules::{Fix, Severity, Status, Verdict};

    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        let file = "we\u{1b}[31mird\nname.properties";
        let at = Place { file: file.to_owned(), line: 1, column: 0 };
        let mut one = Finding::new(Severity::Error, format!("producer in {file}"), "x").at(&at);
        one.fix = Fix::new("x", klamm_plan::Risk::Safe).patch(&at, "a\u{9b}", "b");
        let verdict = Verdict {
            rule: "KL101".to_owned(),
            status: Status::Finding,
            checked: 1,
            unseen: vec![(file.to_owned(), Gap::Failed { why: file.to_owned() })],
            findings: vec![one],
        };
        let mut report = Report { verdicts: vec![verdict], notes: vec![file.to_owned()] };
        clean(&mut report);
        assert_eq!(report.notes[0], "we\\u{1b}[31mird\\nname.properties");
        assert_eq!(
            report.verdicts[0].findings[0].place.as_ref().map(|place| place.file.as_str()),
            Some(report.notes[0].as_str())
        );
        assert_eq!(report.verdicts[0].unseen[0].0, report.notes[0]);
    }
}
