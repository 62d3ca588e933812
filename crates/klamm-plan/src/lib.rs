//! From a spec to a plan: every setting with its reason.
//!
//! [`spec::parse`] turns `klamm.yaml` into a [`spec::Spec`]; [`plan()`] derives from it (and from what a live cluster was
//! seen to be) a [`Plan`]: for each topic its contract, its size and its settings at every layer; [`diff()`] compares the
//! plan with a cluster. What cannot hold is refused with its arithmetic and its place in the file.
//!
//! Pure: no files, no clock, no network. Text and facts go in, values and [`Diagnostic`]s come out; the binary reads the
//! files and renders the diagnostics.

mod copies;
mod diagnostic;
mod diff;
pub mod export;
pub mod placement;
mod plan;
mod settings;
mod sizing;
pub mod spec;
mod text;

pub use diagnostic::{Diagnostic, Place, Span};
pub use diff::{Change, ChangeKind, Conflict, Diff, Risk, diff, risk_of};
pub use plan::{ClusterPlan, ConsumerPlan, Known, Plan, PlanOptions, TopicPlan, plan};
pub use settings::Setting;
pub use sizing::{Disk, Need, Sizing};
pub use spec::json_schema;
