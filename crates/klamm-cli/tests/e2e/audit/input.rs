//! What is asked wrongly is answered in one line, with the place, the value and the limit.

use anyhow::{Result, ensure};

use crate::harness::Place;

#[tokio::test]
async fn nothing_to_look_at_is_said() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    place.run(&["audit"]).await?.failed_with(&["nothing to look at", "--bootstrap"])?;
    place.run(&["audit", "--files", "nowhere"]).await?.failed_with(&["nowhere is no folder and no file"])?;
    place
        .run(&["audit", "--files", ".", "--rules", "KL9999"])
        .await?
        .failed_with(&["KL9999", "klamm explain"])?;
    place.run(&["audit", "--files", ".", "--fix"]).await?.failed_with(&["no cluster to fix"])?;
    Ok(())
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused() -> Result<()> {
    let place = Place::new()?;
    std::fs::write(place.file("other.json"), "{\"version\": 7, \"fingerprints\": []}")?;
    let run = ["audit", "--files", ".", "--baseline", "other.json"];
    place.run(&run).await?.failed_with(&["other.json", "version 7"])?;
    let run = ["audit", "--files", ".", "--baseline", "klamm.yaml"];
    place.run(&run).await?.failed_with(&["klamm.yaml", "no report"])?;
    std::fs::write(place.file("seen.json"), "{\"version\": 9}")?;
    let run = ["audit", "--evidence", "seen.json"];
    place.run(&run).await?.failed_with(&["seen.json", "version 9"])?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_a_failure_and_not_a_clean_audit() -> Result<()> {
    let place = Place::new()?;
    let run = ["audit", "--bootstrap", "127.0.0.1:1", "--timeout", "2s"];
    place.run(&run).await?.failed_with(&["127.0.0.1:1"])
}

#[tokio::test]
async fn an_empty_folder_passes_nothing() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let run = place.run(&["audit", "--files", ".", "--code", ".", "--json"]).await?;
    ensure!(run.code == Some(0), "{run:?}");
    let report = super::report(&run)?;
    let verdicts = report["verdicts"].as_array().cloned().unwrap_or_default();
    ensure!(verdicts.len() > 80, "{} rules", verdicts.len());
    let passed: Vec<_> = verdicts.iter().filter(|verdict| verdict["status"] == "pass").collect();
    ensure!(passed.is_empty(), "{passed:?}");
    Ok(())
}

#[tokio::test]
async fn a_rule_is_explained_by_code_and_by_name() -> Result<()> {
    let place = Place::new()?;
    let by_code = place.run(&["explain", "kl507"]).await?;
    let by_name = place.run(&["explain", "min-isr-equals-replication-factor"]).await?;
    ensure!(by_code.code == Some(0) && by_code.stdout == by_name.stdout, "{by_code:?}");
    ensure!(by_code.stdout.contains("## Why it hurts"), "{by_code:?}");
    place.run(&["explain", "KL000"]).await?.failed_with(&["KL000"])?;
    place.run(&["explain", "min-isr"]).await?.failed_with(&["did you mean"])?;
    let all = place.run(&["explain"]).await?;
    ensure!(all.stdout.lines().count() > 80, "{}", all.stdout.lines().count());
    Ok(())
}

#[tokio::test]
async fn suppressions_of_the_spec_hold_until_their_day() -> Result<()> {
    let place = Place::new()?;
    let spec = std::fs::read_to_string(place.file("klamm.yaml"))?;
    std::fs::write(
        place.file("producer.properties"),
        "bootstrap.servers=b:9092\nkey.serializer=x\nvalue.serializer=x\nacks=1\n",
    )?;
    for (until, held) in [("2999-12-31", true), ("2020-01-01", false)] {
        let accepted = format!(
            "{spec}audit:\n  accept:\n    - {{ rule: KL101, reason: a test producer, until: {until} }}\n"
        );
        std::fs::write(place.file("klamm.yaml"), accepted)?;
        let run = place.run(&["audit", "--files", ".", "--rules", "KL101", "--json"]).await?;
        let report = super::report(&run)?;
        ensure!(super::findings(&report, "KL101").is_empty() == held, "{until}: {report}");
        ensure!((run.code == Some(0)) == held, "{run:?}");
        ensure!(held || report["notes"].to_string().contains("ended on 2020-01-01"), "{report}");
    }
    Ok(())
}

