//! What a rule is given, and where it writes down what it sees and finds.

use klamm_plan::{Change, ChangeKind, Risk};

use crate::evidence::{Client, Evidence, Place, Role};
use crate::finding::{Fact, Finding, Fix, Severity, Status, Step, Verdict, Weight};
use crate::weight::Weights;
use crate::{Gap, Seen};

/// What a rule is given.
#[derive(Debug, Clone, Copy)]
pub struct Cx<'a> {
    /// Everything that was seen.
    pub evidence: &'a Evidence,
    /// How strongly the data of topics must be kept.
    pub weights: &'a Weights,
}

/// Where a rule writes down what it sees and finds.
#[derive(Debug)]
pub struct Out {
    rule: String,
    checked: u64,
    unseen: Vec<(String, Gap)>,
    findings: Vec<Finding>,
}

impl<'a> Cx<'a> {
    /// A topic's weight.
    pub fn weight(&self, topic: &str) -> Weight {
        self.weights.of(topic)
    }

    /// The weight of the strongest of these topics; without any the weight of unknown data.
    pub fn weight_of_all(&self, topics: &[String]) -> Weight {
        self.weights.of_all(topics)
    }

    /// `--bootstrap-server …` as printed commands need it.
    pub fn bootstrap(&self) -> &'a str {
        match self.evidence.live.bootstrap.as_str() {
            "" => "$BOOTSTRAP",
            known => known,
        }
    }

    /// The spec's files as printed commands name them.
    pub fn spec(&self) -> String {
        match self.evidence.spec.value().map(|spec| spec.files.as_slice()) {
            None | Some([]) => "klamm.yaml".to_owned(),
            Some(files) => files.join(" "),
        }
    }

    /// Configured clients of files and of code that have one of these parts. Writes down which of both was not looked at.
    pub fn clients(&self, roles: &[Role], out: &mut Out) -> Vec<&'a Client> {
        let mut clients = Vec::new();
        if let Some(files) = out.see("configuration files", &self.evidence.files) {
            clients.extend(files.clients.iter().filter(|client| roles.contains(&client.role)));
        }
        if let Some(code) = out.see("source code", &self.evidence.code) {
            let all = code.units.iter().flat_map(|unit| &unit.clients);
            clients.extend(all.filter(|client| roles.contains(&client.role)));
        }
        clients
    }

    /// The command that sets a topic's configuration.
    pub fn set_topic(&self, topic: &str, name: &str, value: &str) -> String {
        let value = if value.contains(',') { format!("[{value}]") } else { value.to_owned() };
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --add-config {name}={value}",
            self.bootstrap()
        )
    }

    /// The command that unsets a topic's configuration.
    pub fn unset_topic(&self, topic: &str, name: &str) -> String {
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --delete-config {name}",
            self.bootstrap()
        )
    }

    /// The command that sets a configuration of all brokers, while they run.
    pub fn set_brokers(&self, name: &str, value: &str) -> String {
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type brokers --entity-default --add-config {name}={value}",
            self.bootstrap()
        )
    }

    /// The command that unsets a configuration that all brokers were told while they run.
    pub fn unset_brokers(&self, name: &str) -> String {
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type brokers --entity-default --delete-config {name}",
            self.bootstrap()
        )
    }
}

impl Out {
    pub(crate) fn new(rule: &str) -> Self {
        Out { rule: rule.to_owned(), checked: 0, unseen: Vec::new(), findings: Vec::new() }
    }

    /// The value of a piece of evidence, as far as it was seen; writes down what was not.
    pub fn see<'e, T>(&mut self, what: &str, seen: &'e Seen<T>) -> Option<&'e T> {
        if let Some(gap) = seen.gap() {
            self.gap(what, gap);
        }
        seen.value()
    }

    /// The evidence that was seen does not tell enough about one subject: it can be no pass then.
    pub fn unclear(&mut self, subject: &str, why: impl Into<String>) {
        self.gap(subject, Gap::Unclear { why: why.into() });
    }

    fn gap(&mut self, what: &str, gap: Gap) {
        let entry = (what.to_owned(), gap);
        if !self.unseen.contains(&entry) {
            self.unseen.push(entry);
        }
    }

    /// Whether nothing was missing so far.
    pub(crate) fn all_seen(&self) -> bool {
        self.unseen.is_empty()
    }

    /// One more subject was judged.
    pub fn judged(&mut self) {
        self.checked += 1;
    }

    /// Something is wrong. The rule's code is filled in.
    pub fn found(&mut self, mut finding: Finding) {
        finding.rule.clone_from(&self.rule);
        grade(&mut finding.fix);
        self.findings.push(finding);
    }

    pub(crate) fn verdict(self) -> Verdict {
        let hard = self.unseen.iter().any(|(_, gap)| *gap != Gap::NotAsked);
        let status = match () {
            () if !self.findings.is_empty() => Status::Finding,
            () if hard => Status::NotEvaluated,
            () if self.checked > 0 => Status::Pass,
            () if !self.unseen.is_empty() => Status::NotEvaluated,
            () => Status::NothingToCheck,
        };
        Verdict {
            rule: self.rule,
            status,
            checked: self.checked,
            unseen: self.unseen,
            findings: self.findings,
        }
    }
}

