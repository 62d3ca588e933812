//! What holds for every group, whatever its members say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::bytes::{Buf, Bytes, BytesMut};
use klamm_wire::protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName, consumer_protocol_assignment,
    consumer_protocol_subscription,
};
use klamm_wire::protocol::protocol::{Decodable, Encodable, StrBytes};
use proptest::prelude::*;

use super::bytes::{Previous, decode_assignment, encode_assignment};
use super::{ConsumerSubscription, Member, Strategy as Assignor, Topics};
use crate::TopicPartition;

const TOPICS: usize = 5;

fn topic(index: usize) -> Arc<str> {
    format!("t{index}").into()
}

/// Partitions of each topic, each with racks by number.
fn topics() -> impl Strategy<Value = Topics> {
    let racks = prop::collection::vec(0..3_usize, 0..3);
    let partitions = prop::collection::vec(racks, 0..7);
    prop::collection::vec(partitions, TOPICS).prop_map(|all| {
        let rack = |rack: usize| -> Arc<str> { format!("r{rack}").into() };
        let named = |racks: Vec<usize>| racks.into_iter().map(rack).collect();
        let partitions = |partitions: Vec<Vec<usize>>| partitions.into_iter().map(named).collect();
        all.into_iter().enumerate().map(|(at, all)| (topic(at), partitions(all))).collect()
    })
}

/// What a member wants, claims, and says about itself.
#[derive(Debug, Clone)]
struct Said {
    wants: BTreeSet<usize>,
    rack: Option<usize>,
    is_static: bool,
    generation: Option<i32>,
    user_data: Option<Vec<u8>>,
}

fn said() -> impl Strategy<Value = Said> {
    (
        prop::collection::btree_set(0..TOPICS, 0..=TOPICS),
        prop::option::weighted(0.3, 0..4_usize),
        any::<bool>(),
        prop::option::of(-1..4_i32),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..6)),
    )
        .prop_map(|(wants, rack, is_static, generation, user_data)| Said {
            wants,
            rack,
            is_static,
            generation,
            user_data,
        })
}

fn member(at: usize, said: &Said) -> Member {
    Member {
        id: format!("m{at}-{}", at * 7919 % 101),
        instance_id: said.is_static.then(|| format!("i{}", 9 - at % 10)),
        subscription: ConsumerSubscription {
            topics: said.wants.iter().map(|at| topic(*at)).collect(),
            user_data: said.user_data.clone().map(Bytes::from),
            owned: Vec::new(),
            generation: said.generation.filter(|generation| *generation >= 0),
            rack: said.rack.map(|rack| format!("r{rack}").into()),
        },
    }
}

/// Members that want the same; their claims are drawn from `owners`, by partition, so that each is claimed once at most.
fn group(said: &[Said], alike: bool) -> Vec<Member> {
    let same = said.first().map(|said| said.wants.clone()).unwrap_or_default();
    let alike = |said: &Said| if alike { Said { wants: same.clone(), ..said.clone() } } else { said.clone() };
    said.iter().enumerate().map(|(at, said)| member(at, &alike(said))).collect()
}

/// Each partition belongs to the member that its number among `owners` names, in the generation 5 of all, if it wants it.
fn own(topics: &Topics, members: &mut [Member], owners: &[usize], user_data: bool) {
    let all = topics.iter().flat_map(|(name, racks)| {
        (0..racks.len()).map(move |at| TopicPartition::new(Arc::clone(name), at as i32))
    });
    for (partition, owner) in all.zip(owners.iter().cycle()) {
        if let Some(member) = members.get_mut(*owner)
            && member.wants(&partition.topic)
        {
            member.subscription.owned.push(partition);
        }
    }
    for member in members {
        member.subscription.generation = Some(5);
        let had = Previous { partitions: member.subscription.owned.clone(), generation: Some(5) };
        if user_data {
            member.subscription.user_data = Some(had.encode());
            member.subscription.owned.clear();
        } else {
            member.subscription.user_data = Some(Previous::encode_generation(Some(5)));
        }
    }
}

fn without_racks(topics: Topics) -> Topics {
    topics.into_iter().map(|(name, racks)| (name, vec![Vec::new(); racks.len()])).collect()
}

/// Who has which partition; fails if one has two owners, or one that does not want it.
fn owners(members: &[Member], assigned: &[Vec<TopicPartition>]) -> BTreeMap<TopicPartition, usize> {
    let mut owners = BTreeMap::new();
    for (at, list) in assigned.iter().enumerate() {
        for partition in list {
            assert!(members[at].wants(&partition.topic), "{partition} for one that does not want it");
            assert_eq!(owners.insert(partition.clone(), at), None, "{partition} has two owners");
        }
    }
    owners
}

fn wanted(topics: &Topics, members: &[Member]) -> BTreeSet<TopicPartition> {
    let is_wanted = |name: &str| members.iter().any(|member| member.wants(name));
    topics
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .flat_map(|(name, racks)| {
            (0..racks.len()).map(move |at| TopicPartition::new(Arc::clone(name), at as i32))
        })
        .collect()
}

