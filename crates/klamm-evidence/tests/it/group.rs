//! Groups as they are seen.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::Admin;
use klamm_evidence::live::LiveOptions;
use klamm_rules::evidence::{Group, GroupKind};
use klamm_testkit::Tier;
use klamm_wire::protocol::messages::consumer_protocol_assignment::TopicPartition;
use klamm_wire::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use klamm_wire::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use klamm_wire::protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, FindCoordinatorRequest, GroupId,
    JoinGroupRequest, SyncGroupRequest, TopicName,
};
use klamm_wire::protocol::protocol::{Encodable, StrBytes};
use klamm_wire::{ConnectOptions, Connection, Security};

use super::live::{admin, create, now_ms, write};
use crate::{Cluster, eventually, unique};

async fn look(admin: &Admin, group: &str, window: Duration) -> Result<Group> {
    let live = klamm_evidence::live::collect(admin, &LiveOptions::default()).await;
    let groups = klamm_evidence::group::collect(admin, &live, window).await;
    let found = groups.value().and_then(|groups| groups.iter().find(|known| known.name == group));
    found.cloned().with_context(|| format!("the group is listed: {:?}", groups.gap()))
}

pub async fn groups_show_what_they_committed_and_what_is_left(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (topic, name) = (unique("read"), unique("group"));
    create(&admin, &topic, 2).await?;
    write(&admin, &topic, 0, 10).await?;
    write(&admin, &topic, 1, 3).await?;
    admin.commit_offsets(&name, &[(topic.clone(), 0, 4), (topic.clone(), 1, 3)]).await?;
    let before = now_ms();
    let group = look(&admin, &name, Duration::from_secs(1)).await?;
    ensure!(group.kind == GroupKind::Classic && group.members.is_empty(), "{group:?}");
    // As it begins, once between, as it ends.
    ensure!(
        group.states.len() == 3 && group.states.iter().all(|sample| sample.state == "Empty"),
        "{group:?}"
    );
    let [lagging, done] = &group.offsets[..] else { anyhow::bail!("{group:?}") };
    ensure!((lagging.committed_first, lagging.committed, lagging.end) == (4, 4, Some(10)), "{lagging:?}");
    // Between the looks at offsets, each a little after that at the groups.
    ensure!(lagging.lag() == Some(6) && lagging.lag_first() == Some(6), "{lagging:?}");
    ensure!(lagging.window_ms >= 500, "{lagging:?}");
    ensure!(done.lag() == Some(0) && done.oldest_unread_ms.is_none(), "{done:?}");
    // A week of retention, begun just now.
    let week = 7 * 24 * 3_600_000;
    let left = lagging.oldest_unread_ms.with_context(|| format!("time left: {:?}", group.missing))?;
    ensure!((week - 120_000..=week).contains(&left), "{left}");
    match cluster.tier() {
        Tier::Real => {
            ensure!(group.missing.is_empty(), "{:?}", group.missing);
            let at = lagging.committed_at_ms.context("the time of the commit")?;
            ensure!((before - 120_000..=before + 10_000).contains(&at), "{at} and {before}");
        }
        Tier::Embedded => {
            ensure!(lagging.committed_at_ms.is_none());
            ensure!(group.missing.iter().any(|line| line.starts_with("when offsets were committed: ")));
        }
    }
    admin.delete_group(&name).await?;
    admin.delete_topics(&[topic]).await?;
    Ok(())
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

pub async fn coordinator(cluster: &Cluster, admin: &Admin, group: &str) -> Result<Connection> {
    let connect = async |address: &str| {
        Connection::connect(address, &Security::default(), &ConnectOptions::default()).await
    };
    let bootstrap = cluster.bootstrap();
    let any = connect(bootstrap.split(',').next().unwrap_or_default()).await?;
    let key = StrBytes::from_string(group.to_owned());
    let answer = any.call(&FindCoordinatorRequest::default().with_coordinator_keys(vec![key])).await?;
    let node = answer.coordinators.first().filter(|told| told.error_code == 0).context("a coordinator")?;
    ensure!(admin.brokers().contains(&node.node_id.0));
    Ok(connect(&format!("{}:{}", node.host, node.port)).await?)
}

/// Joins as the only member, and takes both partitions.
async fn join(connection: &Connection, group: &str, topic: &str) -> Result<String> {
    let mut subscription = 1_i16.to_be_bytes().to_vec();
    ConsumerProtocolSubscription::default()
        .with_topics(vec![StrBytes::from_string(topic.to_owned())])
        .encode(&mut subscription, 1)?;
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(subscription.into());
    let request = |member: &str| {
        JoinGroupRequest::default()
            .with_group_id(group_id(group))
            .with_session_timeout_ms(30_000)
            .with_rebalance_timeout_ms(30_000)
            .with_member_id(StrBytes::from_string(member.to_owned()))
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol.clone()])
    };
    let first = connection.call(&request("")).await?;
    let joined = connection.call(&request(&first.member_id)).await?;
    ensure!(joined.error_code == 0, "joining: {}", joined.error_code);
    let mut assignment = 1_i16.to_be_bytes().to_vec();
    let given = TopicPartition::default()
        .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![0, 1]);
    ConsumerProtocolAssignment::default().with_assigned_partitions(vec![given]).encode(&mut assignment, 1)?;
    let given = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(assignment.into());
    let synced = SyncGroupRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
        .with_protocol_name(Some(StrBytes::from_static_str("range")))
        .with_assignments(vec![given]);
    let synced = connection.call(&synced).await?;
    ensure!(synced.error_code == 0, "synchronising: {}", synced.error_code);
    Ok(joined.member_id.to_string())
}

