//! Markdown, for a ticket or a review.

use klamm_rules::{Finding, Step};

use super::{Shown, name_of, rule_of, step_text};

/// The whole report.
pub fn markdown(shown: &Shown<'_>) -> String {
    let mut page = format!("# Kafka audit\n\nLooked at: {}\n\n**{}**\n\n", shown.scope(), shown.summary());
    if let Some(nothing) = shown.nothing_judged() {
        page.push_str(&format!("**{nothing}**\n\n"));
    }
    let failed = shown.failed();
    if !failed.is_empty() {
        page.push_str("| Severity | Rule | Findings | |\n| --- | --- | --- | --- |\n");
        for (verdict, findings) in &failed {
            let worst = findings.iter().map(|finding| finding.severity).max();
            let worst = worst.map(|worst| worst.to_string()).unwrap_or_default();
            let summary = rule_of(verdict).map(klamm_rules::Rule::summary).unwrap_or_default();
            page.push_str(&format!(
                "| {worst} | {} {} | {} | {} |\n",
                verdict.rule,
                name_of(verdict),
                findings.len(),
                cell(&summary)
            ));
        }
        page.push('\n');
    }
    for (verdict, findings) in &failed {
        page.push_str(&format!("## {} {}\n\n", verdict.rule, name_of(verdict)));
        findings.iter().for_each(|finding| one(&mut page, shown, finding));
    }
    let accepted: Vec<&Finding> = shown.suppressed().collect();
    if !accepted.is_empty() {
        page.push_str("## Accepted\n\n");
        for finding in accepted {
            let why = finding.suppressed.as_deref().unwrap_or_default();
            page.push_str(&format!(
                "- {} {}: {} ({why})\n",
                finding.rule,
                finding.subject,
                cell(&finding.what)
            ));
        }
        page.push('\n');
    }
    let unseen = shown.unseen();
    if !unseen.is_empty() {
        page.push_str("## Not evaluated\n\nNo pass: this could not be looked at.\n\n| Evidence | Rules |\n| --- | --- |\n");
        for (what, rules) in unseen {
            page.push_str(&format!("| {} | {} |\n", cell(&what), rules.join(" ")));
        }
        page.push('\n');
    }
    for note in &shown.report.notes {
        page.push_str(&format!("Note: {note}\n\n"));
    }
    page.trim_end().to_owned() + "\n"
}

fn one(page: &mut String, shown: &Shown<'_>, finding: &Finding) {
    let old = if shown.is_old(finding) { " (known)" } else { "" };
    let place = finding.place.as_ref().map_or(String::new(), |place| format!(" at `{place}`"));
    page.push_str(&format!(
        "### {}: {}{place}{old}\n\n{}. {}\n\n",
        finding.severity,
        cell(&finding.subject),
        sentence(&finding.what),
        sentence(&finding.consequence)
    ));
    page.push_str("| Seen | Value | Source |\n| --- | --- | --- |\n");
    for fact in &finding.evidence {
        page.push_str(&format!(
            "| {} | {} | {} |\n",
            cell(&fact.what),
            cell(&fact.value),
            cell(&fact.source)
        ));
    }
    if let Some(why) = finding.weight.as_ref().and_then(|weight| weight.inferred.as_deref()) {
        page.push_str(&format!("| weight of the data | inferred | {} |\n", cell(why)));
    }
    page.push_str(&format!("\nFix ({}): {}\n\n", finding.fix.risk, finding.fix.what));
    steps(page, &finding.fix.steps);
    page.push_str("Undo:\n\n");
    steps(page, &finding.fix.undo);
    page.push_str(&format!("Next: {}\n\n", finding.next));
}

fn steps(page: &mut String, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Ask(what) => page.push_str(&format!("- {what}\n")),
            Step::Code { place, instead } => page.push_str(&format!("- `{place}`: {instead}\n")),
            other => {
                for line in step_text(other).lines() {
                    page.push_str(&format!("    {line}\n"));
                }
            }
        }
    }
    page.push('\n');
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