/// How far the most is above the least.
fn spread(assigned: &[Vec<TopicPartition>]) -> usize {
    let counts = || assigned.iter().map(Vec::len);
    counts().max().unwrap_or(0) - counts().min().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_partition_goes_to_one_member_that_wants_it(
        topics in topics(),
        said in prop::collection::vec(said(), 1..9),
        alike in any::<bool>(),
        claims in prop::collection::vec(0..10_usize, 1..40),
        in_user_data in any::<bool>(),
        foreign in prop::collection::vec((0..9_usize, 0..TOPICS, 0..9_i32), 0..8),
    ) {
        let mut members = group(&said, alike);
        own(&topics, &mut members, &claims, in_user_data);
        // And what nobody can have: twice, not there, not wanted.
        for (at, of, number) in foreign {
            if let Some(member) = members.get_mut(at) {
                member.subscription.owned.push(TopicPartition::new(topic(of), number));
                member.subscription.generation = said[at].generation;
            }
        }
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky] {
            let assigned = assignor.assign(&topics, &members);
            prop_assert_eq!(assigned.len(), members.len());
            let owners = owners(&members, &assigned);
            prop_assert_eq!(owners.into_keys().collect::<BTreeSet<_>>(), wanted(&topics, &members));
            if alike && assignor != Assignor::Range {
                prop_assert!(spread(&assigned) <= 1, "{:?} {:?}", assignor, assigned);
            }
        }
        let assigned = Assignor::CooperativeSticky.assign(&topics, &members);
        owners(&members, &assigned);
    }

    #[test]
    fn a_range_is_even_by_topic_and_the_same_numbers_of_topics_of_one_size(
        counts in prop::collection::vec(0..9_usize, TOPICS),
        said in prop::collection::vec(said(), 1..9),
    ) {
        let topics: Topics =
            counts.iter().enumerate().map(|(at, count)| (topic(at), vec![Vec::new(); *count])).collect();
        let members = group(&said, true);
        let assigned = Assignor::Range.assign(&topics, &members);
        for (name, racks) in &topics {
            let of = |at: usize| -> Vec<i32> {
                assigned[at].iter().filter(|p| p.topic == *name).map(|p| p.partition).collect()
            };
            let all: Vec<Vec<i32>> = (0..members.len()).map(of).collect();
            prop_assert!(!members[0].wants(name) || all.iter().map(Vec::len).sum::<usize>() == racks.len());
            let (most, least) = (all.iter().map(Vec::len).max(), all.iter().map(Vec::len).min());
            prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
            for numbers in all {
                prop_assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{:?}", numbers);
            }
        }
    }

    #[test]
    fn members_that_want_the_same_keep_as_much_as_an_even_share_lets_them(
        topics in topics(),
        said in prop::collection::vec(said(), 1..9),
        claims in prop::collection::vec(0..10_usize, 1..40),
    ) {
        let topics = without_racks(topics);
        let mut members = group(&said, true);
        let mut sticky = members.clone();
        own(&topics, &mut members, &claims, false);
        own(&topics, &mut sticky, &claims, true);
        let owned: Vec<BTreeSet<_>> =
            members.iter().map(|member| member.subscription.owned.iter().cloned().collect()).collect();
        let total = wanted(&topics, &members).len();
        let (least, rich) = (total / members.len(), total % members.len());
        let one_more = owned.iter().filter(|owned| owned.len() > least).count().min(rich);
        let most = owned.iter().map(|owned| owned.len().min(least)).sum::<usize>() + one_more;

        for (assignor, members) in [(Assignor::Sticky, &sticky), (Assignor::CooperativeSticky, &members)] {
            let assigned = assignor.assign(&topics, members);
            let kept = assigned
                .iter()
                .zip(&owned)
                .map(|(assigned, owned)| assigned.iter().filter(|p| owned.contains(p)).count());
            prop_assert_eq!(kept.sum::<usize>(), most, "{:?}", assignor);
        }
    }

    #[test]
    fn what_somebody_has_is_never_given_to_another(
        topics in topics(),
        said in prop::collection::vec(said(), 1..9),
        alike in any::<bool>(),
        claims in prop::collection::vec(0..10_usize, 1..40),
        with_racks in any::<bool>(),
    ) {
        // What is near and what is even can be at odds for ever, here as in Java.
        let topics = if with_racks { topics } else { without_racks(topics) };
        let mut members = group(&said, alike);
        own(&topics, &mut members, &claims, false);
        let mut rounds = 0;
        loop {
            let had = owners(&members, &members.iter().map(|m| m.subscription.owned.clone()).collect::<Vec<_>>());
            let assigned = Assignor::CooperativeSticky.assign(&topics, &members);
            let owners = owners(&members, &assigned);
            for (partition, owner) in &owners {
                prop_assert!(had.get(partition).is_none_or(|had| had == owner), "{} moves at once", partition);
            }
            // All let go and join again; it comes to rest with all in somebody's hands.
            let rests = members.iter().zip(&assigned).all(|(member, assigned)| {
                member.subscription.owned.iter().all(|partition| assigned.contains(partition))
            });
            for (member, assigned) in members.iter_mut().zip(assigned) {
                member.subscription.owned = assigned;
                member.subscription.generation = Some(6 + rounds);
            }
            rounds += 1;
            prop_assert!(rounds < 20 || with_racks, "it does not come to rest");
            if rounds == 20 {
                break;
            }
            if rests {
                prop_assert_eq!(owners.into_keys().collect::<BTreeSet<_>>(), wanted(&topics, &members));
                break;
            }
        }
    }

    #[test]
    fn nothing_that_is_read_is_trusted(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Some(subscription) = ConsumerSubscription::decode(&bytes) {
            let again = ConsumerSubscription::decode(&subscription.encode(3)).expect("it is what was written");
            prop_assert_eq!(again.generation, subscription.generation);
        }
        decode_assignment(&bytes);
        let subscription = ConsumerSubscription { user_data: Some(bytes), ..ConsumerSubscription::default() };
        Previous::of_sticky(&subscription);
        Previous::of_cooperative(&subscription);
    }

    #[test]
    fn a_subscription_is_written_as_the_protocol_has_it(
        wants in prop::collection::btree_set(0..TOPICS, 0..=TOPICS),
        owned in prop::collection::btree_set((0..TOPICS, 0..9_i32), 0..9),
        generation in prop::option::of(0..9_i32),
        user_data in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
        rack in prop::option::of("[a-z]{1,4}"),
        version in 0..4_i16,
    ) {
        let owned: Vec<_> = owned.iter().map(|(of, at)| TopicPartition::new(topic(*of), *at)).collect();
        let subscription = ConsumerSubscription {
            topics: wants.iter().map(|at| topic(*at)).collect(),
            user_data: user_data.map(Bytes::from),
            owned,
            generation,
            rack: rack.map(Into::into),
        };
        let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in &subscription.owned {
            by_topic.entry(&partition.topic).or_default().push(partition.partition);
        }
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let message = ConsumerProtocolSubscription::default()
            .with_topics(subscription.topics.iter().map(|topic| text(topic)).collect())
            .with_user_data(subscription.user_data.clone())
            .with_generation_id(generation.unwrap_or(-1))
            .with_rack_id(subscription.rack.as_deref().map(text))
            .with_owned_partitions(
                by_topic
                    .into_iter()
                    .map(|(topic, partitions)| {
                        consumer_protocol_subscription::TopicPartition::default()
                            .with_topic(TopicName(text(topic)))
                            .with_partitions(partitions)
                    })
                    .collect(),
            );
        let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
        message.encode(&mut bytes, version).expect("it fits");
        let written = subscription.encode(version);
        prop_assert_eq!(&written, &bytes.freeze());
        let read = ConsumerSubscription::decode(&written).expect("it is one");
        prop_assert_eq!(&read.topics, &subscription.topics);
        prop_assert_eq!(&read.user_data, &subscription.user_data);
        prop_assert_eq!(read.owned, if version >= 1 { subscription.owned } else { Vec::new() });
        prop_assert_eq!(read.generation, generation.filter(|_| version >= 2));
        prop_assert_eq!(read.rack, subscription.rack.filter(|_| version >= 3));
    }

    #[test]
    fn an_assignment_is_written_as_the_protocol_has_it(
        partitions in prop::collection::btree_set((0..TOPICS, 0..9_i32), 0..9),
    ) {
        let partitions: Vec<_> =
            partitions.iter().map(|(of, at)| TopicPartition::new(topic(*of), *at)).collect();
        let mut written = encode_assignment(&partitions);
        prop_assert_eq!(decode_assignment(&written), Some(partitions.clone()));
        prop_assert_eq!(written.get_i16(), 0);
        let message = ConsumerProtocolAssignment::decode(&mut written, 0).expect("it is one");
        let named = |topic: &consumer_protocol_assignment::TopicPartition| -> Vec<TopicPartition> {
            let name: Arc<str> = topic.topic.as_str().into();
            topic.partitions.iter().map(|at| TopicPartition::new(Arc::clone(&name), *at)).collect()
        };
        prop_assert_eq!(message.assigned_partitions.iter().flat_map(named).collect::<Vec<_>>(), partitions);
        prop_assert_eq!(message.user_data, None);
        prop_assert!(!written.has_remaining());
    }

    #[test]
    fn what_sticky_members_had_is_read_back(
        partitions in prop::collection::btree_set((0..TOPICS, 0..9_i32), 0..9),
        generation in -1..9_i32,
    ) {
        let partitions: Vec<_> =
            partitions.iter().map(|(of, at)| TopicPartition::new(topic(*of), *at)).collect();
        let had = Previous { partitions, generation: Some(generation) };
        let data = had.encode();
        let read = |data: Bytes| {
            Previous::of_sticky(&ConsumerSubscription { user_data: Some(data), ..ConsumerSubscription::default() })
        };
        // The first version ends before the generation.
        let old = read(data.slice(..data.len() - 4));
        prop_assert_eq!(&old.partitions, &had.partitions);
        prop_assert_eq!(old.generation, None);
        prop_assert_eq!(read(data), had);
    }
}
