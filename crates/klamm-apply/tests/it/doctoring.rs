//! `doctor` on a cluster that is well, on one that is not there, and without rights.

use anyhow::{Context, Result, ensure};
use klamm_admin::ClientOptions;
use klamm_apply::{DoctorReport, Outcome, apply, doctor};

use crate::applying::{REFUSE, admin, planned};
use crate::{Cluster, unique};

fn outcome(report: &DoctorReport, name: &str) -> Result<Outcome> {
    Ok(report.check(name).with_context(|| format!("no check {name:?} in {report:#?}"))?.outcome)
}

pub async fn a_healthy_cluster_has_nothing_to_mend(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("fit");
    let plan = planned(&admin, &topic).await?;
    // Each broker of a larger cluster is an address of its own.
    let bootstrap = cluster.bootstrap();
    let options = ClientOptions::new(bootstrap.split(','));

    let before = doctor(&options, Some(&plan)).await;
    ensure!(before.worst() != Outcome::Fail, "{before:#?}");
    let there = before.check(&format!("topic {topic}")).context("the topic is looked at")?;
    ensure!(there.outcome == Outcome::Ok && there.detail.contains("may be created"), "{there:?}");
    ensure!(!admin.list_topics().await?.contains(&topic), "looking creates nothing");

    apply(&admin, &plan, &REFUSE).await?;
    let after = doctor(&options, Some(&plan)).await;
    ensure!(after.worst() <= Outcome::NotEvaluated, "{after:#?}");
    for name in
        [format!("topic {topic}"), format!("group {topic}-view"), "cluster".to_owned(), "security".to_owned()]
    {
        ensure!(outcome(&after, &name)? == Outcome::Ok, "{after:#?}");
    }
    ensure!(outcome(&after, &format!("rights on topic {topic}"))? <= Outcome::NotEvaluated);
    ensure!(outcome(&after, "clock")? == Outcome::NotEvaluated, "what is not evaluated says so");
    ensure!(after.cluster_id.as_deref() == Some(admin.cluster_id().as_str()));
    Ok(())
}

pub async fn each_address_is_tried_by_itself(cluster: Cluster) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    let good = bootstrap.split(',').next().unwrap_or(&bootstrap);
    let report = doctor(&ClientOptions::new(["127.0.0.1:1", good]), None).await;
    ensure!(outcome(&report, "bootstrap 127.0.0.1:1")? == Outcome::Fail);
    ensure!(outcome(&report, &format!("bootstrap {good}"))? == Outcome::Ok);
    ensure!(outcome(&report, "cluster")? == Outcome::Ok, "the other address is enough");
    Ok(())
}

pub async fn nobody_there_is_said_once_and_the_rest_is_not_evaluated() -> Result<()> {
    let report = doctor(&ClientOptions::new(["127.0.0.1:1"]), None).await;
    let address = report.check("bootstrap 127.0.0.1:1").context("tried")?;
    ensure!(address.outcome == Outcome::Fail && address.detail == "connection refused", "{address:?}");
    ensure!(address.hint.is_some());
    ensure!(report.checks.iter().filter(|check| check.outcome == Outcome::Fail).count() == 1, "{report:#?}");
    ensure!(report.cluster_id.is_none());
    Ok(())
}

mod on_real_kafka {
    use klamm_admin::{Admin, Mechanism, Sasl, Security};
    use xtask::kafka::state::Listener;
    use xtask::kafka::{Kafka, KafkaOptions, Listeners};

    use super::*;

    #[test]
    fn missing_rights_are_named_one_by_one() -> Result<()> {
        let name = "doctor-rights".to_owned();
        let kafka =
            Kafka::start(KafkaOptions { name, listeners: Listeners::Secured, ..KafkaOptions::default() })?;
        let address = kafka.bootstrap_of(Listener::SaslPlaintext).context("a listener")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(powerful_and_powerless(&address))
    }

    async fn powerful_and_powerless(address: &str) -> Result<()> {
        let user = |name: &str| {
            let (username, password) = (name.to_owned(), format!("{name}-secret"));
            let sasl = Some(Sasl { mechanism: Mechanism::ScramSha256, username, password });
            ClientOptions { security: Security { tls: None, sasl }, ..ClientOptions::new([address]) }
        };
        let (alice, bob) = (user("alice"), user("bob"));
        let admin = Admin::connect(&alice).await?;
        let topic = unique("guarded");
        let plan = planned(&admin, &topic).await?;
        apply(&admin, &plan, &REFUSE).await?;

        let report = doctor(&alice, Some(&plan)).await;
        ensure!(report.worst() <= Outcome::NotEvaluated, "{report:#?}");
        ensure!(outcome(&report, &format!("rights on topic {topic}"))? == Outcome::Ok);

        let report = doctor(&bob, Some(&plan)).await;
        ensure!(
            outcome(&report, &format!("bootstrap {address}"))? == Outcome::Ok,
            "bob may connect: {report:#?}"
        );
        ensure!(outcome(&report, "broker configuration")? == Outcome::Warn);
        for name in [format!("topic {topic}"), format!("group {topic}-view")] {
            let check = report.check(&name).with_context(|| format!("no check {name:?} in {report:#?}"))?;
            ensure!(check.outcome == Outcome::Fail && check.hint.is_some(), "{check:?}");
        }
        Ok(())
    }
}
