//! From a spec to a plan: every setting with its reason.
//!
//! [`spec::parse`] turns `klamm.yaml` into a [`spec::Spec`]; [`plan()`] derives from it (and from what a live cluster was
//! seen to be) a [`Plan`]: for each topic its contract, its size and its settings at every layer; [`diff()`] compares the
//! plan with a cluster. What cannot hold is refused with its arithmetic and its place in the file.
//!
//! Pure: no files, no clock, no network. Text and facts go in, values and [`Diagnostic`]s come out; the binary reads the
//! files and renders the diagnostics.

mod access;
mod capacity;
mod compare;
mod copies;
mod diagnostic;
mod diff;
pub mod export;
pub mod import;
mod keys;
mod layers;
pub mod placement;
mod plan;
mod planner;
mod recovery;
mod sample;
pub mod service;
mod settings;
mod sizing;
pub mod spec;
mod survival;
mod text;
mod upgrade;

pub use access::{AccessPlan, Grant, UserPlan, user_of};
pub use capacity::{Capacity, Figure, Sensitivity};
pub use compare::{Comparison, FigureChange, PlanChange, compare};
pub use diagnostic::{Diagnostic, Place, Span};
pub use diff::{Change, ChangeKind, Conflict, Diff, Risk, diff, risk_of};
pub use layers::{
    AccessFacts, Answer, access_changes, broker_changes, password_changes, planned_acls, simulate,
};
pub use plan::{ClusterPlan, ConsumerPlan, Known, Plan, PlanOptions, StreamsPlan, TopicPlan};
pub use planner::plan;
pub use recovery::RecoveryPlan;
pub use sample::{KeySample, SampledKeys, chao};
pub use settings::Setting;
pub use sizing::{Disk, Need, Sizing};
pub use spec::json_schema;
pub use survival::Survival;
pub use text::bytes;
pub use upgrade::Step;
