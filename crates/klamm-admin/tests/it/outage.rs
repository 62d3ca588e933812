//! A broker that dies under the administrator's hands.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Mode, NewTopic, OffsetSpec};
    use klamm_testkit::{Cluster, Controller, eventually, run_on_real, unique};

    use crate::it::scenarios::admin;

    #[test]
    fn calls_outlast_the_death_of_a_broker() -> Result<()> {
        run_on_real(3, Controller::Apart, a_broker_dies)
    }

    async fn a_broker_dies(cluster: Cluster) -> Result<()> {
        let admin = admin(&cluster).await?;
        let name = unique("outage");
        let names = [name.clone()];
        let topic = NewTopic { name: name.clone(), partitions: 6, replication_factor: 3, configs: vec![] };
        admin.create_topics(&[topic], Mode::Execute).await?;
        admin.wait_until_ready(&names, Duration::from_secs(60)).await?;

        cluster.kill(2).await?;
        // Neither knows that the broker is dead; both find out and get done.
        ensure!(admin.list_offsets(&name, OffsetSpec::Latest).await?.len() == 6);
        let facts = admin.facts(&names).await?;
        ensure!(
            facts.topics[&name].partitions.iter().all(|partition| partition.leader.is_some_and(|id| id != 2))
        );
        let short =
            admin.wait_until_ready(&names, Duration::from_secs(1)).await.err().context("two of three")?;
        ensure!(short.to_string().contains("2 of 3 replicas in sync"), "{short}");

        cluster.start(2).await?;
        eventually(Duration::from_secs(90), "the broker is back in every ISR", async || {
            admin.wait_until_ready(&names, Duration::from_secs(1)).await
        })
        .await?;
        ensure!(admin.facts(&names).await?.brokers.len() == 3);
        Ok(())
    }
}
