//! An audit's report in the forms that people and programs read.

mod clean;
mod html;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;

use klamm_rules::evidence::Evidence;
use klamm_rules::{Finding, Gap, Report, Rule, Severity, Status, Step, Verdict};

pub use clean::clean;
pub use html::html;
pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;
pub use text::{Detail, Paint, text};

/// How evidence is told that nobody asked for.
const NOT_ASKED: &str = "not asked for: ";

/// What is shown: a report, what it is about, and what an earlier one knew.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The report.
    pub report: &'a Report,
    /// What it was made of.
    pub evidence: &'a Evidence,
    /// Whether the report was compared with an earlier one: what that knew is old.
    pub compared: bool,
    /// From which severity on findings end the audit with exit code 1; `None` never.
    pub fail_on: Option<Severity>,
}

impl<'a> Shown<'a> {
    /// Verdicts with findings that count, worst first; of equal ones in the order of their codes.
    fn failed(&self) -> Vec<(&'a Verdict, Vec<&'a Finding>)> {
        let counting = |verdict: &'a Verdict| {
            let findings: Vec<&Finding> =
                verdict.findings.iter().filter(|finding| finding.suppressed.is_none()).collect();
            (verdict, findings)
        };
        let mut failed: Vec<_> =
            self.report.verdicts.iter().map(counting).filter(|(_, findings)| !findings.is_empty()).collect();
        failed.sort_by_key(|(_, findings)| std::cmp::Reverse(findings.iter().map(|f| f.severity).max()));
        failed
    }

    /// Whether an earlier audit had found it.
    pub fn is_old(&self, finding: &Finding) -> bool {
        finding.known
    }

    /// Whether anything ends the audit with exit code 1.
    pub fn fails(&self) -> bool {
        let counts = |finding: &&Finding| self.fail_on.is_some_and(|least| finding.severity >= least);
        self.report.findings().filter(counts).any(|finding| !self.is_old(finding))
    }

    fn suppressed(&self) -> impl Iterator<Item = &'a Finding> {
        let findings = self.report.verdicts.iter().flat_map(|verdict| &verdict.findings);
        findings.filter(|finding| finding.suppressed.is_some())
    }

    /// What was not seen, with the rules that are not evaluated for it; what nobody asked for by the option that asks.
    fn unseen(&self) -> Vec<(String, Vec<&'a str>)> {
        let mut unseen: Vec<(String, Vec<&str>)> = Vec::new();
        let verdicts = self.report.verdicts.iter().filter(|verdict| verdict.status == Status::NotEvaluated);
        for verdict in verdicts {
            for (what, gap) in &verdict.unseen {
                let text = match gap {
                    Gap::NotAsked => format!("{NOT_ASKED}{}", option_for(what)),
                    gap => format!("{what}: {}", gap_text(gap)),
                };
                let rules = match unseen.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, rules)) => rules,
                    None => {
                        unseen.push((text, Vec::new()));
                        &mut unseen.last_mut().expect("just pushed").1
                    }
                };
                if !rules.contains(&verdict.rule.as_str()) {
                    rules.push(&verdict.rule);
                }
            }
        }
        unseen.sort_by_key(|(_, rules)| std::cmp::Reverse(rules.len()));
        unseen
    }

    fn count(&self, severity: Severity) -> usize {
        self.report.findings().filter(|finding| finding.severity == severity).count()
    }

    /// `2 errors, 1 warning, 0 infos; of 96 rules 41 pass, …`.
    fn summary(&self) -> String {
        let of = |severity| plural(self.count(severity), &severity.to_string());
        let rules = |status| self.report.count(status);
        let new = match self.compared {
            false => String::new(),
            true => {
                let new = self.report.findings().filter(|finding| !self.is_old(finding)).count();
                format!(" ({new} new)")
            }
        };
        format!(
            "{}, {}, {}{new} · of {} rules {} found something, {} pass, {} have nothing to check, {} are not evaluated",
            of(Severity::Error),
            of(Severity::Warning),
            of(Severity::Info),
            self.report.verdicts.len(),
            rules(Status::Finding),
            rules(Status::Pass),
            rules(Status::NothingToCheck),
            rules(Status::NotEvaluated),
        )
    }

    /// What was looked at: `cluster 4Lk…  3 brokers, 12 topics · 4 groups · 30 files`.
    fn scope(&self) -> String {
        let evidence = self.evidence;
        let mut parts = Vec::new();
        if let Some(cluster) = evidence.live.cluster.value() {
            let kind =
                if cluster.embedded { " (klamm's embedded broker: development and tests)" } else { "" };
            parts.push(format!("cluster {}{kind}", cluster.id));
        }
        let mut add = |count: Option<usize>, what: &str| parts.extend(count.map(|count| plural(count, what)));
        add(evidence.live.brokers.value().map(Vec::len), "broker");
        add(evidence.live.topics.value().map(std::collections::BTreeMap::len), "topic");
        add(evidence.groups.value().map(Vec::len), "group");
        add(evidence.data.value().map(Vec::len), "sampled topic");
        add(evidence.files.value().map(|files| files.read as usize), "file");
        add(evidence.code.value().map(|code| code.files as usize), "source file");
        add(evidence.host.value().map(|host| host.hosts.len()), "metrics endpoint");
        let mut scope = if parts.is_empty() { "nothing".to_owned() } else { parts.join(" · ") };
        if evidence.spec.value().is_some_and(|spec| spec.relaxed) {
            scope.push(' ');
            scope.push_str(super::profile_note(klamm_contract::Profile::Dev));
        }
        scope
    }

    /// What stands out where no rule could judge anything.
    fn nothing_judged(&self) -> Option<&'static str> {
        let judged = self.report.count(Status::Finding) + self.report.count(Status::Pass);
        (judged == 0).then_some("NOTHING COULD BE JUDGED: no rule found anything, and none passed")
    }
}

