//! Applying plans to real Kafka. The cluster is the one that `KLAMM_TEST_CLUSTER` names, or one of this test's own.

mod on_real_kafka {
    use std::path::Path;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions};
    use klamm_apply::{ApplyErrorKind, ApplyOptions, Existing, Mode, apply};
    use klamm_plan::spec::{SpecSet, parse};
    use klamm_plan::{Plan, PlanOptions, plan};
    use klamm_testkit::{Kafka, KafkaOptions, eventually};

    const ADJUST: ApplyOptions = ApplyOptions { existing: Existing::Adjust, mode: Mode::Apply };
    const REFUSE: ApplyOptions = ApplyOptions { existing: Existing::Refuse, mode: Mode::Apply };

    fn cluster() -> Result<Kafka> {
        match std::env::var_os("KLAMM_TEST_CLUSTER").filter(|dir| !dir.is_empty()) {
            Some(dir) => Kafka::open(Path::new(&dir)),
            None => {
                Kafka::start(KafkaOptions { name: "apply".into(), brokers: 3, ..KafkaOptions::default() })
            }
        }
    }

    async fn planned(admin: &Admin, topic: &str, retain: &str) -> Result<Plan> {
        let text = format!(
            "klamm: 1\nservice: {topic}\ntopics:\n  {topic}:\n    consistency: strong\n    \
             survive: {{ brokers: 1 }}\n    order: per_key\n    key: id\n    \
             write: {{ rate: 1 MB/s, record: 1 KB, peak: 2x }}\n    retain: {retain}\n"
        );
        let spec = parse("klamm.yaml", &text).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
        let facts = admin.facts(&[topic.to_owned()]).await?;
        let options = PlanOptions { facts: Some(&facts), ..PlanOptions::default() };
        plan(&SpecSet::from(spec), &options).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))
    }

    fn name(prefix: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!("{prefix}-{:x}", now.as_nanos())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_apply_changes_nothing_and_a_changed_spec_is_brought_over() -> Result<()> {
        let kafka = tokio::task::spawn_blocking(cluster).await??;
        let admin = Admin::connect(&ClientOptions::new([kafka.bootstrap()])).await?;
        let topic = name("orders");

        let first = apply(&admin, &planned(&admin, &topic, "7d").await?, &ADJUST).await?;
        ensure!(first.done.len() == 1, "{first:?}");
        let facts = admin.facts(std::slice::from_ref(&topic)).await?;
        let live = facts.topics.get(&topic).context("the topic exists")?;
        ensure!(live.partitions.iter().all(|p| p.replicas.len() == 3 && p.isr.len() == 3), "{live:?}");

        let plan = planned(&admin, &topic, "7d").await?;
        let second = apply(&admin, &plan, &ADJUST).await?;
        ensure!(second.done.is_empty() && second.unchanged == [topic.clone()], "{second:?}");

        let changed = planned(&admin, &topic, "3d").await?;
        let refused =
            apply(&admin, &changed, &REFUSE).await.err().context("existing topics are left alone")?;
        ensure!(matches!(refused.kind(), ApplyErrorKind::Differs { .. }), "{refused}");
        let adjusted = apply(&admin, &changed, &ADJUST).await?;
        ensure!(!adjusted.done.is_empty(), "{adjusted:?}");
        ensure!(apply(&admin, &changed, &REFUSE).await?.done.is_empty());
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lowered_floor_is_refused_by_name_and_mended_by_an_adjusting_apply() -> Result<()> {
        let kafka = tokio::task::spawn_blocking(cluster).await??;
        let admin = Admin::connect(&ClientOptions::new([kafka.bootstrap()])).await?;
        let topic = name("floor");
        let plan = planned(&admin, &topic, "7d").await?;
        apply(&admin, &plan, &ADJUST).await?;
        let lowered = [("min.insync.replicas".to_owned(), Some("1".to_owned()))];
        admin.alter_configs(&topic, &lowered).await?;
        // Each broker learns of it in its own time, and any of them may be asked.
        eventually(Duration::from_secs(20), "the refusal of a lowered floor", async || {
            apply(&admin, &plan, &REFUSE).await.is_err()
        })
        .await?;
        let refused = apply(&admin, &plan, &REFUSE).await.err().context("a lowered floor is refused")?;
        match refused.kind() {
            ApplyErrorKind::Weak { breaches } => {
                ensure!(
                    breaches.iter().any(|(_, breach)| breach.setting == "min.insync.replicas"),
                    "{breaches:?}"
                );
            }
            other => anyhow::bail!("{other:?}"),
        }
        apply(&admin, &plan, &ADJUST).await?;
        eventually(Duration::from_secs(20), "a plan without a difference", async || {
            apply(&admin, &plan, &REFUSE).await.map(|receipt| receipt.done.is_empty()).unwrap_or(false)
        })
        .await?;
        Ok(())
    }
}
