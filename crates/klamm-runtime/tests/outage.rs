//! Brokers that die, freeze and come back under a producer and a consumer at work.

mod on_real_kafka {
    use std::time::{Duration, Instant};

    use klamm_admin::{Admin, AdminErrorKind, ClientOptions, Mode, NewTopic};
    use klamm_client::{Effect, ProduceErrorKind, Record};
    use klamm_contract::TopicContract;
    use klamm_contract::facts::PartitionFacts;
    use klamm_runtime::{ConnectErrorKind, DurableProducer, SendError, SendErrorKind};
    use klamm_testkit::anyhow::{Context, Result, bail, ensure};
    use klamm_testkit::{Cluster, Controller, eventually, run_on_real, unique};
    use klamm_track::RecordId;
    use klamm_wire::WireErrorKind;

    use crate::setup::{self, Judge, RUN, assert_held};
    use crate::traffic::Traffic;

    /// How long a test waits for a cluster to notice and to recover: seconds, but many on a busy machine.
    const RECOVERY: Duration = Duration::from_secs(120);

    /// Every send has its outcome by then.
    const DELIVERY_TIMEOUT: Duration = Duration::from_secs(8);

    /// What a bounded wait may take beyond its bound on a busy machine.
    const SLACK: Duration = Duration::from_secs(10);

    /// Keys that no traffic uses: the records that a test sends itself.
    const OWN_KEY: u64 = 1_000_000;

    #[test]
    fn too_few_replicas_are_told_to_the_sender_and_nothing_acknowledged_is_lost() -> Result<()> {
        run_on_real(3, Controller::Apart, too_few_replicas)
    }

    #[test]
    fn without_a_quorum_sends_and_admin_calls_end_in_time_and_say_why() -> Result<()> {
        run_on_real(3, Controller::Combined, no_quorum)
    }

    #[test]
    fn leaders_that_die_and_freeze_lose_duplicate_and_reorder_nothing() -> Result<()> {
        run_on_real(3, Controller::Apart, leaders_die_and_freeze)
    }

    async fn too_few_replicas(cluster: Cluster) -> Result<()> {
        let stage = Stage::set(&cluster, 1).await?;
        let judge = Judge::new();
        let spare = stage.producer(DELIVERY_TIMEOUT).await?;
        let traffic = Traffic::start(stage.producer(DELIVERY_TIMEOUT).await?, &judge);
        traffic.is_acknowledged(500, RECOVERY).await?;

        for node in [2, 3] {
            cluster.kill(node).await?;
        }
        stage
            .wait_for("one replica in sync, which leads", |partition| {
                partition.isr == [1] && partition.leader == Some(1)
            })
            .await?;

        let started = Instant::now();
        let error = stage.send(&spare, &judge, 0).await?.err().context("acknowledged by one of three")?;
        ensure!(started.elapsed() < DELIVERY_TIMEOUT + SLACK, "{:?}", started.elapsed());
        let kind = produce_kind(&error)?;
        ensure!(matches!(kind, ProduceErrorKind::NotEnoughReplicas { in_doubt: false, .. }), "{error}");
        ensure!(error.effect() == Effect::None && error.is_retryable(), "{error}");
        let text = error.to_string();
        ensure!(text.contains("NOT_ENOUGH_REPLICAS") && text.contains(&stage.topic), "{text}");
        // A service that starts in this state is told before it sends.
        let refused = stage.producer(DELIVERY_TIMEOUT).await.err().context("one replica was enough")?;
        ensure!(matches!(refused.kind(), ConnectErrorKind::Weak { .. }), "{refused}");

        for node in [2, 3] {
            cluster.start(node).await?;
        }
        stage.wait_for("all replicas in sync", |partition| partition.isr.len() == 3).await?;
        traffic.is_acknowledged(traffic.acknowledged() + 500, RECOVERY).await?;
        let refused_for_certain = traffic.stop().await?;
        let verdict = judge.verdict(&cluster, &stage.topic).await?;
        let kept = (verdict.lost, verdict.duplicated, verdict.reordered_stored, verdict.wrong_receipts);
        ensure!(kept == (0, 0, 0, 0), "{verdict}\n{:#?}", verdict.examples);
        // What was said to have no effect has none; what was acknowledged or is in doubt may be there.
        let possible = verdict.sent - refused_for_certain - 1;
        ensure!(
            (verdict.acknowledged..=possible).contains(&verdict.stored),
            "{verdict}, {possible} possible"
        );
        Ok(())
    }

