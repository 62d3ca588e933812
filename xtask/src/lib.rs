//! Automation that needs more than a line of shell: real Kafka on loopback, the tidy checks, CI's stages, benchmarks.
//!
//! A library as well as a binary, so that tests start the same clusters as people do. It depends on no klamm crate:
//! whatever it says about them, it says from outside.

pub mod bench;
pub mod ci;
pub mod clients;
pub mod java;
pub mod kafka;
pub mod matrix;
pub mod paths;
pub mod tidy;
