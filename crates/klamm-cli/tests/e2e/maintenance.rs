//! A broker is taken out of service: what its stop would cost, its copies moved away, another in its place.

mod on_real_kafka {
    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions, OffsetSpec};
    use klamm_testkit::{Cluster, Controller, eventually, run_on_real};
    use std::time::Duration;

    use crate::harness::{Finished, Place};

    const SHOWS: Duration = Duration::from_secs(60);

    async fn klamm(place: &Place, cluster: &Cluster, args: &[&str]) -> Result<Finished> {
        let bootstrap = cluster.bootstrap();
        place.run(&[args, &["--bootstrap", &bootstrap]].concat()).await
    }

    /// Asks until the answer is that all is well: copies that have just moved take a while to be in sync.
    async fn clean(place: &Place, cluster: &Cluster, args: &[&str]) -> Result<Finished> {
        let last = std::cell::RefCell::new(None);
        eventually(SHOWS, &args.join(" "), async || {
            let asked = klamm(place, cluster, args).await.ok();
            let well = asked.as_ref().is_some_and(|asked| asked.code == Some(0));
            last.replace(asked);
            well
        })
        .await
        .with_context(|| format!("{:?}", last.borrow()))?;
        last.into_inner().context("it was asked")
    }

    async fn stored(admin: &Admin, topic: &str) -> Result<i64> {
        Ok(admin.list_offsets(topic, OffsetSpec::Latest).await?.iter().map(|(_, offset)| offset).sum())
    }

    /// Node ids that hold a copy of any topic.
    async fn holders(admin: &Admin) -> Result<Vec<i32>> {
        let facts = admin.facts(&admin.list_topics().await?).await?;
        let partitions = facts.topics.values().flat_map(|topic| &topic.partitions);
        let mut ids: Vec<i32> = partitions.flat_map(|partition| partition.replicas.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    #[test]
    fn a_broker_is_drained_replaced_and_stopped_without_a_record_lost() -> Result<()> {
        run_on_real(4, Controller::Apart, |cluster| async move {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let run = ["up", "--json", "--bootstrap", &bootstrap, "--records", "2000"];
            place.run(&run).await?.held()?;
            let order = clean(&place, &cluster, &["broker", "restart-order"]).await?;
            ensure!(order.stdout.contains("active controller"), "{order:?}");
            let lines: Vec<&str> = order.stdout.lines().collect();
            let brokers = lines.iter().filter(|line| line.contains("broker ")).count();
            ensure!(lines[1].contains("controller") && brokers == 4, "{order:?}");
            let admin = Admin::connect(&ClientOptions::new([bootstrap])).await?;
            let before = stored(&admin, &place.topic).await?;
            let ids = holders(&admin).await?;
            ensure!(ids.len() == 4, "copies are everywhere: {ids:?}");
            let [first, second, _, last] = ids[..] else { unreachable!("there are four") };
            let (first, second, last) = (first.to_string(), second.to_string(), last.to_string());

            let dry = klamm(&place, &cluster, &["broker", "drain", &last, "--dry-run"]).await?;
            ensure!(dry.code == Some(1) && dry.stdout.contains(&place.topic), "{dry:?}");
            klamm(&place, &cluster, &["broker", "drain", &last])
                .await?
                .failed_with(&["nobody is there to be asked"])?;
            let other = Place::new()?;
            let busy =
                ["up", "--json", "--bootstrap", &cluster.bootstrap(), "--for", "120s", "--rate", "5000"];
            let mut service = other.start(&busy)?;
            service.wait_for_processed(1_000).await?;
            // Above what groups commit meanwhile, and far below what the service writes.
            let slow = ["broker", "drain", &last, "--yes", "--throttle", "20 KB/s"];
            klamm(&place, &cluster, &slow).await?.failed_with(&["would never catch up", &other.topic])?;
            service.signal(rustix::process::Signal::INT)?;
            service.finish().await?.held()?;
            let drained = klamm(&place, &cluster, &["broker", "drain", &last, "--yes"]).await?;
            ensure!(drained.code == Some(0), "{drained:?}");
            eventually(SHOWS, "the broker is empty", async || {
                holders(&admin).await.is_ok_and(|now| now == ids[..3])
            })
            .await?;
            let can = clean(&place, &cluster, &["can-stop", &last]).await?;
            ensure!(can.stdout.contains("0 copies"), "{can:?}");
            ensure!(stored(&admin, &place.topic).await? == before, "records are where they were");
            let again = klamm(&place, &cluster, &["broker", "drain", &last, "--yes"]).await?;
            ensure!(again.code == Some(0), "{again:?}");

            // The empty broker takes the place of the first, which is then stopped for good.
            let replaced = klamm(&place, &cluster, &["broker", "replace", &first, &last, "--yes"]).await?;
            ensure!(replaced.code == Some(0), "{replaced:?}");
            eventually(SHOWS, "the first broker is empty", async || {
                holders(&admin).await.is_ok_and(|now| now == ids[1..])
            })
            .await?;
            klamm(&place, &cluster, &["broker", "replace", &second, "77"])
                .await?
                .failed_with(&["broker 77"])?;
            cluster.stop(ids[0]).await?;
            // With one of three gone for good the rest still goes on; with another one down nothing may be stopped.
            clean(&place, &cluster, &["can-stop", &second]).await?;
            cluster.kill(ids[1]).await?;
            eventually(SHOWS, "the dead broker has left the in-sync sets", async || {
                let bootstrap = cluster.bootstrap();
                let asked = place.run(&["can-stop", &last, "--bootstrap", &bootstrap]).await;
                asked.is_ok_and(|asked| asked.code == Some(1) && asked.stdout.contains(&place.topic))
            })
            .await?;
            ensure!(stored(&admin, &place.topic).await? == before, "records are where they were");
            Ok(())
        })
    }
}
