//! The frontier of finished offsets and the checker that counts lost, duplicated and reordered records.
//!
//! Both are pure: events in, values out. They read no clock, no socket and no random number, so a failing run is
//! replayed from the list of its events.
//!
//! * [`Frontier`] tells a consumer which offset may be committed while records finish in any order.
//! * [`Checker`] takes what a run did (sent, acknowledged, stored, processed) and returns a [`Verdict`].

mod checker;
mod frontier;
mod intervals;
mod record_id;
mod verdict;

pub use checker::{Checker, SendEffect};
pub use frontier::{Epoch, Finish, Frontier, TakeError};
pub use record_id::RecordId;
pub use verdict::{Delivery, Example, Fault, Verdict};
