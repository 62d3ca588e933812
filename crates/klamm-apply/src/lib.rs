//! Brings a cluster to a plan and says what it changed.
//!
//! [`apply`] looks at the cluster, holds it against every contract of the plan, and refuses before it changes
//! anything. Then it makes the difference, reads the cluster back, and returns a [`Receipt`]. A second run finds no
//! difference and changes nothing. Nothing is ever deleted. [`doctor()`] only looks, and says what it found.

mod apply;
mod doctor;
mod error;
mod loss;
mod receipt;
mod saved;

pub use apply::{ApplyOptions, DataLoss, Existing, Mode, apply};
pub use doctor::{Check, DoctorReport, Outcome, doctor};
pub use error::{ApplyError, ApplyErrorKind};
pub use loss::Loss;
pub use receipt::{Done, Receipt};
pub use saved::SavedPlan;
