//! Settings of topics, brokers and the cluster, mended by `--fix`, and by what is printed.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic, Reassign};
use klamm_testkit::Cluster;
use klamm_wire::sasl::Hash;
use serde_json::{Value, json};

use super::super::{audit, findings, report};
use super::{Bench, Mistake, SHOWS, commands, mistake};
use crate::harness::Place;

const SPEC: &str = "klamm: 1\nservice: shop\ncluster:\n  bootstrap: [localhost:9092]\n  brokers: 3\n\
    topics:\n  strong:\n    consistency: strong\n    survive: { brokers: 1 }\n    write: { rate: 1 MB/s, record: 200 B }\n  \
    events:\n    consistency: strong\n    survive: { brokers: 1 }\n    write: { rate: 1 MB/s, record: 200 B }\n    retain: forever\n\
    streams:\n  shop:\n    reads: [events]\n";

const FLOOR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";
/// A folder with the file of a client.
const FILES: [&str; 2] = ["--files", "conf"];
const LARGEST: &str = "max.request.size";

/// What `--fix` mends by itself.
const SAFE: [Mistake<'static>; 4] = [
    Mistake { rule: "KL504", subject: "cluster", what: UNCLEAN, value: "true" },
    Mistake { rule: "KL504", subject: "topic unclean", what: UNCLEAN, value: "true" },
    Mistake { rule: "KL507", subject: "topic stiff", what: FLOOR, value: "3" },
    Mistake { rule: "KL701", subject: "topic events", what: "retention.ms", value: "604800000" },
];

/// What somebody has to decide on, and then runs as printed.
fn decided() -> [Mistake<'static>; 7] {
    [
        mistake("KL104", "topic strong", UNCLEAN, "true"),
        mistake("KL501", "topic single", "copies", "1"),
        mistake("KL505", "broker 1", "preferred leader of", ""),
        mistake("KL515", "cluster", "leader.replication.throttled.rate", "1000"),
        mistake("KL516", "feature transaction.version", "finalized", "1"),
        mistake("KL518", "cluster", "users", "2"),
        mistake("KL802", "topic shop-totals-changelog", "cleanup.policy", "delete"),
    ]
}

fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    NewTopic { name: name.to_owned(), partitions, replication_factor: 3, configs }
}

async fn make(bench: &Bench) -> Result<()> {
    let admin = &bench.admin;
    let topics = [
        topic("strong", 3, &[(FLOOR, "1")]),
        topic("stiff", 3, &[(FLOOR, "3")]),
        topic("unclean", 3, &[(FLOOR, "2"), (UNCLEAN, "true")]),
        topic("events", 3, &[(FLOOR, "2")]),
        topic("shop-totals-changelog", 3, &[(FLOOR, "2")]),
        topic("small", 3, &[(FLOOR, "2"), ("max.message.bytes", "100000")]),
        topic("crowd", 24, &[(FLOOR, "2")]),
        NewTopic { replication_factor: 1, ..topic("single", 2, &[]) },
    ];
    admin.create_topics(&topics, Mode::Execute).await?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    admin.wait_until_ready(&names, SHOWS).await?;
    // The copies stay where they are, only broker 1 is to lead all of them.
    let first = (0..24).map(|partition| Reassign {
        topic: "crowd".to_owned(),
        partition,
        replicas: Some(vec![1, 2, 3]),
    });
    admin.reassign(&first.collect::<Vec<_>>()).await?;
    admin.alter_all_brokers_configs(&[(UNCLEAN.to_owned(), Some("true".to_owned()))]).await?;
    let rate = ("leader.replication.throttled.rate".to_owned(), Some("1000".to_owned()));
    admin.alter_broker_configs(2, &[rate]).await?;
    let list = ("leader.replication.throttled.replicas".to_owned(), Some("0:1,0:2".to_owned()));
    admin.alter_configs("small", &[list]).await?;
    for user in ["orders", "billing"] {
        admin.set_scram_password(user, Hash::Sha512, "long-enough").await?;
    }
    let lower = format!(
        "kafka-features.sh --bootstrap-server {} downgrade --feature transaction.version=1",
        bench.cluster.bootstrap()
    );
    bench.fix(&[&json!({ "fix": { "steps": [{ "command": lower }] } })]).await?;
    std::fs::create_dir(bench.place.file("conf"))?;
    let channel = "mp.messaging.outgoing.small-out";
    Ok(std::fs::write(
        bench.place.file("conf/application.properties"),
        format!("{channel}.connector=smallrye-kafka\n{channel}.topic=small\n{channel}.{LARGEST}=2000000\n"),
    )?)
}

/// `--fix` mends what is safe, and the journal takes all of it back.
async fn fixed_and_taken_back(bench: &Bench) -> Result<()> {
    // Throttles are only printed: what `--fix` cannot make keeps it from nothing else.
    let rules = super::rules_of(SAFE.iter().map(|mistake| mistake.rule).chain(["KL515"]));
    let args = ["--json", "--fix", "--yes", "--fail-on", "never", "--rules", &rules];
    let run = audit(&bench.place, &bench.cluster, &args).await?;
    ensure!(run.code == Some(0), "{run:?}");
    let receipt = run.event("receipt")?;
    bench.mended(&SAFE, &[]).await.with_context(|| format!("mended by --fix: {receipt:#}"))?;
    undo(&bench.place, &bench.cluster, &receipt["receipt"]["run"].to_string()).await?;
    bench.found(&SAFE, &[]).await.context("taken back")?;
    Ok(())
}

