//! Clusters, embedded or real, as a parameter of a test.
//!
//! A scenario is an async function that takes a [`Cluster`]; [`scenarios!`] makes two tests of it, one in the module
//! `on_embedded` and one in `on_real_kafka`, so that `cargo test on_real_kafka` is the real tier and nothing else:
//!
//! ```
//! use klamm_testkit::{Cluster, anyhow, scenarios};
//!
//! async fn the_cluster_has_an_address(cluster: Cluster) -> anyhow::Result<()> {
//!     anyhow::ensure!(cluster.bootstrap().starts_with("127.0.0.1:"));
//!     Ok(())
//! }
//!
//! scenarios!(the_cluster_has_an_address);
//! # fn main() {}
//! ```
//!
//! Scenarios share one real cluster of three brokers and keep apart by [`unique`] names of topics and groups. A test
//! that breaks nodes starts its own with [`Cluster::real`], in a module named `on_real_kafka`.

mod cluster;
mod dice;
mod scenario;
mod wait;

pub use anyhow;
pub use cluster::{Cluster, Tier};
pub use dice::Dice;
pub use scenario::{run, run_on_real, run_on_real_with, unique};
pub use wait::{Settles, eventually};
pub use xtask::kafka::{Controller, Kafka, KafkaOptions, Listeners};
