//! The embedded single-node broker for the first minute, development and tests.
