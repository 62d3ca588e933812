//! Members of both protocols in one group.

use bytes::Bytes;
use klamm_wire::protocol::messages::{
    ConsumerProtocolSubscription, TopicName, consumer_protocol_subscription,
};
use klamm_wire::protocol::protocol::{Encodable, StrBytes};

use super::*;
use crate::group::classic_state::{ClassicMember, ClassicState};
use crate::group::embedded;
use crate::group::messages::{Identity, JoinAnswer, JoinRequest, SyncRequest};

fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let owned = owned.iter().map(|(topic, partitions)| {
        consumer_protocol_subscription::TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_string((*topic).to_owned())))
            .with_partitions(partitions.to_vec())
    });
    let message = ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(|topic| StrBytes::from_string((*topic).to_owned())).collect())
        .with_owned_partitions(owned.collect());
    let mut bytes = bytes::BytesMut::from(&1_i16.to_be_bytes()[..]);
    message.encode(&mut bytes, 1).unwrap();
    bytes.freeze()
}

fn classic_group(story: &Story) -> ClassicState {
    let member = |id: &str, partitions: &[i32]| ClassicMember {
        id: id.to_owned(),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: REBALANCE_MS.into(),
        protocols: vec![("range".into(), subscription(&["t"], &[]))],
        assignment: embedded::write_assignment(
            &assignment(&[(1, partitions)]),
            &subscription(&["t"], &[]),
            &story.image,
        )
        .unwrap(),
        instance_id: None,
    };
    ClassicState {
        generation: 5,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: Some("a".into()),
        since_ms: 0,
        members: vec![member("a", &[0, 1]), member("b", &[2])],
    }
}

fn upgraded() -> Story {
    let mut story = Story::new(&[("t", 3)]);
    let classic = classic_group(&story);
    story.group = ConsumerGroup::from_classic("g", &classic, &story.image).unwrap();
    story.group.start_timers(SESSION_MS, 0);
    story
}

impl Story {
    fn classic_join(&mut self, id: &str, owned: &[i32]) -> Result<JoinAnswer, ErrorCode> {
        let request = JoinRequest {
            identity: Identity { member_id: id.to_owned(), instance_id: None },
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: REBALANCE_MS.into(),
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), subscription(&["t"], &[("t", owned)]))],
            requires_known_member_id: true,
            supports_skip_assignment: true,
            fresh_member_id: "fresh".into(),
        };
        self.event(|group, scene| group.classic_join(&request, scene))
    }

    fn classic_sync(&mut self, id: &str, generation: i32) -> Result<Assignment, ErrorCode> {
        let request = SyncRequest {
            identity: Identity { member_id: id.to_owned(), instance_id: None },
            generation,
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            assignments: Vec::new(),
        };
        let scene = Scene { image: &self.image, settings: &self.settings, now_ms: self.now_ms };
        let answer = self.group.classic_sync(&request, scene)?;
        Ok(embedded::assignment(&answer.assignment, &self.image).unwrap().0)
    }

    fn classic_heartbeat(&mut self, id: &str, generation: i32) -> Result<(), ErrorCode> {
        let identity = Identity { member_id: id.to_owned(), instance_id: None };
        self.group.classic_heartbeat(&identity, generation, self.now_ms)
    }
}

#[test]
fn an_upgraded_group_goes_on_where_the_classic_one_was() {
    let mut story = upgraded();
    assert_eq!((story.group.epoch(), story.group.state()), (5, "Stable"));
    assert_eq!(story.member("a").assignment(), assignment(&[(1, &[0, 1])]));
    assert_eq!(story.classic_heartbeat("a", 5), Ok(()));
    assert_eq!(story.classic_heartbeat("a", 4), Err(ErrorCode::ILLEGAL_GENERATION));
}

