//! Every rule has a page of fixtures, `tests/fixtures/<module>.md`. Prose tells why; each `## ` heading is one case with two fenced
//! blocks: `evidence` (YAML, in the form of `klamm_rules::evidence::Evidence`) and `expect`: the status, then a line for each
//! finding: `severity subject: text that its line, consequence, facts or fix must hold`. A line `without TEXT` is a text that no finding may hold.
//! Each page has at least one case of `finding`, of `pass` (or `nothing to check`) and of `not evaluated`.

use std::fs;
use std::path::Path;

use klamm_rules::evidence::Evidence;
use klamm_rules::{Finding, RULES, Rule, Status, audit};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> =
        RULES.iter().map(|rule| Trial::test(title(rule), move || page(rule))).collect();
    trials.push(Trial::test("every_page_belongs_to_a_rule", strays));
    libtest_mimic::run(&arguments, trials).exit();
}

fn title(rule: &Rule) -> String {
    format!("{}_{}", rule.code().to_lowercase(), rule.name().replace('-', "_"))
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn strays() -> Result<(), Failed> {
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = RULES.iter().any(|rule| name == format!("{}.md", title(rule)));
        if !known {
            return Err(format!("{name} belongs to no rule").into());
        }
    }
    Ok(())
}

fn page(rule: &Rule) -> Result<(), Failed> {
    sections(rule)?;
    let file = folder().join(format!("{}.md", title(rule)));
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut seen = Vec::new();
    for case in text.split("\n## ").skip(1) {
        let name = case.lines().next().unwrap_or_default();
        seen.push(run(rule, case).map_err(|why| format!("{}: {name}: {why}", file.display()))?);
    }
    let has = |wanted: &[Status]| seen.iter().any(|status| wanted.contains(status));
    let complete = has(&[Status::Finding])
        && has(&[Status::Pass, Status::NothingToCheck])
        && has(&[Status::NotEvaluated]);
    if complete {
        Ok(())
    } else {
        Err(format!("a page needs finding, pass and not evaluated; it has {seen:?}").into())
    }
}

/// What a rule's page must have, since people read it in the middle of the night.
fn sections(rule: &Rule) -> Result<(), Failed> {
    let page = rule.page();
    for heading in ["## What it does", "## Why it hurts", "## Severity"] {
        if !page.contains(heading) {
            return Err(format!("the page of {} has no {heading:?}", rule.code()).into());
        }
    }
    Ok(())
}

fn run(rule: &Rule, case: &str) -> Result<Status, String> {
    let evidence = block(case, "evidence")?;
    let evidence: Evidence = match evidence.trim() {
        "" => Evidence::default(),
        text => serde_saphyr::from_str(text).map_err(|error| format!("evidence: {error}"))?,
    };
    let expected = block(case, "expect")?;
    let report = audit(&evidence, &[rule]);
    let verdict = report.verdicts.first().ok_or("no verdict")?;
    let mut lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let status = lines.next().ok_or("expect is empty")?;
    let shown =
        || format!("got {}\n{}", verdict.status, serde_json::to_string_pretty(verdict).unwrap_or_default());
    if status != verdict.status.to_string() {
        return Err(format!("expected {status}, {}", shown()));
    }
    let mut left: Vec<&Finding> = verdict.findings.iter().collect();
    for line in lines {
        if let Some(text) = line.strip_prefix("without ") {
            if verdict.findings.iter().any(|finding| words(finding).contains(text)) {
                return Err(format!("a finding holds {text:?}, {}", shown()));
            }
            continue;
        }
        if let Some(text) = line.strip_prefix("unseen ") {
            let unseen = serde_json::to_string(&verdict.unseen).unwrap_or_default();
            if !unseen.contains(text) {
                return Err(format!("{text:?} is not among the unseen, {}", shown()));
            }
            continue;
        }
        let at = left.iter().position(|finding| matches(finding, line));
        let at = at.ok_or_else(|| format!("no finding is {line:?}, {}", shown()))?;
        complete(left.remove(at))?;
    }
    if left.is_empty() {
        Ok(verdict.status)
    } else {
        Err(format!("more findings than expected, {}", shown()))
    }
}

/// A finding that helps says what comes of it, what to do, what takes it back, and what to ask next.
fn complete(finding: &Finding) -> Result<(), String> {
    let missing = match () {
        () if finding.evidence.is_empty() => "evidence",
        () if finding.consequence.is_empty() => "a consequence",
        () if finding.fix.what.is_empty() || finding.fix.steps.is_empty() => "a fix with steps",
        () if finding.fix.undo.is_empty() => "an undo",
        () if finding.next.is_empty() => "a next question",
        () => return Ok(()),
    };
    Err(format!("the finding about {} lacks {missing}", finding.subject))
}

fn matches(finding: &Finding, line: &str) -> bool {
    let Some((head, text)) = line.split_once(": ") else { return false };
    head == format!("{} {}", finding.severity, finding.subject) && words(finding).contains(text)
}

fn words(finding: &Finding) -> String {
    let facts = finding.evidence.iter().map(|fact| format!("{}={} ({})", fact.what, fact.value, fact.source));
    let steps = finding.fix.steps.iter().chain(&finding.fix.undo).map(|step| format!("{step:?}"));
    let place = finding.place.as_ref().map(ToString::to_string).unwrap_or_default();
    let rest = [&finding.what, &finding.consequence, &finding.fix.what, &finding.next, &place];
    facts.chain(steps).chain(rest.map(Clone::clone)).collect::<Vec<_>>().join("\n")
}

fn block(case: &str, name: &str) -> Result<String, String> {
    let start = format!("```{name}\n");
    let from = case.find(&start).ok_or_else(|| format!("no block {name}"))? + start.len();
    let length = case[from..].find("```").ok_or_else(|| format!("block {name} does not end"))?;
    Ok(case[from..from + length].to_owned())
}
