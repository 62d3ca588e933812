//! Where a side stands in a conversation of a `consumer` group: its topics, and what each member was told last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klamm_testkit::anyhow::{Result, ensure};
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use uuid::Uuid;

use super::step::Epoch;
use crate::side::{Side, code, topic};

/// Topics of a conversation.
pub const TOPICS: usize = 3;

/// So often a topic is made until its id is where it should be; a third of all ids are.
const MOST_TRIES: usize = 200;

/// An epoch that no group of a conversation reaches.
const STRANGE_EPOCH: i32 = 1_000;

/// Partitions by topic.
pub type Parts = BTreeMap<Uuid, BTreeSet<i32>>;

/// What a member was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub epoch: i32,
    pub previous: i32,
    pub parts: Parts,
}

impl Default for Told {
    /// Somebody who was told nothing. Epoch 0 would be that of a member that joins.
    fn default() -> Self {
        Self { epoch: STRANGE_EPOCH, previous: STRANGE_EPOCH, parts: Parts::new() }
    }
}

impl Told {
    pub fn at(&self, epoch: Epoch) -> i32 {
        match epoch {
            Epoch::Is(epoch) => epoch,
            Epoch::Told(off) => self.epoch + off,
            Epoch::Previous => self.previous,
        }
    }
}

#[derive(Debug, Default)]
pub struct Place {
    /// The present id of each topic, nil while there is none.
    pub ids: [Uuid; TOPICS],
    /// Each id that there has been, by the name that both sides share.
    names: HashMap<Uuid, String>,
    pub members: BTreeMap<usize, Told>,
    made: usize,
}

impl Place {
    /// A topic as both sides call it.
    pub fn name(&self, id: Uuid) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| "another".to_owned())
    }

    pub fn told(&self, member: usize) -> Told {
        self.members.get(&member).cloned().unwrap_or_default()
    }

    /// Partitions as both sides write them.
    pub fn text<'a>(&self, parts: impl Iterator<Item = (Uuid, &'a [i32])>) -> String {
        let mut all: Vec<_> = parts
            .map(|(id, partitions)| {
                let mut partitions = partitions.to_vec();
                partitions.sort_unstable();
                format!("{}{partitions:?}", self.name(id))
            })
            .collect();
        all.sort();
        format!("<{}>", all.join(" "))
    }
}

/// Makes a topic under an id that stands where the side comes to it in this place of all topics. Assignors go through topics in an order of
/// their ids, which differs between the sides: Kafka's is that of a hash table.
pub fn make(side: &mut Side, name: &str, place: usize, partitions: i32) -> Result<()> {
    for _ in 0..MOST_TRIES {
        let new = CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        let made = side.settled(7, &request, |answer| answer.topics[0].error_code)?.topics.remove(0);
        ensure!(made.error_code == 0, "{name} was not made: {}", code(made.error_code));
        if third(side.is_kafka(), made.topic_id) == place {
            side.groups.made += 1;
            let known = format!("t{place}.{}.", side.groups.made);
            side.groups.names.insert(made.topic_id, known);
            side.groups.ids[place] = made.topic_id;
            return Ok(());
        }
        remove(side, name)?;
    }
    klamm_testkit::anyhow::bail!("no id of {name} stands in place {place}")
}

/// Deletes a topic by its name.
pub fn remove(side: &mut Side, name: &str) -> Result<String> {
    let wanted = DeleteTopicState::default().with_name(Some(topic(name)));
    let request = DeleteTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(30_000);
    Ok(code(side.settled(6, &request, |_| 0)?.responses[0].error_code))
}

pub fn grow(side: &mut Side, name: &str, to: i32) -> Result<String> {
    let wanted =
        CreatePartitionsTopic::default().with_name(topic(name)).with_count(to).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(30_000);
    Ok(code(side.settled(3, &request, |_| 0)?.results[0].error_code))
}

/// In which third of the order an id stands. Here ids are in their own order; in Kafka they are in a `HashSet`, whose 16 buckets are chosen by
/// `Uuid.hashCode`.
fn third(kafka: bool, id: Uuid) -> usize {
    let (most, least) = id.as_u64_pair();
    let at = if kafka {
        let folded = most ^ least;
        let hash = (folded >> 32) as u32 ^ folded as u32;
        ((hash ^ (hash >> 16)) & 15) as usize
    } else {
        (most >> 60) as usize
    };
    // The last bucket belongs to nobody: the thirds are of one size.
    at / 5
}
