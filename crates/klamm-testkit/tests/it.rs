//! The testkit keeps its own promises on both tiers.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use klamm_testkit::{Cluster, Tier, anyhow, eventually, run, scenarios};

/// The first broker takes connections.
fn connects(cluster: &Cluster) -> std::io::Result<()> {
    let bootstrap = cluster.bootstrap();
    TcpStream::connect(bootstrap.split(',').next().unwrap_or_default()).map(drop)
}

async fn the_address_takes_connections(cluster: Cluster) -> Result<()> {
    eventually(Duration::from_secs(10), "a connection", async || connects(&cluster)).await
}

/// Stops the only broker both ways; each time it returns at the same address.
async fn the_only_broker_returns_at_its_address(cluster: Cluster) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    cluster.kill(1).await?;
    ensure!(connects(&cluster).is_err(), "a killed broker takes connections");
    cluster.start(1).await?;
    cluster.stop(1).await?;
    ensure!(connects(&cluster).is_err(), "a stopped broker takes connections");
    cluster.start(1).await?;
    ensure!(cluster.bootstrap() == bootstrap);
    Ok(connects(&cluster)?)
}

scenarios!(the_address_takes_connections);

mod on_embedded_alone {
    use super::*;

    #[test]
    fn the_only_broker_returns_at_its_address() -> Result<()> {
        run(Tier::Embedded, super::the_only_broker_returns_at_its_address)
    }
}

mod own {
    mod on_real_kafka {
        use klamm_testkit::{Cluster, Controller, Tier, anyhow, run, run_on_real};

        #[test]
        fn the_only_broker_returns_at_its_address() -> anyhow::Result<()> {
            run_on_real(1, Controller::Combined, crate::the_only_broker_returns_at_its_address)
        }

        #[test]
        fn the_shared_cluster_is_nobodys_to_stop() -> anyhow::Result<()> {
            run(Tier::Real, async |cluster: Cluster| {
                anyhow::ensure!(cluster.kill(1).await.is_err());
                Ok(())
            })
        }
    }
}