async fn undo(place: &Place, cluster: &Cluster, run: &str) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    // Records that were kept may be deleted again: that is asked for by name.
    let undo = ["apply", "--undo", run, "--yes", "--allow-data-loss", "--lock-timeout", "90s"];
    let undone = place.run(&[&undo[..], &["--bootstrap", &bootstrap]].concat()).await?;
    ensure!(undone.code == Some(0), "{undone:?}");
    Ok(())
}

/// Changes a file as the patches of a finding say.
fn patch(folder: &Path, finding: &Value) -> Result<()> {
    let steps = finding["fix"]["steps"].as_array().into_iter().flatten();
    for patch in steps.map(|step| &step["patch"]).filter(|patch| patch.is_object()) {
        let text = |name: &str| patch[name].as_str().with_context(|| format!("no {name} in {patch}"));
        let file = folder.join(patch["place"]["file"].as_str().context("a file")?);
        let old = std::fs::read_to_string(&file)?;
        let line = usize::try_from(patch["place"]["line"].as_u64().context("a line")?)?;
        let found = old.lines().nth(line - 1).unwrap_or_default();
        // A framework's prefix may stand before the setting.
        let prefix = found.strip_suffix(text("from")?);
        let prefix =
            prefix.with_context(|| format!("line {line} is {found:?}, and not what {patch} says"))?;
        let changed = format!("{prefix}{}", text("to")?);
        let mut new: Vec<&str> = old.lines().collect();
        new[line - 1] = &changed;
        std::fs::write(&file, new.join("\n") + "\n")?;
    }
    Ok(())
}

async fn mistakes(cluster: Cluster) -> Result<()> {
    let bench = Bench::at(cluster, Place::with_spec(SPEC)?).await?;
    healthy(&bench).await?;
    make(&bench).await?;
    bench.found(&SAFE, &[]).await?;
    fixed_and_taken_back(&bench).await?;

    let too_large = bench.audit_with("KL109", &FILES).await?;
    let too_large = findings(&too_large, "KL109");
    let [too_large] = too_large[..] else { anyhow::bail!("{too_large:?}") };
    ensure!(too_large["evidence"].to_string().contains("2000000"), "{too_large}");
    patch(&bench.place.file("conf"), too_large)?;
    let subject = too_large["subject"].as_str().context("a subject")?;
    bench.mended(&[mistake("KL109", subject, "", "")], &FILES).await?;

    let decided = decided();
    let safe = bench.found(&SAFE, &[]).await?;
    let more = bench.found(&decided, &[]).await?;
    ensure!(more.iter().all(|finding| !commands(finding).is_empty()), "{more:#?}");
    bench.fix(&safe.iter().chain(&more).collect::<Vec<_>>()).await?;
    bench.mended(&SAFE, &[]).await?;
    bench.mended(&decided, &[]).await
}

/// A cluster that is well is told nothing but what is so: one controller is one.
async fn healthy(bench: &Bench) -> Result<()> {
    let well = ["well".to_owned()];
    bench.admin.create_topics(&[topic("well", 6, &[(FLOOR, "2")])], Mode::Execute).await?;
    bench.admin.wait_until_ready(&well, SHOWS).await?;
    let run = audit(&bench.place, &bench.cluster, &["--json", "--sample", "100"]).await?;
    let report = report(&run)?;
    let all = report["findings"].as_array().context("findings")?;
    let loud = all.iter().filter(|finding| finding["severity"] != "info" && finding["rule"] != "KL509");
    let loud: Vec<_> = loud.collect();
    ensure!(loud.is_empty(), "{loud:#?}");
    Ok(bench.admin.delete_topics(&well).await?)
}

/// What `--fix` changes on any broker, and what takes it back.
async fn one_topic_is_fixed_and_taken_back(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let unclean = NewTopic { replication_factor: 1, ..topic("unclean", 1, &[(UNCLEAN, "true")]) };
    admin.create_topics(&[unclean], Mode::Execute).await?;
    admin.wait_until_ready(&["unclean".to_owned()], SHOWS).await?;
    let args = ["--json", "--rules", "KL504", "--fail-on", "info"];
    let fixed = audit(&place, &cluster, &[&args[..], &["--fix", "--yes"]].concat()).await?;
    ensure!(fixed.code == Some(1), "it was found: {fixed:?}");
    let clean = audit(&place, &cluster, &args).await?;
    ensure!(clean.code == Some(0), "{clean:?}");
    let run = fixed.event("receipt")?["receipt"]["run"].to_string();
    undo(&place, &cluster, &run).await?;
    let again = audit(&place, &cluster, &args).await?;
    ensure!(again.code == Some(1) && findings(&report(&again)?, "KL504").len() == 1, "{again:?}");
    Ok(())
}

mod on_embedded {
    use klamm_testkit::{Tier, anyhow::Result, run};

    #[test]
    fn a_safe_fix_is_made_and_taken_back() -> Result<()> {
        run(Tier::Embedded, super::one_topic_is_fixed_and_taken_back)
    }
}

mod on_real_kafka {
    use klamm_testkit::{Controller, anyhow::Result, run_on_real};

    #[test]
    fn wrong_settings_are_mended_by_fix_taken_back_and_mended_by_what_is_printed() -> Result<()> {
        run_on_real(3, Controller::Apart, super::mistakes)
    }
}
