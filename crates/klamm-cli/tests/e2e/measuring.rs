//! What a partition takes is measured on the cluster at hand, and planned with.

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions};
use klamm_testkit::{Cluster, scenarios};
use serde_json::Value;

use crate::harness::Place;

async fn a_partition_is_measured_and_nothing_is_left_behind(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let bootstrap = cluster.bootstrap();
    let bench =
        ["bench", "partition", "--for", "1s", "--record", "500 B", "--json", "--bootstrap", &bootstrap];
    let measured = place.run(&bench).await?;
    ensure!(measured.code == Some(0), "{measured:?}");
    let value: Value = serde_json::from_str(&measured.stdout)?;
    let number = |name: &str| value[name].as_u64().with_context(|| format!("no {name} in {value}"));
    let (write, read, plan) =
        (number("write_bytes_per_second")?, number("read_bytes_per_second")?, number("plan_with")?);
    ensure!(plan > 0 && plan < write.min(read), "{value}");
    let admin = Admin::connect(&ClientOptions::new([bootstrap])).await?;
    let left: Vec<String> =
        admin.list_topics().await?.into_iter().filter(|name| name.starts_with("klamm.bench.")).collect();
    ensure!(left.is_empty(), "{left:?}");
    let spec = std::fs::read_to_string(place.file("klamm.yaml"))?;
    let told = spec.replace("brokers: 3\n", &format!("brokers: 3\n  partition: {plan} B/s\n"));
    std::fs::write(place.file("klamm.yaml"), told)?;
    let planned = place.run(&["plan", "-v"]).await?;
    ensure!(planned.code == Some(0) && planned.stdout.contains("(measured)"), "{planned:?}");
    Ok(())
}

scenarios!(a_partition_is_measured_and_nothing_is_left_behind);