    async fn no_quorum(cluster: Cluster) -> Result<()> {
        let stage = Stage::set(&cluster, 3).await?;
        let judge = Judge::new();
        let producer = stage.producer(DELIVERY_TIMEOUT).await?;
        for seq in 0..10 {
            stage.send(&producer, &judge, seq).await?.context("all brokers are up")?;
        }
        for node in [2, 3] {
            cluster.kill(node).await?;
        }
        // Whoever led before goes on leading: nobody can elect another, and nobody can shrink an ISR.
        let mut possible = 11;
        for seq in 10..13 {
            let started = Instant::now();
            let error =
                stage.send(&producer, &judge, seq).await?.err().context("acknowledged by one of three")?;
            ensure!(started.elapsed() < DELIVERY_TIMEOUT + SLACK, "{:?}", started.elapsed());
            let kind = produce_kind(&error)?;
            ensure!(matches!(kind, ProduceErrorKind::TimedOut { last_answer: Some(_), .. }), "{error}");
            ensure!(error.is_retryable(), "{error}");
            // None if its leader is one of the dead: then nothing of it has left.
            possible += u64::from(error.effect() == Effect::Unknown);
        }
        let api_timeout = Duration::from_secs(8);
        let admin = Admin::connect(&ClientOptions { api_timeout, ..stage.options.clone() }).await?;
        let started = Instant::now();
        let error = admin.create_topics(&[new_topic(&unique("late"), 1)], Mode::Execute).await;
        let error = error.err().context("created without a controller")?;
        ensure!(started.elapsed() < api_timeout + SLACK, "{:?}", started.elapsed());
        let explained = match error.kind() {
            AdminErrorKind::Timeout { last, .. } => last.is_some(),
            AdminErrorKind::Wire(error) => matches!(error.kind(), WireErrorKind::Timeout { .. }),
            AdminErrorKind::Kafka { .. } => error.is_retryable(),
            // The metadata still names a dead broker as the one to ask: it is told which.
            AdminErrorKind::ListenerUnreachable { broker, .. } => [2, 3].contains(broker),
            _ => false,
        };
        ensure!(explained, "{error:?}");

        for node in [2, 3] {
            cluster.start(node).await?;
        }
        stage.wait_for("all replicas in sync", |partition| partition.isr.len() == 3).await?;
        let after = stage.producer(RECOVERY).await?;
        stage.send(&after, &judge, 13).await?.context("all brokers are back")?;
        let verdict = judge.verdict(&cluster, &stage.topic).await?;
        ensure!((verdict.lost, verdict.duplicated) == (0, 0), "{verdict}\n{:#?}", verdict.examples);
        ensure!(verdict.stored <= possible, "{verdict}, {possible} possible");
        Ok(())
    }

    async fn leaders_die_and_freeze(cluster: Cluster) -> Result<()> {
        let stage = Stage::set(&cluster, 3).await?;
        let judge = Judge::new();
        let consumer = setup::start(&cluster, &stage.topic, judge.handler(|_| async { Ok(()) })).await?;
        let traffic = Traffic::start(stage.producer(RECOVERY).await?, &judge);
        traffic.is_acknowledged(500, RECOVERY).await?;

        cluster.kill(1).await?;
        stage.wait_for("other leaders than the dead one", |partition| partition.isr.len() == 2).await?;
        traffic.is_acknowledged(traffic.acknowledged() + 500, RECOVERY).await?;
        cluster.start(1).await?;
        stage.wait_for("all replicas in sync", |partition| partition.isr.len() == 3).await?;

        // Longer than its session: it comes back as a leader that has been replaced.
        cluster.pause(2).await?;
        stage.wait_for("other leaders than the frozen one", |partition| !partition.isr.contains(&2)).await?;
        traffic.is_acknowledged(traffic.acknowledged() + 500, RECOVERY).await?;
        cluster.resume(2).await?;
        stage.wait_for("all replicas in sync", |partition| partition.isr.len() == 3).await?;

        traffic.is_acknowledged(traffic.acknowledged() + 500, RECOVERY).await?;
        let acknowledged = traffic.acknowledged();
        traffic.stop().await?;
        eventually(RECOVERY, "all of it processed", async || {
            let unprocessed = judge.with(|checker| checker.verdict().unprocessed);
            (unprocessed == 0).then_some(()).ok_or_else(|| format!("{unprocessed} are not"))
        })
        .await?;
        let report = consumer.stop(RECOVERY).await;
        ensure!(report.is_clean(), "{report:?}");
        let verdict = judge.verdict(&cluster, &stage.topic).await?;
        assert_held(&verdict);
        ensure!(verdict.failed == 0 && verdict.acknowledged >= acknowledged, "{verdict}");
        Ok(())
    }

