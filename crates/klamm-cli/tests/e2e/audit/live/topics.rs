//! Topics that are configured wrongly.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Result, ensure};
    use klamm_admin::{Mode, NewTopic, Reassign};
    use klamm_testkit::{Controller, run_on_real};

    use super::super::{Bench, found, mistake};

    fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> NewTopic {
        let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        NewTopic { name: name.to_owned(), partitions, replication_factor: 3, configs }
    }

    #[test]
    fn wrong_topics_are_found_and_the_printed_commands_mend_them() -> Result<()> {
        run_on_real(3, Controller::Apart, |cluster| async move {
            let bench = Bench::new(cluster).await?;
            let strong = bench.place.topic.clone();
            let floor = "min.insync.replicas";
            let topics = [
                topic(&strong, 6, &[(floor, "1")]),
                topic("high", 3, &[(floor, "3")]),
                topic("unclean", 3, &[(floor, "2"), ("unclean.leader.election.enable", "true")]),
                topic("_schemas", 1, &[(floor, "2")]),
                topic("well", 3, &[(floor, "2")]),
            ];
            bench.admin.create_topics(&topics, Mode::Execute).await?;
            let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
            bench.admin.wait_until_ready(&names, Duration::from_secs(30)).await?;
            // The copies stay where they are, only another one is to lead.
            let facts = bench.admin.facts(std::slice::from_ref(&strong)).await?;
            let moves = facts.topics[&strong].partitions.iter().map(|partition| {
                let mut replicas = partition.replicas.clone();
                replicas.rotate_left(1);
                Reassign { topic: strong.clone(), partition: partition.index, replicas: Some(replicas) }
            });
            bench.admin.reassign(&moves.collect::<Vec<_>>()).await?;
            // The controller carries it out by and by.
            bench.found(&[mistake("KL505", "cluster", "", "")], &[]).await?;

            let wrong = [
                ("KL104", format!("topic {strong}"), (floor, "1")),
                ("KL308", "topic _schemas".to_owned(), ("cleanup.policy", "delete")),
                ("KL504", "topic unclean".to_owned(), ("unclean.leader.election.enable", "true")),
                ("KL505", "cluster".to_owned(), ("", "")),
                ("KL507", "topic high".to_owned(), (floor, "3")),
            ];
            let report = bench.audit("KL104,KL308,KL504,KL505,KL507").await?;
            let mut all = Vec::new();
            for (rule, subject, (what, value)) in &wrong {
                let finding = found(&report, rule, subject)?;
                let mut facts = finding["evidence"].as_array().into_iter().flatten();
                let seen = facts.any(|fact| fact["what"] == *what && fact["value"] == *value);
                ensure!(seen || what.is_empty(), "{what}={value} is not in {finding:#}");
                all.push(finding);
            }
            let well = report["findings"].as_array().into_iter().flatten();
            ensure!(well.filter(|finding| finding["subject"] == "topic well").count() == 0, "{report:#}");
            bench.fix(&all).await?;
            bench.gone(&wrong.map(|(rule, subject, _)| (rule, subject))).await
        })
    }
}