fn rule_of(verdict: &Verdict) -> Option<&'static Rule> {
    klamm_rules::rule(&verdict.rule)
}

fn name_of(verdict: &Verdict) -> String {
    rule_of(verdict).map(Rule::name).unwrap_or_default()
}

fn plural(count: usize, what: &str) -> String {
    let count_text = super::grouped(count as u64);
    if count == 1 { format!("1 {what}") } else { format!("{count_text} {what}s") }
}

fn gap_text(gap: &Gap) -> String {
    match gap {
        Gap::NotAsked => "not asked".to_owned(),
        Gap::Denied { permission } => format!("denied, needs {permission}"),
        Gap::Failed { why } => why.clone(),
        Gap::Partial { missing } => format!("missing {}", missing.join(", ")),
        Gap::Unclear { why } => why.clone(),
    }
}

/// The evidence that this is a part of, and the option that asks for it.
fn option_for(what: &str) -> &'static str {
    [
        ("second cluster", "the second cluster (--second HOST:PORT)"),
        ("configuration file", "configuration files (--files DIR)"),
        ("source code", "source code (--code DIR)"),
        ("sample", "a sample of records (--sample N)"),
        ("metrics", "metrics (--metrics URL, --prometheus URL)"),
        ("schema registry", "a schema registry (there is no schema checker yet)"),
        ("certificate", "certificates (a TLS listener)"),
    ]
    .into_iter()
    .find(|(word, _)| what.contains(word))
    .map_or_else(
        || if what == "spec" { "a spec (klamm.yaml)" } else { "the cluster (--bootstrap HOST:PORT)" },
        |(_, option)| option,
    )
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Command(line) => line.clone(),
        Step::Ask(what) => what.clone(),
        Step::Code { place, instead } => format!("{place}: {instead}"),
        Step::Patch { place, from, to } => match (from.as_str(), to.as_str()) {
            ("", to) => format!("{place}: + {to}"),
            (from, "") => format!("{place}: - {from}"),
            (from, to) => format!("{place}: - {from}\n{place}: + {to}"),
        },
    }
}