pub async fn members_show_what_they_were_given(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (topic, name) = (unique("given"), unique("members"));
    create(&admin, &topic, 2).await?;
    // The first coordinator on a fresh cluster is there once its topic is.
    let mut coordinating = None;
    eventually(Duration::from_secs(60), "a coordinator", async || {
        coordinating = Some(coordinator(&cluster, &admin, &name).await?);
        anyhow::Ok(())
    })
    .await?;
    let connection = coordinating.context("a coordinator")?;
    let member = join(&connection, &name, &topic).await?;
    let group = look(&admin, &name, Duration::ZERO).await?;
    ensure!(group.protocol_type == "consumer" && group.assignor == "range", "{group:?}");
    let [seen] = &group.members[..] else { anyhow::bail!("{group:?}") };
    ensure!(seen.id == member && seen.subscribed == [topic.clone()], "{seen:?}");
    let assigned = seen.assigned.as_ref().and_then(|assigned| assigned.first()).context("an assignment")?;
    ensure!(assigned.topic == topic && assigned.partitions == [0, 1], "{assigned:?}");
    let [state] = &group.states[..] else { anyhow::bail!("{group:?}") };
    ensure!(state.state == "Stable" && state.members == [member], "{state:?}");
    admin.delete_topics(&[topic]).await?;
    Ok(())
}

pub mod on_real_kafka {
    use klamm_rules::Seen;
    use klamm_testkit::{Tier, run};
    use klamm_wire::protocol::messages::{ConsumerGroupHeartbeatRequest, ShareGroupHeartbeatRequest};

    use super::*;

    fn text(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    /// One member of the consumer protocol, until its session ends.
    pub async fn join_consumer_group(connection: &Connection, group: &str, topic: &str) -> Result<()> {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(text("6Zy8s5V4QkSxk0xw5Vn6Sg"))
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![TopicName(text(topic))]))
            .with_topic_partitions(Some(Vec::new()));
        let answer = connection.call(&request).await?;
        ensure!(answer.error_code == 0, "joining: {answer:?}");
        Ok(())
    }

    /// One member of a share group, until its session ends.
    pub async fn join_share_group(connection: &Connection, group: &str, topic: &str) -> Result<()> {
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(text("6Zy8s5V4QkSxk0xw5Vn6Sg"))
            .with_subscribed_topic_names(Some(vec![TopicName(text(topic))]));
        let answer = connection.call(&request).await?;
        ensure!(answer.error_code == 0, "joining: {answer:?}");
        Ok(())
    }

    #[test]
    fn groups_of_the_brokers_protocols_show_their_configurations() -> Result<()> {
        run(Tier::Real, configurations_of_groups)
    }

    async fn configurations_of_groups(cluster: Cluster) -> Result<()> {
        let admin = admin(&cluster).await?;
        let topic = unique("configured");
        create(&admin, &topic, 1).await?;
        let (consumer, share, classic) = (unique("consumer"), unique("share"), unique("classic"));
        eventually(Duration::from_secs(60), "coordinators", async || {
            join_consumer_group(&coordinator(&cluster, &admin, &consumer).await?, &consumer, &topic).await?;
            join_share_group(&coordinator(&cluster, &admin, &share).await?, &share, &topic).await?;
            admin.commit_offsets(&classic, &[(topic.clone(), 0, 0)]).await?;
            anyhow::Ok(())
        })
        .await?;
        for (group, kind, setting) in [
            (&consumer, GroupKind::Consumer, "consumer.session.timeout.ms"),
            (&share, GroupKind::Share, "share.auto.offset.reset"),
        ] {
            let seen = look(&admin, group, Duration::ZERO).await?;
            ensure!(seen.kind == kind, "{seen:?}");
            let Seen::Full(configs) = &seen.configs else { anyhow::bail!("{:?}", seen.configs) };
            ensure!(configs.get(setting).is_some_and(|fact| fact.value.is_some()), "{configs:?}");
        }
        let seen = look(&admin, &classic, Duration::ZERO).await?;
        ensure!(seen.kind == GroupKind::Classic && seen.configs == Seen::NotAsked, "{seen:?}");
        admin.delete_topics(&[topic]).await?;
        Ok(())
    }
}