    /// A topic of three replicas, two of which must have a record, and how to reach it.
    struct Stage {
        options: ClientOptions,
        admin: Admin,
        topic: String,
        /// How many partitions it has.
        count: u64,
    }

    impl Stage {
        async fn set(cluster: &Cluster, partitions: i32) -> Result<Stage> {
            // A frozen broker must not cost half a minute each time.
            let options = ClientOptions {
                connect_timeout: Duration::from_secs(2),
                request_timeout: Duration::from_secs(4),
                ..setup::options(cluster)
            };
            let (admin, topic) = (Admin::connect(&options).await?, unique("outage"));
            admin.create_topics(&[new_topic(&topic, partitions)], Mode::Execute).await?;
            admin.wait_until_ready(std::slice::from_ref(&topic), RECOVERY).await?;
            Ok(Stage { options, admin, topic, count: u64::try_from(partitions)? })
        }

        async fn producer(&self, delivery: Duration) -> Result<DurableProducer, klamm_runtime::ConnectError> {
            let mut contract = TopicContract::strong(&self.topic);
            contract.layer_producer.delivery_timeout_ms = delivery.as_millis() as u64;
            contract.layer_producer.request_timeout_ms = 4_000;
            DurableProducer::connect(&self.options, contract).await
        }

        /// Sends one record that `judge` follows.
        async fn send(
            &self,
            producer: &DurableProducer,
            judge: &Judge,
            seq: u64,
        ) -> Result<Result<(), SendError>> {
            // A key of its own for each: that one is missing says nothing about another's order.
            let id = RecordId { run: RUN, key: OWN_KEY + seq, seq: 0 };
            judge.with(|checker| checker.sent(id));
            let partition = i32::try_from(seq % self.count)?;
            let value = id.to_bytes();
            let pending = producer.send(Record::new(&self.topic).partition(partition).value(&value)).await?;
            Ok(judge.outcome(id, pending.await))
        }

        async fn partitions(&self) -> Result<Vec<PartitionFacts>> {
            let mut facts = self.admin.facts(std::slice::from_ref(&self.topic)).await?;
            Ok(facts.topics.remove(&self.topic).context("the topic is gone")?.partitions)
        }

        /// Waits until every partition is as said.
        async fn wait_for(&self, what: &str, is_so: impl Fn(&PartitionFacts) -> bool) -> Result<()> {
            eventually(RECOVERY, what, async || match self.partitions().await {
                Ok(partitions) if partitions.iter().all(&is_so) => Ok(()),
                Ok(partitions) => Err(format!("{partitions:?}")),
                Err(error) => Err(error.to_string()),
            })
            .await
        }
    }

    fn new_topic(name: &str, partitions: i32) -> NewTopic {
        let configs = vec![("min.insync.replicas".to_owned(), "2".to_owned())];
        NewTopic { name: name.to_owned(), partitions, replication_factor: 3, configs }
    }

    fn produce_kind(error: &SendError) -> Result<&ProduceErrorKind> {
        match error.kind() {
            SendErrorKind::Produce(error) => Ok(error.kind()),
            _ => bail!("{error}"),
        }
    }
}
