//! Exports that no program of another language has to read: alerts, and what all files have in common.

use klamm_plan::PlanOptions;
use klamm_plan::export::{Format, export};
use serde::Deserialize;

use crate::planned;

const CLICKSTREAM: &str = include_str!("../../../../examples/clickstream/klamm.yaml");

/// The format of Prometheus' rule files, as its documentation gives it; anything else is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: String,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
}

#[test]
fn alerts_are_rules_whose_expressions_parse() {
    let plan = planned(CLICKSTREAM, &PlanOptions::default());
    let files = export(&plan, Format::PrometheusRules);
    let rules: Rules = serde_saphyr::from_str(&files[0].text).unwrap_or_else(|error| panic!("{error}"));
    let [group] = rules.groups.as_slice() else { panic!("one group") };
    assert_eq!((group.name.as_str(), group.rules.len()), ("klamm-clickstream", 9));
    for rule in &group.rules {
        if let Err(error) = promql_parser::parser::parse(&rule.expr) {
            panic!("{}: {}: {error}", rule.alert, rule.expr);
        }
        assert!(rule.alert.starts_with("Kafka") && rule.r#for.ends_with('m'), "{}", rule.alert);
        assert!(["page", "ticket"].contains(&rule.labels["severity"].as_str()));
        assert!(!rule.annotations["summary"].is_empty());
    }
    let behind = group.rules.iter().find(|rule| rule.alert == "KafkaGroupBehind").expect("of the group");
    assert!(behind.expr.ends_with("> 900"), "lag: 15 min is 900 s: {}", behind.expr);
}

#[test]
fn every_file_says_which_plan_it_was_made_from() {
    let plan = planned(CLICKSTREAM, &PlanOptions::default());
    let mut hashes = std::collections::BTreeSet::new();
    for format in Format::ALL {
        let files = export(&plan, *format);
        assert!(!files.is_empty(), "{}", format.name());
        for file in files {
            let (_, rest) = file.text.split_once("from plan ").unwrap_or_else(|| panic!("{}", file.path));
            hashes.insert(rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
        }
    }
    assert_eq!(hashes.len(), 1, "{hashes:?}");
    assert!(hashes.iter().all(|hash| hash.len() == 32), "{hashes:?}");
}
