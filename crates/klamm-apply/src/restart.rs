//! The order in which the nodes of a cluster are restarted.

use klamm_admin::{Admin, AdminError, Quorum};
use klamm_contract::facts::ClusterFacts;
use serde::Serialize;

use crate::maintenance::stop_report;

/// Nodes in the order in which they are restarted, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestartOrder {
    /// Brokers, rack by rack; one that is the active controller is last.
    pub brokers: Vec<Restart>,
    /// Controllers that are no brokers, the active one last.
    pub controllers: Vec<i32>,
    /// Node id of the active controller.
    pub active: i32,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// Node id.
    pub broker: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Leaders that move when it stops.
    pub leads: usize,
    /// Partitions that would not go on without it as things are now.
    pub blocked: usize,
}

/// Looks at the cluster: all topics, brokers and the quorum.
///
/// # Errors
/// What the cluster said.
pub async fn restart_order(admin: &Admin) -> Result<RestartOrder, AdminError> {
    let quorum = admin.quorum().await?;
    let facts = admin.facts(&admin.list_topics().await?).await?;
    Ok(order(&facts, &quorum))
}

fn order(facts: &ClusterFacts, quorum: &Quorum) -> RestartOrder {
    let mut brokers: Vec<Restart> = facts
        .brokers
        .iter()
        .map(|broker| {
            let report = stop_report(facts, broker.id);
            let (leads, blocked) = (report.leads, report.blocked.len());
            Restart { broker: broker.id, rack: broker.rack.clone(), leads, blocked }
        })
        .collect();
    // Copies of a rack are elsewhere, too: what is not back yet is all in one rack. Each move of the active controller is an
    // election more, so it moves once, at the end.
    brokers.sort_by_key(|restart| (restart.broker == quorum.leader, restart.rack.clone(), restart.broker));
    let is_broker = |id: &i32| facts.brokers.iter().any(|broker| broker.id == *id);
    let mut controllers: Vec<i32> = quorum.voters.iter().copied().filter(|id| !is_broker(id)).collect();
    controllers.sort_by_key(|id| (*id == quorum.leader, *id));
    RestartOrder { brokers, controllers, active: quorum.leader }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use klamm_contract::facts::BrokerFacts;

    use super::*;

    #[test]
    fn racks_go_one_after_another_and_the_active_controller_last() {
        let broker = |(id, rack): (i32, &str)| BrokerFacts {
            id,
            host: "kafka".to_owned(),
            port: 9092,
            rack: Some(rack.to_owned()),
            configs: BTreeMap::new(),
        };
        let brokers = [(1, "a"), (2, "b"), (3, "a"), (4, "b")].map(broker).into();
        let facts = ClusterFacts { brokers, ..ClusterFacts::default() };
        let found = order(&facts, &Quorum { leader: 1, voters: vec![1, 2, 100, 101] });
        assert_eq!(found.brokers.iter().map(|restart| restart.broker).collect::<Vec<_>>(), [3, 2, 4, 1]);
        assert_eq!(found.controllers, [100, 101]);
        let found = order(&facts, &Quorum { leader: 100, voters: vec![100, 101, 102] });
        assert_eq!(found.brokers.iter().map(|restart| restart.broker).collect::<Vec<_>>(), [1, 3, 2, 4]);
        assert_eq!(found.controllers, [101, 102, 100]);
    }
}
