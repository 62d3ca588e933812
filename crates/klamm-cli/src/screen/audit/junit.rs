//! JUnit XML, for build servers: a rule is a test, a finding a failure, what is not evaluated is skipped.

use klamm_rules::{Finding, Status, Verdict};

use super::{Shown, gap_text, name_of, step_text};

/// One suite with a case for each rule.
pub fn junit(shown: &Shown<'_>) -> String {
    let cases: Vec<String> = shown.report.verdicts.iter().map(|verdict| case(shown, verdict)).collect();
    let failures = shown.report.verdicts.iter().filter(|verdict| fails(shown, verdict)).count();
    let skipped = shown.report.verdicts.iter().filter(|verdict| is_skipped(verdict)).count();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"klamm audit\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">\n{}</testsuite>\n</testsuites>\n",
        cases.len(),
        cases.concat(),
    )
}

fn is_skipped(verdict: &Verdict) -> bool {
    matches!(verdict.status, Status::NotEvaluated | Status::NothingToCheck)
}

fn counting<'a>(shown: &Shown<'_>, verdict: &'a Verdict) -> Vec<&'a Finding> {
    let counts = |finding: &&Finding| {
        finding.suppressed.is_none()
            && !shown.is_old(finding)
            && shown.fail_on.is_some_and(|least| finding.severity >= least)
    };
    verdict.findings.iter().filter(counts).collect()
}

fn fails(shown: &Shown<'_>, verdict: &Verdict) -> bool {
    !counting(shown, verdict).is_empty()
}

fn case(shown: &Shown<'_>, verdict: &Verdict) -> String {
    let name = escaped(&format!("{} {}", verdict.rule, name_of(verdict)));
    let findings = counting(shown, verdict);
    let body = if let Some(first) = findings.first() {
        let text = findings.iter().map(|finding| described(finding)).collect::<Vec<_>>().join("\n");
        let message = escaped(&format!("{}: {}", first.subject, first.what));
        format!("<failure type=\"{}\" message=\"{message}\">{}</failure>", first.severity, escaped(&text))
    } else if is_skipped(verdict) {
        let gaps = verdict.unseen.iter().map(|(what, gap)| format!("{what}: {}", gap_text(gap)));
        let why = format!("{}: {}", verdict.status, gaps.collect::<Vec<_>>().join("; "));
        format!("<skipped message=\"{}\"/>", escaped(&why))
    } else {
        String::new()
    };
    format!("<testcase classname=\"klamm.audit\" name=\"{name}\" time=\"0\">{body}</testcase>\n")
}

fn described(finding: &Finding) -> String {
    let steps = finding.fix.steps.iter().map(step_text).collect::<Vec<_>>().join("\n  ");
    let place = finding.place.as_ref().map_or(String::new(), |place| format!(" at {place}"));
    format!(
        "{} {}{place}: {}\n{}\nfix: {}\n  {steps}",
        finding.severity, finding.subject, finding.what, finding.consequence, finding.fix.what
    )
}

/// As XML wants it; characters that XML 1.0 has no place for become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
