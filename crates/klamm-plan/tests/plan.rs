//! Specs in, plans and diagnostics out.

#[path = "plan/diffs.rs"]
mod diffs;
#[path = "plan/documents.rs"]
mod documents;
#[path = "plan/exports.rs"]
mod exports;
#[path = "plan/needs.rs"]
mod needs;
#[path = "plan/plans.rs"]
mod plans;
#[path = "plan/specs.rs"]
mod specs;

use klamm_plan::spec::{SpecSet, parse};
use klamm_plan::{Diagnostic, Plan, PlanOptions, plan};

/// The spec of the project's own description.
const ORDERS: &str = include_str!("../../../examples/orders/klamm.yaml");

fn problems(text: &str) -> Vec<Diagnostic> {
    match parse("klamm.yaml", text) {
        Ok(spec) => plan(&SpecSet::from(spec), &PlanOptions::default()).err().unwrap_or_default(),
        Err(problems) => problems,
    }
}

fn set(text: &str) -> SpecSet {
    SpecSet::from(parse("klamm.yaml", text).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

fn planned(text: &str, options: &PlanOptions<'_>) -> Plan {
    plan(&set(text), options).unwrap_or_else(|problems| panic!("{problems:#?}"))
}
