//! What the order service does with a plan: which topic it writes, and as which group it reads.

use klamm_contract::{ConsumerContract, Delivery, TopicContract};
use klamm_plan::Plan;

use crate::failure::Failure;
use crate::load::Loaded;

/// The work of one run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The topic that is written and read.
    pub topic: TopicContract,
    /// The group that builds the view, reduced to that topic.
    pub consumer: ConsumerContract,
    /// Size of a record's value, from the spec's `write: { record }`.
    pub record_bytes: usize,
}

impl Job {
    /// The first consumer that reads a topic of this plan, and that topic.
    pub fn of(plan: &Plan, loaded: &Loaded) -> Result<Job, Failure> {
        let reads = plan.consumers.iter().find_map(|consumer| {
            let mut topics = consumer.contract.topics.iter();
            topics.find_map(|name| plan.topic(name)).map(|topic| (topic, &consumer.contract))
        });
        let Some((topic, consumer)) = reads else {
            return Err(Failure::new(format!("{}: no consumer reads a topic of this spec", loaded.origin))
                .hint("add one under `consumers:`, or `--apply-only` to stop after the topics"));
        };
        if consumer.delivery == Delivery::ExactlyOnce {
            let what =
                format!("group {}: delivery exactly_once is not supported by this release", consumer.group);
            return Err(Failure::new(what)
                .hint("`delivery: at_least_once`, with work that may be repeated, as the order view's is"));
        }
        let specs = loaded.set.specs().iter().flat_map(|spec| &spec.topics);
        let record = specs.into_iter().find(|spec| spec.name.value == topic.contract.topic);
        let record_bytes = record.map_or(0, |spec| spec.write.record.bytes());
        Ok(Job {
            topic: topic.contract.clone(),
            consumer: ConsumerContract { topics: vec![topic.contract.topic.clone()], ..consumer.clone() },
            record_bytes: usize::try_from(record_bytes).unwrap_or(usize::MAX),
        })
    }
}
