//! The cluster, through the admin API.
//!
//! Every part stands alone: one that is denied, one that the brokers do not know and one broker that dies halfway each
//! leave their mark on that part only. Kafka leaves out of lists what one may not describe, without a word; so whether
//! all was seen is asked with names that do not exist, and the log directories name topics, too.
//!
//! What is sent, for B brokers, T topics and P partitions that are spread evenly:
//!
//! | Request | To each broker | B = 3, T = 2,000, P = 10,000 |
//! | --- | --- | --- |
//! | ApiVersions, as a connection is made (with SASL 3 or 4) | 1, the first one 2 | 2 |
//! | Metadata of all topics; rights on names that do not exist; rights of hidden topics | 3 to one of them | 3 |
//! | DescribeConfigs of the broker | 1 | 1 |
//! | DescribeConfigs of topics, 100 in each | T / 100 / B | 7 |
//! | ListOffsets: end, last stable offset, start; 5,000 partitions in each | 3 x P / B / 5,000 | 3 |
//! | DescribeProducers, of partitions whose stable offset stays behind; 500 in each | mostly 0 | 0 |
//! | DescribeLogDirs, ApiVersions (features), ListTransactions | 1 each | 3 |
//! | DescribeTransactions, 500 ids in each, 2,000 ids at most | ids / B / 500 | 1 |
//! | DescribeQuorum, DescribeAcls, DescribeClientQuotas, ListPartitionReassignments, DescribeUserScramCredentials, DescribeTransactions (rights) | 6 to one of them | 6 |
//! | ListOffsets: newest time stamp; only of promised topics, with a second cluster ([`newest()`]) | P / B / 5,000 | mostly 0 |
//!
//! That is no more than 26 to one broker, and fits into the first second of 30.

mod absent;
mod missing;
mod newest;
mod parts;
mod topics;
mod transactions;

use std::time::Duration;

use klamm_admin::{Admin, QuorumDescription, Security};
use klamm_rules::Seen;
use klamm_rules::evidence::{Cluster, Live, Quorum, QuorumNode};

pub(crate) use missing::{Missing, lacking, of_brokers, seen, why};
pub use newest::newest;
pub(crate) use topics::PROBE;

/// What every cluster-wide part needs, but for configurations.
pub(crate) const DESCRIBE_CLUSTER: &str = "DESCRIBE on Cluster:kafka-cluster";
/// What configurations of brokers and quotas need.
pub(crate) const DESCRIBE_CLUSTER_CONFIGS: &str = "DESCRIBE_CONFIGS on Cluster:kafka-cluster";

/// A clock that is known no better than this is not known.
const CLOCK_BOUND_MS: i64 = 1_000;

/// How the cluster is looked at.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Addresses that it is asked through, comma-separated: for commands that are printed.
    pub bootstrap: String,
    /// The longest time for one call, its retries together. A broker that is silent costs no more than this.
    pub call_timeout: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        LiveOptions { bootstrap: String::new(), call_timeout: Duration::from_secs(15) }
    }
}

/// Looks at the whole cluster. It never fails: what could not be seen is part of what it returns. Certificates are not
/// asked here.
pub async fn collect(admin: &Admin, options: &LiveOptions) -> Live {
    let admin = &admin.with_api_timeout(options.call_timeout);
    // First, since it also finds the brokers.
    let listed = admin.topics().await;
    let (nodes, parts, described) = tokio::join!(
        parts::brokers(admin),
        parts::Parts::collect(admin),
        topics::Described::collect(admin, &listed),
    );
    let (quorum, clock) = match parts.quorum {
        Ok(told) => (Seen::Full(quorum(&told)), clock(&told)),
        error => (seen(error.map(|told| quorum(&told)), DESCRIBE_CLUSTER), None),
    };
    let completeness = topics::completeness(admin, &listed, &described, &parts.log_dirs).await;
    let mut live = Live {
        bootstrap: options.bootstrap.clone(),
        secured: admin.options().security != Security::default(),
        cluster: Seen::Full(cluster(admin)),
        brokers: nodes.map(|mut nodes| {
            if let Some((leader, clock)) = clock
                && let Some(node) = nodes.iter_mut().find(|node| node.id == leader)
            {
                node.clock_ahead_ms = Some(clock);
            }
            nodes
        }),
        topics: completeness.of(described.topics),
        offsets: completeness.of(described.offsets),
        producers: completeness.of(described.producers),
        reassignments: parts.reassignments,
        quorum,
        log_dirs: parts.log_dirs,
        acls: parts.acls,
        features: parts.features,
        quotas: parts.quotas,
        scram: parts.scram,
        transactions: completeness.of_transactions(parts.transactions),
        certificates: Seen::NotAsked,
        newest: Seen::NotAsked,
    };
    absent::note(&mut live);
    live
}

