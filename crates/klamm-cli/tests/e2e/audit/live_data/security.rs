//! Rules for everybody, weak passwords, and listeners in clear.

use anyhow::{Context, Result, ensure};
use klamm_testkit::Cluster;
use xtask::kafka::properties::{PASSWORD, POWERLESS_PASSWORD, POWERLESS_USER, USER};
use xtask::kafka::state::Listener;

use super::{Site, asked, commands, find, found};

pub const SPEC: &str = "klamm: 1\ncluster:\n  bootstrap: [localhost:9092]\n";

/// An address of this machine that is written like one of the network.
const MAPPED: &str = "[::ffff:127.0.0.1]";
const NODE: i32 = 1;

pub async fn mistakes(cluster: &Cluster, site: &Site) -> Result<()> {
    std::fs::remove_file(site.place.file("klamm.yaml"))?;
    site.topics(&[("orders", 1, &[])]).await?;
    let everybody =
        "kafka-acls.sh --bootstrap-server B --add --allow-principal 'User:*' --operation All --topic '*'";
    site.shell(&everybody.replace('B', &site.bootstrap)).await?;
    let kafka = cluster.kafka().context("real")?;
    let port = |listener| kafka.state().nodes[&NODE].ports.get(&listener).copied().context("a port");
    let open = |with_clear: &str| -> Result<String> {
        Ok(format!(
            "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{},SASL_SSL://127.0.0.1:{}{with_clear}",
            port(Listener::Plaintext)?,
            port(Listener::Controller)?,
            port(Listener::SaslSsl)?
        ))
    };
    let clear = port(Listener::SaslPlaintext)?;
    listen(cluster, &open(&format!(",SASL_PLAINTEXT://{MAPPED}:{clear}"))?).await?;

    let seen = site.audit("KL901,KL903,KL904", &[]).await?;
    let rules = super::super::findings(&seen, "KL903");
    let rule = rules.iter().find(|finding| finding.to_string().contains("User:*")).context("KL903")?;
    let rule_subject = rule["subject"].as_str().context("a subject")?.to_owned();
    site.run_fix(rule).await?;
    let listener = found(&seen, "KL901", "listener SASL_PLAINTEXT", "SASL_PLAINTEXT:SASL_PLAINTEXT")?;
    ensure!(asked(listener).contains("open a SASL_SSL listener beside it"), "{listener}");
    let plain = found(&seen, "KL904", "broker 1", "takes passwords in clear")?;
    ensure!(asked(plain).contains("open a SASL_SSL listener beside"), "{plain}");
    let weak = found(&seen, "KL904", "SCRAM users", "4096")?;
    stronger(site, weak).await?;
    // The TLS listener stands beside it, and every client here has moved.
    listen(cluster, &open("")?).await?;

    let gone = [
        ("KL901", "listener SASL_PLAINTEXT".to_owned()),
        ("KL903", rule_subject),
        ("KL904", "broker 1".to_owned()),
        ("KL904", "SCRAM users".to_owned()),
    ];
    let after = site.audit("KL901,KL903,KL904", &[]).await?;
    for (rule, subject) in &gone {
        ensure!(find(&after, rule, subject).is_err(), "{rule} on {subject} is left: {after}");
    }
    Ok(())
}

/// The node's file with other listeners, and the node started again.
async fn listen(cluster: &Cluster, listeners: &str) -> Result<()> {
    let kafka = cluster.kafka().context("real")?;
    let advertised: Vec<String> = listeners
        .split(',')
        .filter(|one| !one.starts_with("CONTROLLER"))
        .map(|one| one.replace(MAPPED, "127.0.0.1"))
        .collect();
    cluster.stop(NODE).await?;
    kafka.configure(NODE, &[("listeners", listeners), ("advertised.listeners", &advertised.join(","))])?;
    cluster.start(NODE).await
}

/// Makes the credentials again as the finding says, for each user with his password.
async fn stronger(site: &Site, weak: &serde_json::Value) -> Result<()> {
    ensure!(commands(weak).is_empty(), "passwords are in no command: {weak}");
    let asked = asked(weak);
    let lines: Vec<&str> = asked.split("kafka-configs.sh ").skip(1).collect();
    ensure!(lines.len() == 2, "one line makes the new credential, one deletes the old: {asked}");
    for (user, password) in [(USER, PASSWORD), (POWERLESS_USER, POWERLESS_PASSWORD)] {
        for line in &lines {
            // Up to the quote that ends the configuration.
            let end = line.match_indices('\'').nth(1).map(|(at, _)| at + 1).context("a quoted setting")?;
            let line = line[..end].replace('…', password);
            let line = named(&line, user)?;
            site.shell(&format!("kafka-configs.sh {line}")).await?;
        }
    }
    Ok(())
}

/// The same line for another user than the one that the finding takes for its example.
fn named(line: &str, user: &str) -> Result<String> {
    let (before, after) = line.split_once("--entity-name ").context("it names a user")?;
    let (_, after) = after.split_once(' ').context("and what is set")?;
    Ok(format!("{before}--entity-name {user} {after}"))
}
