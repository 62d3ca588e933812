//! Collects what an audit looks at. It only reads: nothing is changed, no offset is committed, no group is joined.
//!
//! A collector never fails as a whole: what it could not see is part of what it returns ([`klamm_rules::Seen`]).

pub mod certificates;
pub mod code;
pub mod data;
pub mod files;
pub mod group;
pub mod host;
pub mod live;
pub mod spec;
mod walk;
