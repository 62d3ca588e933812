//! The embedded single-node broker for the first minute, development and tests. Its parts are here; `handle.rs` becomes
//! this file when its fault tests are green.
