//! Every kind of failure that another try mends, and those that it must not try.

mod on_embedded {
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, AdminErrorKind, ClientOptions, Effect, Mode, NewTopic, OffsetSpec};
    use klamm_broker::{Api, Fault};
    use klamm_kafka::ErrorCode;
    use klamm_testkit::{Cluster, Tier, run, unique};
    use klamm_wire::batch::{BatchBuilder, Compression};

    use crate::it::scenarios::admin;

    fn inject(cluster: &Cluster, api: Api, times: usize, fault: Fault) -> Result<()> {
        cluster.broker().context("embedded")?.faults().inject(api, times, fault);
        Ok(())
    }

    fn topic(name: &str) -> NewTopic {
        NewTopic { name: name.to_owned(), partitions: 1, replication_factor: 1, configs: vec![] }
    }

    #[test]
    fn what_moves_is_looked_for_and_asked_again() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("moved");
            inject(&cluster, Api::CreateTopics, 2, Fault::Error(ErrorCode::NOT_CONTROLLER))?;
            admin.create_topics(&[topic(&name)], Mode::Execute).await?;
            inject(&cluster, Api::ListOffsets, 2, Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER))?;
            ensure!(admin.list_offsets(&name, OffsetSpec::Latest).await? == [(0, 0)]);
            inject(&cluster, Api::FindCoordinator, 1, Fault::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE))?;
            inject(&cluster, Api::OffsetFetch, 1, Fault::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS))?;
            ensure!(admin.group_offsets("g", &[]).await?.is_empty());
            Ok(())
        })
    }

    #[test]
    fn coordinators_that_do_not_answer_are_no_proof_that_nothing_hangs() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("unseen");
            admin.create_topics(&[topic(&name)], Mode::Execute).await?;
            let idle = Duration::from_secs(900);
            ensure!(admin.find_hanging_transactions(&[], idle).await?.missing.is_empty());
            for code in [ErrorCode::UNSUPPORTED_VERSION, ErrorCode::CLUSTER_AUTHORIZATION_FAILED] {
                inject(&cluster, Api::ListTransactions, 1, Fault::Error(code))?;
                let hanging = admin.find_hanging_transactions(&[], idle).await?;
                ensure!(hanging.found.is_empty() && hanging.missing.len() == 1, "{hanging:?}");
                ensure!(hanging.missing[0].contains("coordinates"), "{hanging:?}");
            }
            Ok(())
        })
    }

    #[test]
    fn lost_connections_are_opened_again_for_calls_that_may_be_repeated() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("lost");
            admin.create_topics(&[topic(&name)], Mode::Execute).await?;
            for fault in [Fault::CloseBefore, Fault::CloseAfter] {
                inject(&cluster, Api::ListOffsets, 1, fault)?;
                ensure!(admin.list_offsets(&name, OffsetSpec::Latest).await?.len() == 1);
                inject(&cluster, Api::Metadata, 1, fault)?;
                ensure!(admin.facts(std::slice::from_ref(&name)).await?.topics.contains_key(&name));
            }
            Ok(())
        })
    }

    #[test]
    fn a_creation_whose_answer_is_lost_is_not_tried_again_and_says_that_it_may_have_happened() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("unsure");
            inject(&cluster, Api::CreateTopics, 1, Fault::CloseAfter)?;
            let error =
                admin.create_topics(&[topic(&name)], Mode::Execute).await.err().context("no answer")?;
            ensure!(error.effect() == Effect::Unknown, "{error:?}");
            ensure!(admin.list_topics().await?.contains(&name), "here it has happened");
            Ok(())
        })
    }

    #[test]
    fn reading_goes_on_where_it_was_and_gives_each_record_once() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("again");
            admin.create_topics(&[topic(&name)], Mode::Execute).await?;
            for round in 0..20_u8 {
                let mut batch = BatchBuilder::new(Compression::None);
                batch.append(1, None, Some(&[round]), &[]);
                admin.append(&name, 0, batch.finish()?).await?;
            }
            inject(&cluster, Api::Fetch, 1, Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER))?;
            inject(&cluster, Api::Fetch, 1, Fault::CloseAfter)?;
            inject(&cluster, Api::Fetch, 1, Fault::CloseBefore)?;
            let mut seen = Vec::new();
            admin.read(&name, 0, 0, 20, &mut |record| seen.push(record.offset)).await?;
            ensure!(seen == (0..20).collect::<Vec<_>>(), "{seen:?}");
            Ok(())
        })
    }

    #[test]
    fn what_does_not_get_better_ends_at_the_deadline_with_the_last_reason() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let impatient = Duration::from_millis(700);
            let options =
                ClientOptions { api_timeout: impatient, ..ClientOptions::new([cluster.bootstrap()]) };
            let admin = Admin::connect(&options).await?;
            inject(&cluster, Api::FindCoordinator, 1000, Fault::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE))?;
            let error = admin.group_offsets("g", &[]).await.err().context("never available")?;
            let AdminErrorKind::Timeout { last: Some(last), .. } = error.kind() else {
                anyhow::bail!("{error:?}")
            };
            ensure!(last.contains("COORDINATOR_NOT_AVAILABLE"), "{error}");
            ensure!(
                error.to_string().starts_with("fetch the offsets of group g: not done within 700 ms"),
                "{error}"
            );
            Ok(())
        })
    }
}