/// A fix is no safer than apply says that its changes are: `--fix` makes what nobody notices, and nothing else.
fn grade(fix: &mut Fix) {
    for change in &mut fix.changes {
        if let ChangeKind::SetConfig { name, from, to, .. } = &change.kind
            && change.risk == Risk::Safe
        {
            change.risk = klamm_plan::risk_of(name, from.as_deref(), to);
        }
        if fix.risk == Risk::Safe {
            fix.risk = change.risk;
        }
    }
}

impl Weight {
    /// `strong` for data that may not be lost, else `eventual`.
    pub fn choose(&self, strong: Severity, eventual: Severity) -> Severity {
        if self.strong { strong } else { eventual }
    }
}

/// Builds findings in reading order; what is not said stays empty.
impl Finding {
    /// `what` is wrong with `subject`.
    pub fn new(severity: Severity, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Finding {
            rule: String::new(),
            severity,
            subject: subject.into(),
            what: what.into(),
            evidence: Vec::new(),
            consequence: String::new(),
            fix: Fix::new("", Risk::Safe),
            next: String::new(),
            place: None,
            weight: None,
            suppressed: None,
            detail: None,
            known: false,
        }
    }

    /// A value that was seen, and where it comes from.
    #[must_use]
    pub fn fact(
        mut self,
        what: impl Into<String>,
        value: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        self.evidence.push(Fact { what: what.into(), value: value.into(), source: source.into() });
        self
    }

    /// What comes of it, in one plain sentence.
    #[must_use]
    pub fn consequence(mut self, text: impl Into<String>) -> Self {
        self.consequence = text.into();
        self
    }

    /// What to do.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = fix;
        self
    }

    /// The next question to ask.
    #[must_use]
    pub fn next(mut self, text: impl Into<String>) -> Self {
        self.next = text.into();
        self
    }

    /// Where in a file.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// What tells it from another one of the same rule, subject and file.
    #[must_use]
    pub fn apart(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What decided the severity.
    #[must_use]
    pub fn weighed(mut self, weight: Weight) -> Self {
        self.weight = Some(weight);
        self
    }
}

impl Fix {
    /// In one line, as an order, with what doing it can do to others.
    pub fn new(what: impl Into<String>, risk: Risk) -> Self {
        Fix { what: what.into(), steps: Vec::new(), risk, undo: Vec::new(), changes: Vec::new() }
    }

    /// A command line that can be run as it stands.
    #[must_use]
    pub fn command(mut self, line: impl Into<String>) -> Self {
        self.steps.push(Step::Command(line.into()));
        self
    }

    /// A step of another kind.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// A line of a file as it is and as it is to be.
    #[must_use]
    pub fn patch(mut self, place: &Place, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.steps.push(Step::Patch { place: place.clone(), from: from.into(), to: to.into() });
        self
    }

    /// What to write instead, in code.
    #[must_use]
    pub fn code(mut self, place: &Place, instead: impl Into<String>) -> Self {
        self.steps.push(Step::Code { place: place.clone(), instead: instead.into() });
        self
    }

    /// Something that only people can do.
    #[must_use]
    pub fn ask(mut self, what: impl Into<String>) -> Self {
        self.steps.push(Step::Ask(what.into()));
        self
    }

    /// The command that takes it back.
    #[must_use]
    pub fn undo(mut self, line: impl Into<String>) -> Self {
        self.undo.push(Step::Command(line.into()));
        self
    }

    /// What takes it back, in words.
    #[must_use]
    pub fn undo_by(mut self, what: impl Into<String>) -> Self {
        self.undo.push(Step::Ask(what.into()));
        self
    }

    /// The same as a change that apply can make.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, from: &str, to: &str) -> Fix {
        let (name, from, to) = (name.to_owned(), Some(from.to_owned()), to.to_owned());
        let kind = ChangeKind::SetConfig { name, from, to, from_source: None };
        Fix::new("set it", Risk::Safe).change(Change { topic: "t".to_owned(), kind, risk: Risk::Safe })
    }

    #[test]
    fn a_fix_is_no_safer_than_its_changes() {
        for (fix, risk) in [
            (set("cleanup.policy", "delete", "compact"), Risk::LosesData),
            (set("min.insync.replicas", "1", "2"), Risk::RefusesWrites),
            (set("min.insync.replicas", "3", "2"), Risk::Safe),
            (set("retention.ms", "1000", "2000"), Risk::Safe),
        ] {
            let mut out = Out::new("KL000");
            out.found(Finding::new(Severity::Info, "topic t", "x").fix(fix));
            let verdict = out.verdict();
            let found = &verdict.findings[0].fix;
            assert_eq!((found.risk, found.changes[0].risk), (risk, risk));
        }
    }
}
