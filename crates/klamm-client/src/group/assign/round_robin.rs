//! `roundrobin`: all partitions in turn, as `RoundRobinAssignor` does.

use super::{Member, Topic, in_order};
use crate::TopicPartition;

pub(super) fn assign(topics: &[Topic<'_>], members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let mut assigned = vec![Vec::new(); members.len()];
    let order = in_order(members);
    let mut turn = 0;
    for topic in topics {
        let wants = |at: usize| members.get(at).is_some_and(|member| member.wants(topic.name));
        for index in 0..topic.racks.len() {
            let next = (turn..turn + order.len())
                .filter_map(|turn| Some((turn, *order.get(turn % order.len())?)))
                .find(|(_, at)| wants(*at));
            let Some((taken, at)) = next else { break };
            turn = taken + 1;
            assigned.get_mut(at).into_iter().for_each(|list| list.push(topic.partition(index)));
        }
    }
    assigned
}
