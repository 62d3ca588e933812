//! Brings a cluster to a plan, says what it changed, and takes it back.
//!
//! [`apply`] looks at the cluster, holds it against every contract of the plan, and refuses before it changes
//! anything. Then it makes the difference, reads the cluster back, and returns a [`Receipt`]. A second run finds no
//! difference and changes nothing. Nothing is deleted unasked. Each change is written down in the cluster's own
//! [`journal`] before it is made, and [`undo()`] takes a run back. [`doctor()`] only looks, and says what it found.

mod amend;
mod apply;
mod doctor;
mod error;
mod inbound;
pub mod journal;
mod layers;
mod loss;
mod maintenance;
mod make;
mod reassign;
mod receipt;
mod repartition;
mod restart;
mod saved;
mod secret;
mod settle;
mod undo;

pub use amend::{amend, amends};
pub use apply::{ApplyOptions, DataLoss, Existing, Journaling, Mode, apply, apply_watched};
pub use doctor::{Check, DoctorReport, Outcome, doctor};
pub use error::{ApplyError, ApplyErrorKind};
pub use journal::TOPIC as JOURNAL_TOPIC;
pub use layers::Layers;
pub use loss::Loss;
pub use maintenance::{Blocked, StopReport, can_stop, drain};
pub use reassign::{Control, Progress, Unit};
pub use receipt::{Done, Receipt};
pub use repartition::{
    GroupStanding, HEADER as COPY_HEADER, Misplaced, Repartition, Standing, repartition_copy,
    repartition_cut_over, repartition_roll_back, repartition_standing,
};
pub use restart::{Restart, RestartOrder, restart_order};
pub use saved::SavedPlan;
pub use secret::read_secret;
pub use undo::{undo, undo_watched};