fn cluster(admin: &Admin) -> Cluster {
    let security = &admin.options().security;
    let certificate = security.tls.as_ref().is_some_and(|tls| tls.client.is_some());
    Cluster {
        id: admin.cluster_id(),
        embedded: admin.is_embedded(),
        protocol: security.protocol().to_owned(),
        anonymous: security.sasl.is_none() && !certificate,
    }
}

fn quorum(told: &QuorumDescription) -> Quorum {
    // All times are the leader's; its own entry has the time of the answer.
    let ago = |then: Option<i64>| Some((told.clock?.now_ms - then?).max(0));
    let node = |told: &klamm_admin::QuorumReplica| QuorumNode {
        id: told.id,
        log_end: told.log_end,
        fetched_ms_ago: ago(told.last_fetch_ms),
        caught_up_ms_ago: ago(told.last_caught_up_ms),
    };
    Quorum {
        leader: told.leader,
        voters: told.voters.iter().map(node).collect(),
        observers: told.observers.iter().map(node).collect(),
    }
}

/// The leader's clock less this machine's, with the bound of the error: the answer was made between the two readings.
fn clock(told: &QuorumDescription) -> Option<(i32, (i64, i64))> {
    let clock = told.clock?;
    let bound = (clock.answered_ms - clock.asked_ms).max(0) / 2 + 1;
    let ahead = clock.now_ms - (clock.asked_ms + (clock.answered_ms - clock.asked_ms) / 2);
    (bound <= CLOCK_BOUND_MS).then_some((told.leader, (ahead, bound)))
}

#[cfg(test)]
mod tests {
    use klamm_admin::{LeaderClock, QuorumReplica};

    use super::*;

    fn told(clock: Option<LeaderClock>) -> QuorumDescription {
        let replica = |id, last_fetch_ms, last_caught_up_ms| QuorumReplica {
            id,
            log_end: 9,
            last_fetch_ms,
            last_caught_up_ms,
        };
        QuorumDescription {
            leader: 1,
            voters: vec![replica(1, None, Some(100_000)), replica(2, Some(99_500), Some(99_000))],
            observers: vec![replica(3, None, None)],
            clock,
        }
    }

    #[test]
    fn how_far_nodes_are_behind_is_told_by_the_leaders_clock_alone() {
        let clock = LeaderClock { now_ms: 100_000, asked_ms: 5_000, answered_ms: 5_010 };
        let quorum = quorum(&told(Some(clock)));
        let ago: Vec<_> =
            quorum.voters.iter().map(|voter| (voter.fetched_ms_ago, voter.caught_up_ms_ago)).collect();
        assert_eq!(ago, [(None, Some(0)), (Some(500), Some(1_000))]);
        assert_eq!(quorum.observers[0].fetched_ms_ago, None);
    }

    #[test]
    fn a_clock_is_taken_only_when_it_is_known_well_enough() {
        let clock = |answered_ms| LeaderClock { now_ms: 7_000, asked_ms: 5_000, answered_ms };
        assert_eq!(super::clock(&told(Some(clock(5_020)))), Some((1, (1_990, 11))));
        assert_eq!(super::clock(&told(Some(clock(9_000)))), None);
        assert_eq!(super::clock(&told(None)), None);
    }
}
