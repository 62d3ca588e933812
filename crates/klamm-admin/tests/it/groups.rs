//! Groups of every protocol.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Result, ensure};
    use klamm_admin::GroupProtocol;
    use klamm_testkit::{Tier, eventually, run, unique};

    use crate::it::scenarios::admin;

    #[test]
    fn every_protocol_is_asked_in_a_form_that_brokers_take() -> Result<()> {
        run(Tier::Real, async |cluster| {
            let admin = admin(&cluster).await?;
            let name = unique("nobody");
            let names = [name.clone()];
            // Makes the topic of the coordinators, too, where this is the first to need it.
            ensure!(admin.describe_group(&name).await?.state == "Dead");
            for protocol in [
                GroupProtocol::Classic,
                GroupProtocol::Consumer,
                GroupProtocol::Share,
                GroupProtocol::Streams,
            ] {
                eventually(Duration::from_secs(30), "its coordinator says that there is none", async || {
                    let (mut dead, mut told) = (0, Vec::new());
                    for broker in admin.brokers() {
                        let described = admin.describe_groups(broker, protocol, &names).await?;
                        dead += described.values().flatten().filter(|told| told.state == "Dead").count();
                        told.push(format!("{described:?}"));
                    }
                    // Elsewhere it is NOT_COORDINATOR; the classic request may be answered by any.
                    ensure!(dead >= 1, "{protocol:?}: {told:?}");
                    anyhow::Ok(())
                })
                .await?;
            }
            let all = admin.brokers().into_iter().map(|broker| (broker, vec![name.clone()])).collect();
            let offsets = admin.offsets_of_share_groups(&all).await;
            ensure!(offsets.contains_key(&name), "{offsets:?}");
            Ok(())
        })
    }
}
