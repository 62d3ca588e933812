//! How often a broker is asked.

mod on_embedded {
    use std::time::{Duration, Instant};

    use anyhow::{Result, ensure};
    use futures_util::future::try_join_all;
    use klamm_admin::{Admin, ClientOptions};
    use klamm_testkit::{Tier, run};

    #[test]
    fn no_second_has_more_requests_than_were_allowed_however_many_handles_ask() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let paced =
                ClientOptions { requests_per_second: Some(5), ..ClientOptions::new([cluster.bootstrap()]) };
            let started = Instant::now();
            let admin = Admin::connect(&paced).await?;
            let other = admin.clone();
            try_join_all((0..10).map(|index| {
                let admin = if index % 2 == 0 { &admin } else { &other };
                admin.list_topics()
            }))
            .await?;
            // The connection's ApiVersions, the first metadata, and ten more: two full seconds lie between 12 and the first 2.
            let sent: u64 = admin.requests_sent().values().sum();
            ensure!(sent == 12, "{:?}", admin.requests_sent());
            ensure!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
            Ok(())
        })
    }

    #[test]
    fn requests_are_counted_for_the_broker_that_took_them() -> Result<()> {
        run(Tier::Embedded, async |cluster| {
            let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
            let before = admin.requests_sent().get(&1).copied().unwrap_or(0);
            admin.list_topics().await?;
            admin.list_topics().await?;
            ensure!(admin.requests_sent().get(&1) == Some(&(before + 2)), "{:?}", admin.requests_sent());
            Ok(())
        })
    }
}
