//! Several specs that plan together.

use klamm_kafka::topic_names_collide;

use super::{ClusterSpec, Spanned, Spec};
use crate::{Diagnostic, SampledKeys};

/// Specs that share a cluster. Each topic and each group has one owner.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecSet {
    specs: Vec<Spec>,
}

impl From<Spec> for SpecSet {
    fn from(spec: Spec) -> Self {
        SpecSet { specs: vec![spec] }
    }
}

impl SpecSet {
    /// Puts specs together; conflicts between them name both places.
    pub fn new(specs: Vec<Spec>) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        for (at, spec) in specs.iter().enumerate() {
            for other in &specs[..at] {
                conflicts(spec, other, &mut diagnostics);
            }
        }
        if specs.is_empty() {
            diagnostics.push(Diagnostic::general("no-spec", "there is no spec to plan"));
        }
        if diagnostics.is_empty() { Ok(SpecSet { specs }) } else { Err(diagnostics) }
    }

    /// The specs.
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// Fills in what the specs do not say of a topic's keys, from a sample of its records.
    pub fn sampled(&mut self, topic: &str, keys: &SampledKeys) {
        let topics = self.specs.iter_mut().flat_map(|spec| &mut spec.topics);
        topics.filter(|found| found.name.value == topic).for_each(|found| keys.fill(found));
    }

    /// The cluster in `environment` (the base one when `None` or when the environment names none).
    pub fn cluster(&self, environment: Option<&str>) -> Option<&ClusterSpec> {
        let all = self.specs.iter().flat_map(|spec| &spec.environments);
        let there = all.filter(|found| Some(found.name.value.as_str()) == environment);
        there
            .filter_map(|found| found.cluster.as_ref())
            .next()
            .or_else(|| self.specs.iter().find_map(|spec| spec.cluster.as_ref()))
    }

    /// Names of all environments, sorted.
    pub fn environment_names(&self) -> Vec<&str> {
        let all = self.specs.iter().flat_map(|spec| &spec.environments);
        let mut names: Vec<&str> = all.map(|environment| environment.name.value.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn conflicts(spec: &Spec, other: &Spec, diagnostics: &mut Vec<Diagnostic>) {
    let mut clash = |code, here: &Spanned<String>, there: &Spanned<String>, message: String| {
        diagnostics.push(Diagnostic::at(code, &spec.file, here.span, message).also(
            &other.file,
            there.span,
            "the other one is here",
        ));
    };
    if spec.service.value == other.service.value {
        let message = format!("service {:?} is described by two specs", spec.service.value);
        clash("two-services", &spec.service, &other.service, message);
    }
    for topic in &spec.topics {
        for owned in &other.topics {
            if topic.name.value == owned.name.value {
                let message = format!(
                    "topic {:?} is owned by both {:?} and {:?}",
                    topic.name.value, other.service.value, spec.service.value
                );
                clash("two-owners", &topic.name, &owned.name, message);
            } else if topic_names_collide(&topic.name.value, &owned.name.value) {
                let message =
                    format!("Kafka refuses topic {:?} beside {:?}", topic.name.value, owned.name.value);
                clash("topic-name-collision", &topic.name, &owned.name, message);
            }
        }
    }
    for consumer in &spec.consumers {
        for taken in other.consumers.iter().filter(|taken| taken.group.value == consumer.group.value) {
            let message =
                format!("group {:?} is used by two services: each would see half", consumer.group.value);
            clash("two-groups", &consumer.group, &taken.group, message);
        }
    }
    if let (Some(here), Some(there)) = (&spec.cluster, &other.cluster) {
        let same = here.bootstrap == there.bootstrap && same_value(&here.brokers, &there.brokers);
        if !same || !same_value(&here.racks, &there.racks) {
            let diagnostic = Diagnostic::at(
                "two-clusters",
                &spec.file,
                here.span,
                "the specs describe different clusters",
            )
            .also(&there.file, there.span, "the other one is here")
            .help("describe the cluster in one file and name it in both: cluster: cluster.yaml");
            diagnostics.push(diagnostic);
        }
    }
}

fn same_value<T: PartialEq>(one: &Option<Spanned<T>>, other: &Option<Spanned<T>>) -> bool {
    one.as_ref().map(|spanned| &spanned.value) == other.as_ref().map(|spanned| &spanned.value)
}