#[test]
fn classic_members_give_up_and_get_by_joining_again() {
    let mut story = upgraded();
    let joined = story.join("c", &["t"]);
    assert_eq!((joined.epoch, joined.assignment), (6, Some(Assignment::new())));
    // Uniform takes one of a's two partitions.
    assert_eq!(story.classic_heartbeat("a", 5), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(story.classic_sync("a", 5), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let revoking = story.classic_join("a", &[0, 1]).unwrap();
    assert_eq!((revoking.generation, revoking.protocol.as_deref()), (5, Some("range")));
    assert_eq!(story.classic_sync("a", 5), Ok(assignment(&[(1, &[0])])));
    let done = story.classic_join("a", &[0]).unwrap();
    assert_eq!(done.generation, 6);
    assert_eq!(story.classic_sync("a", 6), Ok(assignment(&[(1, &[0])])));
    assert_eq!(story.stay("c", 6, &[]).unwrap().assignment, Some(assignment(&[(1, &[1])])));
    assert_eq!(story.classic_join("b", &[2]).unwrap().generation, 6);
    assert_eq!(story.classic_sync("b", 6), Ok(assignment(&[(1, &[2])])));
    assert_eq!(story.group.state(), "Stable");
}

#[test]
fn classic_members_that_do_not_come_back_are_fenced() {
    let mut story = upgraded();
    story.join("c", &["t"]);
    for _ in 0..7 {
        let _ = story.classic_heartbeat("a", 5);
        let _ = story.classic_heartbeat("b", 5);
        let _ = story.beat(bare("c", 6));
        story.pass(9_000);
    }
    let ids: Vec<_> = story.group.members().map(|member| member.id.as_str()).collect();
    assert_eq!(ids, ["c"], "they were told to join again and did not");
}

#[test]
fn a_new_classic_member_must_come_back_with_its_id() {
    let mut story = upgraded();
    let first = story.classic_join("", &[]).unwrap();
    assert_eq!((first.error, first.member_id.as_str()), (Some(ErrorCode::MEMBER_ID_REQUIRED), "fresh"));
    assert_eq!(story.classic_join("fresh", &[]).unwrap().generation, 6);
}

#[test]
fn the_last_consumer_leaves_a_classic_group_behind() {
    let mut story = upgraded();
    story.join("c", &["t"]);
    story.classic_join("a", &[0, 1]).unwrap();
    story.classic_join("a", &[0]).unwrap();
    story.classic_join("b", &[2]).unwrap();
    story.leave("c", None, -1).unwrap();
    assert_eq!(story.group.turned_classic(), Some(Downgrade::Rebalance));
    let classic = story.group.to_classic(&story.image, 7);
    assert_eq!((classic.generation, classic.protocol.as_deref()), (6, Some("range")));
    let parts: Vec<_> = classic
        .members
        .iter()
        .map(|m| embedded::assignment(&m.assignment, &story.image).unwrap().0)
        .collect();
    assert_eq!(parts, [assignment(&[(1, &[0])]), assignment(&[(1, &[2])])]);

    let mut story = upgraded();
    story.settings.migration = MigrationPolicy::Upgrade;
    story.join("c", &["t"]);
    story.leave("c", None, -1).unwrap();
    assert_eq!(story.group.turned_classic(), None);
}

#[test]
fn custom_assignors_and_foreign_bytes_cannot_be_upgraded() {
    let story = Story::new(&[("t", 3)]);
    let mut classic = classic_group(&story);
    let mut custom = classic.members[0].assignment.to_vec();
    let end = custom.len() - 4;
    custom.splice(end.., [0, 0, 0, 1, 7]);
    classic.members[0].assignment = custom.into();
    let refused = ConsumerGroup::from_classic("g", &classic, &story.image).unwrap_err();
    assert_eq!(refused.code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(refused.message.contains("custom assignor"), "{}", refused.message);
    classic.members[0].assignment = Bytes::from_static(b"opaque");
    let refused = ConsumerGroup::from_classic("g", &classic, &story.image).unwrap_err();
    assert!(refused.message.contains("malformed"), "{}", refused.message);
}
