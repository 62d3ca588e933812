//! Hand-computed assignments, and what holds for all of them.

use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> Uuid {
    Uuid::from_u128(number.into())
}

fn spec(partitions: &[(u8, i32)], members: &[(&str, &[u8])]) -> GroupSpec {
    let member = |topics: &[u8]| MemberSpec {
        topics: topics.iter().map(|t| topic(*t)).collect(),
        ..MemberSpec::default()
    };
    GroupSpec {
        partitions: partitions.iter().map(|(t, count)| (topic(*t), *count)).collect(),
        homogeneous: members.windows(2).all(|pair| pair[0].1 == pair[1].1),
        members: members.iter().map(|(id, topics)| ((*id).to_owned(), member(topics))).collect(),
    }
}

/// `a: 1[0 1] 2[0]`, one member a line.
fn written(targets: &BTreeMap<String, Assignment>) -> Vec<String> {
    let part = |(topic, partitions): (&Uuid, &BTreeSet<i32>)| {
        let partitions: Vec<_> = partitions.iter().map(i32::to_string).collect();
        format!(" {}[{}]", topic.as_u128(), partitions.join(" "))
    };
    targets.iter().map(|(id, all)| format!("{id}:{}", all.iter().map(part).collect::<String>())).collect()
}

fn keep(spec: &mut GroupSpec, targets: &BTreeMap<String, Assignment>) {
    for (id, member) in &mut spec.members {
        member.assigned = targets.get(id).cloned().unwrap_or_default();
    }
}

#[test]
fn range_gives_consecutive_parts_and_the_first_members_get_the_rest() {
    let spec = spec(&[(1, 3), (2, 2)], &[("a", &[1, 2]), ("b", &[1, 2])]);
    assert_eq!(written(&Assignor::Range.assign(&spec)), ["a: 1[0 1] 2[0]", "b: 1[2] 2[1]"]);
}

