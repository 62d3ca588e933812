//! What Java's own assignors decide in the same cases: `cargo xtask golden` asks them (`tests/java/Assignors.java`) and compares. The cases
//! are by chance: with and without racks, static members, claims of older generations, claims of two members, and topics nobody has.

use std::sync::Arc;

use ::bytes::Bytes;

use super::{ConsumerSubscription, Member, Strategy, Topics};

const GOLDEN: &str = include_str!("assignments.txt");

fn topics(text: &str) -> Topics {
    let racks = |text: &str| -> Vec<Arc<str>> {
        text.split('/').filter(|rack| *rack != "-").map(Arc::from).collect()
    };
    text.split(';')
        .map(|topic| {
            let (name, partitions) = topic.split_once(':').expect("a topic has a name");
            let partitions = partitions.split(',').filter(|racks| !racks.is_empty());
            (Arc::from(name), partitions.map(racks).collect())
        })
        .collect()
}

fn member(text: &str) -> Member {
    let mut parts = text.split(',');
    let mut next = || parts.next().expect("a member has three parts");
    let (id, instance, hex) = (next(), next(), next());
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hex");
    let bytes: Bytes = (0..hex.len()).step_by(2).map(byte).collect();
    Member {
        id: id.to_owned(),
        instance_id: Some(instance.to_owned()).filter(|instance| !instance.is_empty()),
        subscription: ConsumerSubscription::decode(&bytes).expect("it is a subscription"),
    }
}

/// What is decided in a case, written as Java's answer is.
pub(super) fn decided(case: &str) -> String {
    let mut parts = case.split(' ');
    let mut next = || parts.next().expect("a case has three parts");
    let strategy = Strategy::named(next()).expect("it is a strategy");
    let topics = topics(next());
    let members: Vec<Member> = next().split(';').map(member).collect();
    let lists = strategy.assign(&topics, &members).into_iter().map(|list| {
        let mut list: Vec<String> = list.iter().map(ToString::to_string).collect();
        list.sort();
        list.join(",")
    });
    lists.collect::<Vec<_>>().join(";")
}

#[test]
fn all_is_decided_as_java_decides_it() {
    assert!(GOLDEN.lines().count() > 300);
    for line in GOLDEN.lines() {
        let (case, answer) = line.split_once(" => ").expect("a line has an answer");
        assert_eq!(decided(case), answer, "{case}");
    }
}
