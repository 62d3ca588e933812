//! The audit that the README shows is what is printed.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
    use klamm_testkit::{Controller, eventually, run_on_real};

    use crate::harness::{Place, same_as_committed};

    /// What stands in the README where a cluster's own values are.
    const ADDRESS: &str = "localhost:9092";
    const COMMAND: &str = "    $ klamm audit --bootstrap localhost:9092 --rules KL504,KL507,KL510";

    fn topic(name: &str, configs: &[(&str, &str)]) -> NewTopic {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let configs = configs.iter().map(own).collect();
        NewTopic { name: name.to_owned(), partitions: 6, replication_factor: 3, configs }
    }

    #[test]
    fn the_readme_shows_a_real_audit_of_a_bad_cluster() -> Result<()> {
        run_on_real(3, Controller::Combined, |cluster| async move {
            let bootstrap = cluster.bootstrap();
            let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
            let bad = [("min.insync.replicas", "3"), ("unclean.leader.election.enable", "true")];
            let topics = [topic("orders", &bad), topic("payments", &[("min.insync.replicas", "2")])];
            admin.create_topics(&topics, Mode::Execute).await?;
            let names = topics.map(|topic| topic.name);
            admin.wait_until_ready(&names, Duration::from_secs(60)).await?;
            eventually(Duration::from_secs(60), "all copies are in sync", async || {
                let facts = admin.facts(&names).await?;
                let mut partitions = facts.topics.values().flat_map(|topic| &topic.partitions);
                ensure!(partitions.all(|at| at.isr.len() == at.replicas.len()), "some are not");
                anyhow::Ok(())
            })
            .await?;
            let place = Place::new()?;
            std::fs::remove_file(place.file("klamm.yaml"))?;
            let run = ["audit", "--bootstrap", &bootstrap, "--rules", "KL504,KL507,KL510"];
            let printed = place.run(&run).await?;
            ensure!(printed.code == Some(1), "{printed:?}");
            let printed = printed
                .stdout
                .replace(&bootstrap, ADDRESS)
                .replace(&admin.cluster_id(), "4L6g3nShT-eMCtK--X86sw");
            let shown: String = printed.lines().map(|line| format!("    {line}\n")).collect();

            let readme = std::fs::read_to_string(xtask::paths::root().join("README.md"))?;
            let (before, rest) = readme.split_once(COMMAND).context("the README shows no audit")?;
            let (_, after) = rest.split_once("\n\n").context("the audit ends with an empty line")?;
            same_as_committed("README.md", &format!("{before}{COMMAND}\n{shown}\n{after}"))
        })
    }
}
