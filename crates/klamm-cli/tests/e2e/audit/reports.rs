//! Every form of a report is read by a program that is for it, and the same findings are in all of them.

use anyhow::{Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
use klamm_testkit::{Cluster, scenarios, unique};
use serde_json::Value;
use xtask::clients::Clients;

use super::{audit, findings, report, status};
use crate::harness::Place;

scenarios!(
    every_form_is_read_by_its_readers,
    only_what_is_new_fails_beside_a_baseline,
    evidence_that_was_kept_gives_the_same_report,
);

/// A topic that lets acknowledged records be lost: its one copy is all there is.
async fn weak_topic(cluster: &Cluster) -> Result<String> {
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let topic = unique("orders");
    let configs = vec![("unclean.leader.election.enable".to_owned(), "true".to_owned())];
    let new = NewTopic { name: topic.clone(), partitions: 2, replication_factor: 1, configs };
    admin.create_topics(&[new], Mode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), std::time::Duration::from_secs(30)).await?;
    Ok(topic)
}

async fn every_form_is_read_by_its_readers(cluster: Cluster) -> Result<()> {
    let (place, topic) = (Place::new()?, weak_topic(&cluster).await?);
    std::fs::remove_file(place.file("klamm.yaml"))?;
    std::fs::create_dir(place.file("conf <&> dir"))?;
    std::fs::write(
        place.file("conf <&> dir/producer.properties"),
        "bootstrap.servers=b:9092\nkey.serializer=x\nacks=1\nclient.id=orders\n",
    )?;
    for (format, file) in [
        ("json", "r.json"),
        ("sarif", "r.sarif"),
        ("junit", "r.xml"),
        ("markdown", "r.md"),
        ("html", "r.html"),
    ] {
        let run =
            audit(&place, &cluster, &["--files", "conf <&> dir", "--format", format, "--out", file]).await?;
        ensure!(run.code == Some(1) && run.stdout.is_empty(), "{format}: {run:?}");
    }
    let json: Value = serde_json::from_str(&std::fs::read_to_string(place.file("r.json"))?)?;
    let unclean = findings(&json, "KL504");
    ensure!(unclean.iter().any(|finding| finding["subject"] == format!("topic {topic}")), "{unclean:?}");
    ensure!(!findings(&json, "KL101").is_empty(), "acks=1 is found in the file");

    let clients = Clients::ensure(&xtask::paths::root())?;
    let sarif = clients.node("check_sarif.js").arg(place.file("r.sarif")).output()?;
    ensure!(sarif.status.success(), "{}", String::from_utf8_lossy(&sarif.stderr));
    let mut read = clients.python("check_reports.py");
    let read = read.arg(place.file("r.xml")).arg(place.file("r.html")).output()?;
    ensure!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));

    let log: Value = serde_json::from_str(&std::fs::read_to_string(place.file("r.sarif"))?)?;
    let results = log["runs"][0]["results"].as_array().map_or(0, Vec::len);
    ensure!(results == json["findings"].as_array().map_or(0, Vec::len), "SARIF has {results} results");
    let placed = log["runs"][0]["results"].as_array().into_iter().flatten();
    let placed: Vec<_> = placed.filter(|result| result["ruleId"] == "KL101").collect();
    let place_of = &placed[0]["locations"][0]["physicalLocation"];
    ensure!(place_of["region"]["startLine"] == 3, "{place_of}");
    let markdown = std::fs::read_to_string(place.file("r.md"))?;
    let html = std::fs::read_to_string(place.file("r.html"))?;
    for text in [topic.as_str(), "KL504", "Not evaluated"] {
        ensure!(markdown.contains(text) && html.contains(text), "{text}");
    }
    let text = audit(&place, &cluster, &[]).await?;
    ensure!(
        text.stdout.contains("KL504 unclean-leader-election-enabled") || text.stdout.contains("KL504"),
        "{text:?}"
    );
    ensure!(text.stdout.lines().last().is_some_and(|line| line.starts_with("summary")), "{text:?}");
    Ok(())
}

async fn only_what_is_new_fails_beside_a_baseline(cluster: Cluster) -> Result<()> {
    let (place, topic) = (Place::new()?, weak_topic(&cluster).await?);
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let rules = ["--rules", "KL504"];
    let first =
        audit(&place, &cluster, &[&rules[..], &["--format", "json", "--out", "before.json"]].concat())
            .await?;
    ensure!(first.code == Some(1), "{first:?}");
    let same =
        audit(&place, &cluster, &[&rules[..], &["--baseline", "before.json", "--json"]].concat()).await?;
    let known = report(&same)?;
    // Others make topics on a cluster that is shared; this one's is known.
    let own = |report: &Value, topic: &str| {
        let found = findings(report, "KL504");
        found
            .into_iter()
            .find(|finding| finding["subject"] == format!("topic {topic}"))
            .map(|f| f["new"].clone())
    };
    ensure!(own(&known, &topic) == Some(Value::Bool(false)), "{known}");
    let other = weak_topic(&cluster).await?;
    let more =
        audit(&place, &cluster, &[&rules[..], &["--baseline", "before.json", "--json"]].concat()).await?;
    ensure!(more.code == Some(1) && own(&report(&more)?, &other) == Some(Value::Bool(true)), "{more:?}");
    let never = audit(&place, &cluster, &[&rules[..], &["--fail-on", "never"]].concat()).await?;
    ensure!(never.code == Some(0), "{never:?}");
    Ok(())
}

async fn evidence_that_was_kept_gives_the_same_report(cluster: Cluster) -> Result<()> {
    let (place, topic) = (Place::new()?, weak_topic(&cluster).await?);
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let live = audit(&place, &cluster, &["--json", "--save-evidence", "seen.json"]).await?;
    let kept = place.run(&["audit", "--evidence", "seen.json", "--json"]).await?;
    ensure!(live.code == kept.code, "{live:?} {kept:?}");
    let (live, kept) = (report(&live)?, report(&kept)?);
    ensure!(live["findings"] == kept["findings"] && live["verdicts"] == kept["verdicts"]);
    ensure!(status(&kept, "KL504")? == "finding" && kept.to_string().contains(&topic));
    ensure!(status(&kept, "KL107")? == "not_evaluated", "nobody looked at code");
    Ok(())
}
