//! An audit of a cluster that is not whole: what can be seen is judged, the rest is named and passes nothing.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Result, ensure};
    use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
    use klamm_testkit::{Cluster, Controller, run_on_real};

    use super::super::{audit, report, status};
    use crate::harness::Place;

    const TOPIC: &str = "orders";

    async fn topic_on_all(cluster: &Cluster) -> Result<()> {
        let admin = Admin::connect(&ClientOptions::new(cluster.bootstrap().split(','))).await?;
        let name = TOPIC.to_owned();
        let new = NewTopic { name: name.clone(), partitions: 3, replication_factor: 3, configs: Vec::new() };
        admin.create_topics(&[new], Mode::Execute).await?;
        admin.wait_until_ready(&[name], Duration::from_secs(30)).await?;
        Ok(())
    }

    #[test]
    fn a_killed_broker_leaves_rules_not_evaluated_and_the_audit_is_made() -> Result<()> {
        run_on_real(3, Controller::Apart, async |cluster| {
            let place = Place::new()?;
            std::fs::remove_file(place.file("klamm.yaml"))?;
            topic_on_all(&cluster).await?;
            let whole = report(&audit(&place, &cluster, &["--json"]).await?)?;
            ensure!(status(&whole, "KL512")? == "pass", "all log directories are seen: {whole}");
            cluster.kill(2).await?;
            let run = audit(&place, &cluster, &["--json"]).await?;
            ensure!(matches!(run.code, Some(0 | 1)), "{run:?}");
            let broken = report(&run)?;
            ensure!(status(&broken, "KL512")? == "not_evaluated", "of broker 2 they are not: {broken}");
            let text = audit(&place, &cluster, &[]).await?;
            ensure!(matches!(text.code, Some(0 | 1)), "{text:?}");
            ensure!(text.stdout.contains("broker 2"), "what is not seen is named: {text:?}");
            Ok(())
        })
    }
}
