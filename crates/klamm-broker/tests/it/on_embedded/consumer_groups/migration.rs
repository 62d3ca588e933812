//! A group that changes from one protocol to the other, member by member.

use bytes::BytesMut;
use klamm_broker::MigrationPolicy;
use klamm_wire::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use klamm_wire::protocol::messages::{
    ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest,
};
use klamm_wire::protocol::protocol::Encodable;

use super::*;

fn classic_join(client: &mut Client, member: &str, owned: &[i32]) -> JoinGroupResponse {
    let owned = klamm_wire::protocol::messages::consumer_protocol_subscription::TopicPartition::default()
        .with_topic(topic("t"))
        .with_partitions(owned.to_vec());
    let subscription = ConsumerProtocolSubscription::default()
        .with_topics(vec![text("t")])
        .with_owned_partitions(vec![owned]);
    let mut bytes = BytesMut::from(&1_i16.to_be_bytes()[..]);
    subscription.encode(&mut bytes, 1).unwrap();
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(bytes.freeze());
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    client.call(9, &request)
}

fn classic_sync(client: &mut Client, joined: &JoinGroupResponse, leads: bool) -> (i16, Bytes) {
    let mut request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(joined.protocol_name.clone());
    if leads {
        // Version 1, one topic with partitions 0 and 1, no user data.
        let all = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff";
        let part = klamm_wire::protocol::messages::sync_group_request::SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(Bytes::from_static(all));
        request = request.with_assignments(vec![part]);
    }
    let answer = client.call(5, &request);
    (answer.error_code, answer.assignment)
}

fn classic_heartbeat(client: &mut Client, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    client.call(4, &request).error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_migrates_member_by_member_and_back() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let id = classic_join(&mut client, "", &[]).member_id;
    let old = classic_join(&mut client, &id, &[]);
    assert_eq!(classic_sync(&mut client, &old, true).0, 0);

    // The first member of the new protocol converts the group, and gets its part when the old one has given it up.
    let new = beat(&mut client, &joining("new", &["t"]));
    assert_eq!((new.error_code, new.member_epoch, partitions(&new)), (0, 2, Some(vec![])));
    assert_eq!(describe(&mut client).members.iter().map(|m| m.member_type).sum::<i8>(), 1);
    assert_eq!(classic_heartbeat(&mut client, &old), ErrorCode::REBALANCE_IN_PROGRESS.code());
    let revoking = classic_join(&mut client, &id, &[0, 1]);
    assert_eq!((revoking.error_code, revoking.generation_id), (0, 1));
    assert_eq!(classic_sync(&mut client, &revoking, false).0, 0);
    let settled = classic_join(&mut client, &id, &[0]);
    assert_eq!(settled.generation_id, 2);
    assert_eq!(classic_sync(&mut client, &settled, false).0, 0);
    assert_eq!(partitions(&beat(&mut client, &staying("new", 2))), Some(vec![1]));
    assert_eq!(commit(&mut client, 9, &id, 2, 0), 0);

    // It leaves, and the group is classic again.
    beat(&mut client, &staying("new", -1));
    assert_eq!(classic_heartbeat(&mut client, &settled), ErrorCode::REBALANCE_IN_PROGRESS.code());
    let alone = classic_join(&mut client, &id, &[0]);
    assert_eq!((alone.error_code, alone.generation_id, alone.leader == id), (0, 3, true));
    assert_eq!(describe(&mut client).error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_migration_only_empty_groups_change_their_protocol() {
    let mut config = BrokerConfig::default();
    config.consumer_groups.migration_policy = MigrationPolicy::Disabled;
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let id = classic_join(&mut client, "", &[]).member_id;
    let joined = classic_join(&mut client, &id, &[]);
    classic_sync(&mut client, &joined, true);
    let refused = beat(&mut client, &joining("new", &["t"]));
    assert_eq!(refused.error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
    let gone =
        klamm_wire::protocol::messages::leave_group_request::MemberIdentity::default().with_member_id(id);
    let leave = klamm_wire::protocol::messages::LeaveGroupRequest::default()
        .with_group_id(group())
        .with_members(vec![gone]);
    assert_eq!(client.call(5, &leave).members[0].error_code, 0);
    assert_eq!(beat(&mut client, &joining("new", &["t"])).member_epoch, 2, "the empty group gives way");
    let refused = classic_join(&mut client, "", &[]);
    assert_eq!(refused.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL.code());
    beat(&mut client, &staying("new", -1));
    assert_eq!(classic_join(&mut client, "", &[]).error_code, ErrorCode::MEMBER_ID_REQUIRED.code());
}