const PRODUCER: &str = "bootstrap.servers=b:9092\nkey.serializer=x\nvalue.serializer=x\nacks=1\n";

#[tokio::test]
async fn one_file_is_enough() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    std::fs::write(place.file("producer.properties"), PRODUCER)?;
    let run = place.run(&["audit", "--files", "producer.properties", "--rules", "KL101", "--json"]).await?;
    ensure!(super::findings(&super::report(&run)?, "KL101").len() == 1, "{run:?}");
    std::fs::write(place.file("other.bin"), "acks=1")?;
    let run = place.run(&["audit", "--files", "other.bin", "--rules", "KL902", "--json"]).await?;
    ensure!(super::status(&super::report(&run)?, "KL902")? == "not_evaluated", "{run:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_that_could_be_judged_stands_out() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    std::fs::write(place.file("kafka.tf"), "resource \"kafka_topic\" \"x\" {\n  name = \n")?;
    let run = place.run(&["audit", "--files", "."]).await?;
    ensure!(run.stdout.contains("NOTHING COULD BE JUDGED"), "{run:?}");
    std::fs::write(place.file("producer.properties"), PRODUCER)?;
    let run = place.run(&["audit", "--files", "."]).await?;
    ensure!(!run.stdout.contains("NOTHING COULD BE JUDGED"), "{run:?}");
    Ok(())
}

#[tokio::test]
async fn names_of_files_do_not_act_on_the_terminal() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    std::fs::create_dir(place.file("conf"))?;
    std::fs::write(place.file("conf/we\u{1b}[31mird\nproducer.properties"), PRODUCER)?;
    for format in ["text", "html", "markdown"] {
        let run = place.run(&["audit", "--files", "conf", "--format", format, "-v"]).await?;
        ensure!(run.stdout.contains("producer.properties"), "{format}: {run:?}");
        ensure!(!run.stdout.contains('\u{1b}') && !run.stdout.contains("ird\nproducer"), "{format}: {run:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_defect_that_looks_alike_is_new_beside_a_baseline() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let map = |name: &str, acks: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata:\n  producer.properties: |\n    bootstrap.servers=h:1\n    key.serializer=x\n    value.serializer=x\n    acks={acks}\n"
        )
    };
    std::fs::write(place.file("cm.yaml"), map("one", "0"))?;
    let run = ["audit", "--files", "cm.yaml", "--rules", "KL101"];
    place.run(&[&run[..], &["--format", "json", "--out", "before.json"]].concat()).await?;
    let beside = [&run[..], &["--baseline", "before.json"]].concat();
    ensure!(place.run(&beside).await?.code == Some(0));
    std::fs::write(place.file("cm.yaml"), map("one", "0") + "---\n" + &map("two", "1"))?;
    let more = place.run(&beside).await?;
    ensure!(more.code == Some(1) && more.stdout.contains("(1 new)"), "{more:?}");
    Ok(())
}

#[tokio::test]
async fn the_profile_dev_relaxes_the_audit_and_the_spec_keeps_its_path() -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    std::fs::create_dir(place.file("live"))?;
    std::fs::write(
        place.file("live/klamm.yaml"),
        "klamm: 1\nservice: s\ntopics:\n  orders: { consistency: strong, key: id }\n",
    )?;
    let seen = serde_json::json!({ "version": 1, "live": { "topics": { "full": { "orders": {
        "partitions": [{ "index": 0, "leader": 1, "replicas": [1], "isr": [1] }],
        "configs": { "full": { "min.insync.replicas": { "value": "1", "source": "default" } } },
    } } } } });
    std::fs::write(place.file("seen.json"), seen.to_string())?;
    let run = ["audit", "live/klamm.yaml", "--evidence", "seen.json", "--rules", "KL104", "-v"];
    let prod = place.run(&run).await?;
    ensure!(prod.code == Some(1) && prod.stdout.contains("klamm apply live/klamm.yaml"), "{prod:?}");
    let dev = place.run(&[&run[..], &["--profile", "dev"]].concat()).await?;
    ensure!(dev.code == Some(0) && dev.stdout.contains("[profile dev"), "{dev:?}");
    Ok(())
}
