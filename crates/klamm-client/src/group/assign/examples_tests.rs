//! The examples of Java's documentation.

use std::sync::Arc;

use super::bytes::Previous;
use super::{ConsumerSubscription, Member, Strategy, Topics};
use crate::TopicPartition;

fn topics(counts: &[(&str, usize)]) -> Topics {
    counts.iter().map(|(name, count)| (Arc::from(*name), vec![Vec::new(); *count])).collect()
}

fn member(id: &str, topics: &[&str]) -> Member {
    let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
    let subscription = ConsumerSubscription { topics, ..ConsumerSubscription::default() };
    Member { id: id.to_owned(), instance_id: None, subscription }
}

fn fixed(id: &str, instance: &str, topics: &[&str]) -> Member {
    Member { instance_id: Some(instance.to_owned()), ..member(id, topics) }
}

/// As text, sorted: `t0-0 t0-1 | t1-0`.
fn assigned(strategy: Strategy, topics: &Topics, members: &[Member]) -> String {
    let lists = strategy.assign(topics, members).into_iter().map(|mut list| {
        list.sort();
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    });
    lists.collect::<Vec<_>>().join(" | ")
}

#[test]
fn range_gives_the_first_members_one_more_of_each_topic() {
    let topics = topics(&[("t0", 3), ("t1", 3)]);
    let members = [member("C0", &["t0", "t1"]), member("C1", &["t0", "t1"])];
    assert_eq!(assigned(Strategy::Range, &topics, &members), "t0-0 t0-1 t1-0 t1-1 | t0-2 t1-2");
}

#[test]
fn static_members_keep_their_place_when_their_member_ids_change() {
    let topics = topics(&[("t0", 3), ("t1", 3)]);
    let all = ["t0", "t1"];
    let before = [fixed("C0", "I0", &all), fixed("C1", "I1", &all)];
    let after = [fixed("C3", "I0", &all), fixed("C2", "I1", &all)];
    let expected = "t0-0 t0-1 t1-0 t1-1 | t0-2 t1-2";
    assert_eq!(assigned(Strategy::Range, &topics, &before), expected);
    assert_eq!(assigned(Strategy::Range, &topics, &after), expected);
    // Static members come before the others.
    let mixed = [member("A", &all), fixed("Z", "I9", &all)];
    assert_eq!(assigned(Strategy::Range, &topics, &mixed), "t0-2 t1-2 | t0-0 t0-1 t1-0 t1-1");
}

#[test]
fn range_keeps_the_numbers_of_topics_of_one_size_together_near_their_readers() {
    let racks: Vec<Vec<Arc<str>>> = ["b", "a", "c"].iter().map(|rack| vec![Arc::from(*rack)]).collect();
    let topics: Topics = [("t0".into(), racks.clone()), ("t1".into(), racks)].into();
    let members = ["a", "b", "c"].map(|rack| {
        let mut member = member(rack, &["t0", "t1"]);
        member.subscription.rack = Some(rack.into());
        member
    });
    assert_eq!(assigned(Strategy::Range, &topics, &members), "t0-1 t1-1 | t0-0 t1-0 | t0-2 t1-2");
}

#[test]
fn roundrobin_goes_around_and_passes_over_those_that_do_not_want_a_topic() {
    let topics = topics(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let members = [member("C0", &["t0"]), member("C1", &["t0", "t1"]), member("C2", &["t0", "t1", "t2"])];
    assert_eq!(assigned(Strategy::RoundRobin, &topics, &members), "t0-0 | t1-0 | t1-1 t2-0 t2-1 t2-2");
}

#[test]
fn sticky_is_more_even_than_roundrobin_and_keeps_more_when_a_member_goes() {
    let topics = topics(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let mut members = [member("C0", &["t0"]), member("C1", &["t0", "t1"]), member("C2", &["t0", "t1", "t2"])];
    assert_eq!(assigned(Strategy::Sticky, &topics, &members), "t0-0 | t1-0 t1-1 | t2-0 t2-1 t2-2");

    let lists = Strategy::Sticky.assign(&topics, &members);
    for (member, partitions) in members.iter_mut().zip(lists) {
        member.subscription.user_data = Some(Previous { partitions, generation: Some(1) }.encode());
    }
    assert_eq!(assigned(Strategy::Sticky, &topics, &members[1..]), "t0-0 t1-0 t1-1 | t2-0 t2-1 t2-2");
}

#[test]
fn sticky_moves_only_what_was_of_the_member_that_went() {
    let topics = topics(&[("t0", 2), ("t1", 2), ("t2", 2), ("t3", 2)]);
    let all = ["t0", "t1", "t2", "t3"];
    let mut members = [member("C0", &all), member("C1", &all), member("C2", &all)];
    let first = "t0-0 t1-1 t3-0 | t0-1 t2-0 t3-1 | t1-0 t2-1";
    assert_eq!(assigned(Strategy::Sticky, &topics, &members), first);
    let lists = Strategy::Sticky.assign(&topics, &members);
    for (member, partitions) in members.iter_mut().zip(lists) {
        member.subscription.user_data = Some(Previous { partitions, generation: Some(1) }.encode());
    }
    let left = [members[0].clone(), members[2].clone()];
    assert_eq!(assigned(Strategy::Sticky, &topics, &left), "t0-0 t0-1 t1-1 t3-0 | t1-0 t2-0 t2-1 t3-1");
}

#[test]
fn cooperative_sticky_leaves_out_what_must_be_let_go_of_first() {
    let topics = topics(&[("t", 4)]);
    let mut members = [member("C0", &["t"]), member("C1", &["t"])];
    members[0].subscription.owned = (0..4).map(|at| TopicPartition::new("t", at)).collect();
    members[0].subscription.generation = Some(1);
    assert_eq!(assigned(Strategy::CooperativeSticky, &topics, &members), "t-0 t-1 | ");
    members[0].subscription.owned.truncate(2);
    members[0].subscription.generation = Some(2);
    assert_eq!(assigned(Strategy::CooperativeSticky, &topics, &members), "t-0 t-1 | t-2 t-3");
}
