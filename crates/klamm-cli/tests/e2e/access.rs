//! Access rules, quotas and broker settings as part of the plan; and a spec that is read off a cluster.

mod on_real_kafka {
    use std::collections::BTreeMap;
    use std::path::Path;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions};
    use klamm_testkit::{Cluster, KafkaOptions, Listeners, Tier, eventually, run, run_on_real_with};
    use serde_json::Value;
    use std::time::Duration;
    use xtask::clients::Clients;
    use xtask::java::{Programs, json_answer};
    use xtask::kafka::properties::{PASSWORD, POWERLESS_PASSWORD, POWERLESS_USER, USER};
    use xtask::kafka::state::Listener;
    use xtask::paths::root;

    use crate::harness::Place;

    const SHOWS: Duration = Duration::from_secs(30);

    fn spec() -> String {
        format!(
            "klamm: 1\nservice: orders\nprofile: dev\nprincipal: User:{POWERLESS_USER}\nquota: {{ write: 50 MB/s }}\n\
             cluster:\n  bootstrap: [localhost:9092]\n  security:\n    \
             sasl: {{ mechanism: SCRAM-SHA-512, username: {POWERLESS_USER}, password_file: password }}\n\
             topics:\n  TOPIC:\n    key: order_id\n    write: {{ rate: 100 KB/s, record: 200 B }}\n\
             consumers:\n  GROUP:\n    reads: [TOPIC]\n"
        )
    }

    /// The cluster as somebody who may everything sees it: in clear.
    fn powerful(place: &Place, address: &str) -> Result<()> {
        Ok(std::fs::write(
            place.file("admin.yaml"),
            format!("klamm: 1\ncluster:\n  bootstrap: ['{address}']\n"),
        )?)
    }

    async fn the_rules_of_the_plan_are_enough_and_no_more(cluster: &Cluster) -> Result<()> {
        let place = Place::with_spec(&spec())?;
        std::fs::write(place.file("password"), POWERLESS_PASSWORD)?;
        let kafka = cluster.kafka().context("real")?;
        let address = kafka.bootstrap_of(Listener::SaslPlaintext).context("a SASL listener")?;
        powerful(&place, &cluster.bootstrap())?;
        let as_admin = |args: &[&'static str]| [args, &["--cluster", "admin.yaml"][..]].concat();
        let as_bob = ["up", "--json", "--records", "300", "--bootstrap", &address];

        let topics = place.run(&as_admin(&["apply", "--yes"])).await?;
        ensure!(topics.code == Some(0), "{topics:?}");
        let before = place.run(&as_bob).await?;
        before
            .failed_with(&["not allowed to create on topic", "grant the right"])
            .context("without rules nothing is allowed, and what is missing is named")?;

        let simulated = place.run(&as_admin(&["acl", "simulate", "--json"])).await?;
        let value: Value = serde_json::from_str(&simulated.stdout)?;
        let all = value["answers"].as_array().context("answers")?;
        ensure!(
            simulated.code == Some(1) && all.iter().all(|answer| answer["now"] == Value::Array(vec![])),
            "{value}"
        );

        let applied = place.run(&as_admin(&["apply", "--yes", "--json", "--with", "access"])).await?;
        ensure!(applied.code == Some(0), "{applied:?}");
        let run = applied.event("receipt")?["receipt"]["run"].as_u64().context("a run")?.to_string();
        // Rules reach each broker with the metadata log; apply has seen them on one.
        eventually(SHOWS, "bob to be let in", || async { place.run(&as_bob).await?.held() }).await?;
        let again = place.run(&as_admin(&["apply", "--dry-run", "--with", "access"])).await?;
        ensure!(again.code == Some(0), "nothing is left to do: {again:?}");
        let settled = place.run(&as_admin(&["acl", "simulate"])).await?;
        ensure!(settled.code == Some(0) && settled.stdout.contains("WRITE"), "{settled:?}");

        let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
        ensure!(
            admin.quotas(POWERLESS_USER).await?.context("quotas")?.get("producer_byte_rate")
                == Some(&50_000_000.0)
        );
        let undo = ["apply", "--yes", "--undo", run.as_str(), "--cluster", "admin.yaml"];
        let undone = place.run(&undo).await?;
        ensure!(undone.code == Some(0), "{undone:?}");
        ensure!(
            admin.acls().await? == Some(Vec::new())
                && admin.quotas(POWERLESS_USER).await? == Some(BTreeMap::new())
        );
        let twice = place.run(&undo).await?;
        ensure!(twice.code == Some(0) && twice.stdout.contains("nothing is left to take back"), "{twice:?}");
        admin.alter_quota(POWERLESS_USER, "producer_byte_rate", Some(1e6)).await?;
        eventually(SHOWS, "another quota", || async {
            Ok::<_, anyhow::Error>(admin.quotas(POWERLESS_USER).await? != Some(BTreeMap::new()))
        })
        .await?;
        let changed = place.run(&undo).await?;
        changed.failed_with(&["producer_byte_rate", "1000000", "50000000", "changed since"])
    }

    /// A user that nobody knew, with a password that only a command tells.
    async fn a_user_is_made_let_in_and_taken_back(cluster: &Cluster) -> Result<()> {
        let connect = format!("username: {POWERLESS_USER}, password_file: password");
        let command = "password_command: [cat, secret]";
        let spec = spec().replace(&connect, &format!("username: carol, {command}")).replace(
            &format!("principal: User:{POWERLESS_USER}"),
            &format!("principal: User:carol\nuser: {{ {command} }}"),
        );
        let place = Place::with_spec(&spec)?;
        let kafka = cluster.kafka().context("real")?;
        let address = kafka.bootstrap_of(Listener::SaslPlaintext).context("a SASL listener")?;
        powerful(&place, &cluster.bootstrap())?;
        let apply = ["apply", "--yes", "--json", "--cluster", "admin.yaml", "--with"];
        let with = |layers: &'static str| [&apply[..], &[layers]].concat();
        let as_carol = ["up", "--json", "--records", "300", "--bootstrap", &address];

        let unread = place.run(&with("access")).await?;
        unread.failed_with(&["carol was not made", "cat secret"])?;
        std::fs::write(place.file("secret"), "open sesame\n")?;
        let made = place.run(&with("access")).await?;
        ensure!(made.code == Some(0) && !made.stdout.contains("sesame"), "{made:?}");
        let run = made.event("receipt")?["receipt"]["run"].as_u64().context("a run")?.to_string();
        eventually(SHOWS, "carol to be let in", || async { place.run(&as_carol).await?.held() }).await?;
        let again = place.run(&["apply", "--dry-run", "--with", "access", "--cluster", "admin.yaml"]).await?;
        ensure!(again.code == Some(0), "nothing is left to do: {again:?}");

        std::fs::write(place.file("secret"), "another\n")?;
        let stale = place.run(&["doctor", "--bootstrap", &address]).await?;
        ensure!(stale.code == Some(2), "the brokers know the former password: {stale:?}");
        let set = place.run(&with("passwords")).await?;
        ensure!(set.code == Some(0), "{set:?}");
        eventually(SHOWS, "the new password to hold", || async { place.run(&as_carol).await?.held() })
            .await?;
        let journal = place.run(&["journal", &run, "--json", "--cluster", "admin.yaml"]).await?;
        ensure!(!journal.stdout.contains("sesame") && journal.stdout.contains("secret"), "{journal:?}");

        let undo = ["apply", "--yes", "--undo", run.as_str(), "--allow-data-loss", "--cluster", "admin.yaml"];
        let undone = place.run(&undo).await?;
        ensure!(undone.code == Some(0) && undone.stdout.contains("remove user carol"), "{undone:?}");
        let out = place.run(&["doctor", "--bootstrap", &address]).await?;
        ensure!(out.code == Some(2), "carol is unknown again: {out:?}");
        Ok(())
    }

    async fn broker_settings_change_while_they_run_and_the_rest_is_said(cluster: &Cluster) -> Result<()> {
        let place = Place::new()?;
        let bootstrap = cluster.bootstrap();
        let apply = |args: &[&'static str]| -> Vec<String> {
            let common = ["apply", "--profile", "dev", "--with", "brokers", "--bootstrap", &bootstrap];
            common.iter().chain(args).map(|word| (*word).to_owned()).collect()
        };
        let run = async |args: &[&'static str]| {
            let args = apply(args);
            place.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
        };
        let applied = run(&["--yes", "--json"]).await?;
        ensure!(applied.code == Some(0), "{applied:?}");
        let receipt = applied.event("receipt")?;
        let said = receipt["receipt"]["remarks"].to_string();
        ensure!(said.contains("num.partitions=1 on broker 1") && said.contains("restart"), "{receipt}");
        let changed = receipt["receipt"]["done"].to_string();
        ensure!(changed.contains("set num.replica.fetchers of all brokers from 1 to 2"), "{receipt}");
        let fetchers = async || {
            let facts = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?.facts(&[]).await?;
            anyhow::Ok(facts.brokers[0].configs["num.replica.fetchers"].value.clone().unwrap_or_default())
        };
        ensure!(fetchers().await? == "2");
        let again = run(&["--dry-run"]).await?;
        ensure!(again.code == Some(0), "nothing is left to do: {again:?}");
        let id = receipt["receipt"]["run"].as_u64().context("a run")?.to_string();
        let undone = place
            .run(&["apply", "--yes", "--allow-data-loss", "--undo", &id, "--bootstrap", &bootstrap])
            .await?;
        ensure!(undone.code == Some(0), "{undone:?}");
        let now = fetchers().await?;
        ensure!(now == "1", "{now}");
        Ok(())
    }

    /// Each client connects over TLS as its exported file says, with the password from each kind of place.
    async fn exported_clients_say_who_they_are(cluster: &Cluster) -> Result<()> {
        let kafka = cluster.kafka().context("real")?;
        let ca = kafka.state().certificates.as_ref().context("certificates")?.ca.display().to_string();
        let address = kafka.bootstrap_of(Listener::SaslSsl).context("a SASL_SSL listener")?;
        let (clients, programs) = (Clients::ensure(&root())?, Programs::compile(&root())?);
        let python = |client: &str| {
            let mut command = clients.python("round_trip.py");
            command.arg(client);
            command
        };
        let (env, file) = ("password_env: KAFKA_PASSWORD", "password_file: secrets/password");
        let all = [
            ("java", env, programs.java("RoundTrip")),
            ("java", file, programs.java("RoundTrip")),
            ("librdkafka", env, python("librdkafka")),
            ("kafka-python", "password_command: [cat, secrets/password]", python("kafka-python")),
            ("kafkajs", file, clients.node("round_trip.js")),
        ];
        for (format, secret, mut client) in all {
            let place = Place::with_spec(&format!(
                "klamm: 1\nservice: orders\nprofile: dev\ncluster:\n  bootstrap: ['{address}']\n  security:\n    \
                 tls: {{ ca: '{ca}' }}\n    sasl: {{ mechanism: SCRAM-SHA-512, username: {USER}, {secret} }}\n\
                 topics:\n  TOPIC:\n    key: id\n    write: {{ rate: 100 KB/s }}\n\
                 consumers:\n  GROUP:\n    reads: [TOPIC]\n"
            ))?;
            std::fs::create_dir(place.file("secrets"))?;
            std::fs::write(place.file("secrets/password"), PASSWORD)?;
            powerful(&place, &cluster.bootstrap())?;
            let applied = place.run(&["apply", "--yes", "--cluster", "admin.yaml"]).await?;
            ensure!(applied.code == Some(0), "{applied:?}");
            let exported = place.run(&["export", "--format", format, "--out", "out"]).await?;
            ensure!(exported.code == Some(0), "{exported:?}");
            let folder = place.file("out").display().to_string();
            client.current_dir(place.path()).env("KAFKA_PASSWORD", PASSWORD);
            client.args([folder.as_str(), &place.topic, &place.group, &address, "20"]);
            let answer = tokio::task::spawn_blocking(move || json_answer(&mut client)).await?;
            let answer = answer.with_context(|| format!("{format}, {secret}"))?;
            ensure!(answer["read"] == 20, "{format}, {secret}: {answer}");
        }
        Ok(())
    }

    #[test]
    fn access_and_brokers_are_brought_to_the_plan_and_taken_back() -> Result<()> {
        let options = KafkaOptions { listeners: Listeners::Secured, ..KafkaOptions::default() };
        run_on_real_with(options, async |cluster: Cluster| {
            the_rules_of_the_plan_are_enough_and_no_more(&cluster).await?;
            a_user_is_made_let_in_and_taken_back(&cluster).await?;
            exported_clients_say_who_they_are(&cluster).await?;
            broker_settings_change_while_they_run_and_the_rest_is_said(&cluster).await
        })
    }

    #[test]
    fn the_plan_of_an_imported_spec_changes_nothing() -> Result<()> {
        run(Tier::Real, async |cluster| {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let run = ["up", "--json", "--records", "200", "--bootstrap", &bootstrap];
            place.run(&run).await?.held()?;
            let import =
                ["import", "--bootstrap", &bootstrap, "--topics", &place.topic, "--out", "found.yaml"];
            let imported = place.run(&import).await?;
            ensure!(imported.code == Some(0), "{imported:?}");
            let text = std::fs::read_to_string(place.file("found.yaml"))?;
            ensure!(
                text.contains(&place.topic) && text.contains(&place.group) && text.contains("guess"),
                "{text}"
            );
            let same = place.run(&["apply", "found.yaml", "--dry-run", "--bootstrap", &bootstrap]).await?;
            ensure!(same.code == Some(0) && same.stdout.contains("nothing to change"), "{same:?}");
            let twice = place.run(&import).await?;
            twice.failed_with(&["exists already", "--force"])?;
            ensure!(Path::new(&place.file("found.yaml")).exists());
            Ok(())
        })
    }
}
