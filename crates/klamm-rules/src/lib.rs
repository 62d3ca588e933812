//! What is wrong with a Kafka: evidence in, findings out.
//!
//! [`Evidence`](evidence::Evidence) is everything that was looked at, each piece behind [`Seen`]: not asked, denied, failed, partial,
//! or full. A [`Rule`] judges it, and writes down in [`Out`] what it saw, what it could not see, and what it found; so that nothing passes that nobody
//! looked at. [`audit()`] runs rules and returns a [`Report`].
//!
//! Pure: no cluster, no files, no clock. `klamm-evidence` collects, the binary renders.

mod advice;
mod amend;
mod audit;
mod baseline;
mod brokers;
mod check;
mod client;
mod cluster;
mod consumers;
pub mod evidence;
mod finding;
mod frameworks;
mod keys;
mod lag;
mod library;
mod lines;
mod listeners;
mod producers;
mod profiles;
mod recovery;
mod rules;
mod samples;
mod schemas;
mod seen;
mod streams;
mod text;
mod weight;

pub use audit::{Report, all_rules, audit};
pub use baseline::{Baseline, FINGERPRINT_FORM};
pub use check::{Cx, Out};
pub use client::Effective;
pub use finding::{Fact, Finding, Fix, Severity, Status, Step, Verdict, Weight};
pub use library::java_name;
pub use rules::{RULES, Rule, rule};
pub use seen::{Gap, Seen};
pub use weight::Weights;