#[test]
fn range_puts_members_with_an_instance_id_first_in_its_order() {
    let mut spec = spec(&[(1, 3)], &[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    spec.members.get_mut("b").unwrap().instance_id = Some("2".into());
    spec.members.get_mut("c").unwrap().instance_id = Some("1".into());
    assert_eq!(written(&Assignor::Range.assign(&spec)), ["a: 1[2]", "b: 1[1]", "c: 1[0]"]);
}

#[test]
fn range_cuts_each_topic_among_its_own_subscribers() {
    let spec = spec(&[(1, 3), (2, 3), (3, 2)], &[("a", &[1, 2]), ("b", &[3]), ("c", &[2, 3])]);
    let written = written(&Assignor::Range.assign(&spec));
    assert_eq!(written, ["a: 1[0 1 2] 2[0 1]", "b: 3[0]", "c: 2[2] 3[1]"]);
}

#[test]
fn range_leaves_members_without_a_part_when_there_are_too_few_partitions() {
    let spec = spec(&[(1, 2)], &[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    assert_eq!(written(&Assignor::Range.assign(&spec)), ["a: 1[0]", "b: 1[1]", "c:"]);
}

#[test]
fn uniform_splits_all_topics_together() {
    let spec = spec(&[(1, 3), (2, 2)], &[("a", &[1, 2]), ("b", &[1, 2])]);
    let targets = Assignor::Uniform.assign(&spec);
    // Nobody has anything yet, so the larger share is left to the last member.
    assert_eq!(written(&targets), ["a: 1[0 1]", "b: 1[2] 2[0 1]"]);
}

#[test]
fn uniform_takes_only_what_a_new_member_needs() {
    let mut two = spec(&[(1, 6)], &[("a", &[1]), ("b", &[1])]);
    let before = Assignor::Uniform.assign(&two);
    assert_eq!(written(&before), ["a: 1[0 1 2]", "b: 1[3 4 5]"]);
    two.members.insert("c".into(), two.members["a"].clone());
    keep(&mut two, &before);
    assert_eq!(written(&Assignor::Uniform.assign(&two)), ["a: 1[0 1]", "b: 1[3 4]", "c: 1[2 5]"]);
}

#[test]
fn uniform_gives_what_a_member_leaves_behind_to_those_with_room() {
    let mut three = spec(&[(1, 7)], &[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    let before = Assignor::Uniform.assign(&three);
    keep(&mut three, &before);
    three.members.remove("b");
    let after = Assignor::Uniform.assign(&three);
    for id in ["a", "c"] {
        assert!(before[id][&topic(1)].is_subset(&after[id][&topic(1)]), "{id} keeps what it had");
    }
    assert_eq!(after["a"][&topic(1)].len() + after["c"][&topic(1)].len(), 7);
}

#[test]
fn uniform_evens_out_members_with_different_topics() {
    // a can only have topic 1, c only topic 3, b any of the three.
    let spec = spec(&[(1, 2), (2, 3), (3, 2)], &[("a", &[1]), ("b", &[1, 2, 3]), ("c", &[3])]);
    let written = written(&Assignor::Uniform.assign(&spec));
    assert_eq!(written, ["a: 1[0 1]", "b: 2[0 1 2]", "c: 3[0 1]"]);
}

#[test]
fn uniform_moves_partitions_from_the_most_to_the_least_loaded() {
    let mut spec = spec(&[(1, 6), (2, 1)], &[("a", &[1]), ("b", &[1, 2])]);
    spec.members.get_mut("a").unwrap().assigned = BTreeMap::from([(topic(1), (0..6).collect())]);
    assert_eq!(written(&Assignor::Uniform.assign(&spec)), ["a: 1[0 1 2 3]", "b: 1[4 5] 2[0]"]);
}

fn any_spec() -> impl Strategy<Value = GroupSpec> {
    let topics = prop::collection::vec(0..9_i32, 1..5);
    let members = prop::collection::vec((prop::collection::vec(any::<bool>(), 5), any::<bool>()), 1..6);
    (topics, members, any::<bool>()).prop_map(|(topics, members, same)| {
        let partitions: BTreeMap<_, _> = (1..).map(topic).zip(topics).collect();
        let first = members[0].0.clone();
        let member = |(index, (wanted, fixed)): (usize, (Vec<bool>, bool))| {
            let wanted = if same { first.clone() } else { wanted };
            let topics = partitions.keys().zip(wanted).filter(|(_, w)| *w).map(|(t, _)| *t).collect();
            let instance_id = fixed.then(|| format!("i{index}"));
            (format!("m{index}"), MemberSpec { instance_id, topics, ..MemberSpec::default() })
        };
        let members: BTreeMap<_, _> = members.into_iter().enumerate().map(member).collect();
        let mut all = members.values().map(|member| &member.topics);
        let first = all.next().cloned().unwrap_or_default();
        GroupSpec { homogeneous: all.all(|topics| *topics == first), partitions, members }
    })
}

/// Each partition of a subscribed topic has one owner, who is subscribed to it.
fn complete(spec: &GroupSpec, targets: &BTreeMap<String, Assignment>) -> Result<(), TestCaseError> {
    let mut seen = BTreeSet::new();
    for (id, target) in targets {
        for (topic, partitions) in target {
            prop_assert!(spec.members[id].topics.contains(topic));
            prop_assert!(!partitions.is_empty());
            for partition in partitions {
                prop_assert!(seen.insert((*topic, *partition)), "{partition} of {topic} has two owners");
            }
        }
    }
    let wanted: BTreeSet<_> = spec.members.values().flat_map(|m| &m.topics).collect();
    let all: BTreeSet<_> =
        wanted.into_iter().flat_map(|t| (0..spec.partition_count(*t)).map(|p| (*t, p))).collect();
    prop_assert_eq!(seen, all);
    prop_assert_eq!(targets.keys().collect::<Vec<_>>(), spec.members.keys().collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #[test]
    fn every_partition_has_one_owner(spec in any_spec()) {
        for assignor in Assignor::ALL {
            complete(&spec, &assignor.assign(&spec))?;
        }
    }

    #[test]
    fn uniform_is_sticky_and_even(mut spec in any_spec(), leaves in 0..6_usize) {
        let first = Assignor::Uniform.assign(&spec);
        keep(&mut spec, &first);
        prop_assert_eq!(&Assignor::Uniform.assign(&spec), &first, "nothing changed, so nothing moves");
        if spec.homogeneous {
            let sizes = first.values().map(|t| t.values().map(BTreeSet::len).sum::<usize>());
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            prop_assert!(most - least <= 1, "{first:?}");
        }
        spec.members.remove(&format!("m{leaves}"));
        if !spec.members.is_empty() {
            complete(&spec, &Assignor::Uniform.assign(&spec))?;
        }
    }

    #[test]
    fn uniform_leaves_no_move_that_would_even_out_two_subscribers(spec in any_spec()) {
        let targets = Assignor::Uniform.assign(&spec);
        let size = |id: &String| targets[id].values().map(BTreeSet::len).sum::<usize>();
        for (giver, target) in &targets {
            for topic in target.keys() {
                for (taker, member) in &spec.members {
                    let could = member.topics.contains(topic);
                    prop_assert!(!could || size(giver) <= size(taker) + 1, "{targets:?}");
                }
            }
        }
    }
}
