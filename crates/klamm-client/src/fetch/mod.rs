//! Reading partitions: what an answer holds, where each partition stands, and what is asked next. All of it is pure.

mod answer;
mod ask;
mod batch;
mod positions;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Bounds, Next, Taken, take};
pub(crate) use ask::{Ask, Brought, Claim, Leader, Part, Question, ReadBounds};
pub(crate) use batch::Fetched;
pub(crate) use positions::Positions;
pub(crate) use session::{LAST_WITH_NAMES, Naming, RequestOptions, Session};
