//! From a scenario, an async function over a cluster, to tests.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

use crate::{Cluster, Tier};

/// How long a scenario may take. It guards against one that hangs: none comes near it.
const BOUND: Duration = Duration::from_secs(300);

/// Makes a test on each tier of every scenario named.
#[macro_export]
macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        mod on_embedded {
            $(
                #[test]
                fn $scenario() -> $crate::anyhow::Result<()> {
                    $crate::run($crate::Tier::Embedded, super::$scenario)
                }
            )+
        }
        mod on_real_kafka {
            $(
                #[test]
                fn $scenario() -> $crate::anyhow::Result<()> {
                    $crate::run($crate::Tier::Real, super::$scenario)
                }
            )+
        }
    };
}

/// Runs a scenario on one tier: a fresh embedded broker, or the real cluster that all scenarios share.
pub fn run<F>(tier: Tier, scenario: impl FnOnce(Cluster) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    in_runtime(async {
        let cluster = match tier {
            Tier::Embedded => Cluster::embedded().await?,
            Tier::Real => Cluster::shared().await?,
        };
        scenario(cluster).await
    })
}

/// Runs a scenario on a real cluster of its own, which it may break.
pub fn run_on_real<F>(
    brokers: u8,
    controller: crate::Controller,
    scenario: impl FnOnce(Cluster) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    run_on_real_with(crate::KafkaOptions { brokers, controller, ..crate::KafkaOptions::default() }, scenario)
}

/// Runs a scenario on a real cluster of its own, made as the options say.
pub fn run_on_real_with<F>(options: crate::KafkaOptions, scenario: impl FnOnce(Cluster) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    in_runtime(async {
        let options = crate::KafkaOptions { name: "test".into(), ..options };
        scenario(Cluster::real_with(options).await?).await
    })
}

/// A name for a topic or group that no other test, and no earlier run, has used on the same cluster.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{:x}-{clock:x}-{count}", std::process::id())
}

fn in_runtime(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime: Runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::time::timeout(BOUND, work)
            .await
            .with_context(|| format!("the scenario still runs after {BOUND:?}"))?
    });
    // What a failed scenario left running must not keep the test from ending.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}
