//! The parts that need no topics: brokers, moves, quorum, disks, access, features, quotas, users, transactions.

use std::collections::{BTreeMap, BTreeSet};

use klamm_admin::{
    Admin, AdminError, ClientQuota, Features, Mechanism, Ongoing, QuorumDescription, ScramCredential,
};
use klamm_rules::Seen;
use klamm_rules::evidence::{
    Acls, Broker, FeatureLevel, LogDir, Quota, Reassignment, ReplicaSize, Scram, Transaction,
};

use super::missing::{of_brokers, seen};
use super::{DESCRIBE_CLUSTER, DESCRIBE_CLUSTER_CONFIGS, transactions};

/// Parts of the cluster, each with its own gaps.
pub(super) struct Parts {
    pub(super) reassignments: Seen<Vec<Reassignment>>,
    pub(super) quorum: Result<QuorumDescription, AdminError>,
    pub(super) log_dirs: Seen<Vec<LogDir>>,
    pub(super) acls: Seen<Acls>,
    pub(super) features: Seen<Vec<FeatureLevel>>,
    pub(super) quotas: Seen<Vec<Quota>>,
    pub(super) scram: Seen<Vec<Scram>>,
    pub(super) transactions: Seen<Vec<Transaction>>,
}

impl Parts {
    pub(super) async fn collect(admin: &Admin) -> Parts {
        let (reassignments, quorum, log_dirs, acls, features, quotas, scram, transactions) = tokio::join!(
            admin.list_reassignments(),
            admin.describe_quorum(),
            admin.log_dirs(),
            admin.describe_acls(),
            admin.features(),
            admin.all_quotas(),
            admin.all_scram_users(),
            transactions::collect(admin),
        );
        let acls = acls.map(|rules| Acls { authorizer: rules.is_some(), rules: rules.unwrap_or_default() });
        Parts {
            reassignments: seen(reassignments, DESCRIBE_CLUSTER)
                .map(|moves| moves.into_iter().map(reassignment).collect()),
            quorum,
            log_dirs: of_brokers(log_dirs, DESCRIBE_CLUSTER).map(dirs),
            acls: seen(acls, DESCRIBE_CLUSTER),
            features: of_brokers(features, "nothing").map(|of_brokers| levels(&of_brokers)),
            quotas: seen(quotas, DESCRIBE_CLUSTER_CONFIGS)
                .map(|quotas| quotas.into_iter().map(quota).collect()),
            scram: seen(scram, DESCRIBE_CLUSTER).map(|users| users.into_iter().map(user).collect()),
            transactions,
        }
    }
}

/// Brokers that are alive, each with its configuration.
pub(super) async fn brokers(admin: &Admin) -> Seen<Vec<Broker>> {
    let mut configs = admin.broker_configs().await;
    let broker = |node: klamm_contract::facts::BrokerFacts| Broker {
        id: node.id,
        host: node.host,
        port: node.port,
        rack: node.rack,
        configs: match configs.remove(&node.id) {
            Some(told) => seen(told, DESCRIBE_CLUSTER_CONFIGS),
            None => Seen::Failed { why: "it came up while the cluster was looked at".to_owned() },
        },
        clock_ahead_ms: None,
    };
    let brokers: Vec<Broker> = admin.nodes().into_iter().map(broker).collect();
    match brokers.is_empty() {
        true => Seen::Failed { why: "no broker is known".to_owned() },
        false => Seen::Full(brokers),
    }
}

fn reassignment(ongoing: Ongoing) -> Reassignment {
    let Ongoing { topic, partition, adding, removing, .. } = ongoing;
    Reassignment { topic, partition, adding, removing }
}

fn dirs(of_brokers: BTreeMap<i32, Vec<klamm_admin::LogDir>>) -> Vec<LogDir> {
    let replica = |replica: klamm_admin::LogDirReplica| ReplicaSize {
        topic: replica.topic,
        partition: replica.partition,
        bytes: replica.bytes,
        lag: replica.lag,
    };
    let dirs = of_brokers.into_iter().flat_map(|(broker, dirs)| {
        dirs.into_iter().map(move |dir| LogDir {
            broker,
            path: dir.path,
            error: dir.error.map(|code| code.to_string()),
            total_bytes: dir.total_bytes,
            usable_bytes: dir.usable_bytes,
            replicas: dir.replicas.into_iter().map(replica).collect(),
        })
    });
    dirs.collect()
}

/// What is finalized, and the highest level that every broker supports: one that does not know a feature has level 0.
fn levels(of_brokers: &BTreeMap<i32, Features>) -> Vec<FeatureLevel> {
    let newest = of_brokers.values().max_by_key(|features| features.epoch);
    let finalized = newest.map(|features| &features.finalized);
    let names: BTreeSet<&String> = of_brokers
        .values()
        .flat_map(|features| features.supported.keys())
        .chain(finalized.into_iter().flat_map(BTreeMap::keys))
        .collect();
    let level = |name: &String| FeatureLevel {
        name: name.clone(),
        finalized: finalized.and_then(|finalized| finalized.get(name)).copied(),
        supported: of_brokers
            .values()
            .map(|features| features.supported.get(name).copied().unwrap_or(0))
            .min()
            .unwrap_or(0),
    };
    names.into_iter().map(level).collect()
}

fn quota(quota: ClientQuota) -> Quota {
    Quota { entity: quota.entity, values: quota.values }
}

fn user(known: ScramCredential) -> Scram {
    let mechanism = match known.hash {
        klamm_wire::sasl::Hash::Sha256 => Mechanism::ScramSha256,
        klamm_wire::sasl::Hash::Sha512 => Mechanism::ScramSha512,
    };
    Scram { user: known.user, mechanism: mechanism.name().to_owned(), iterations: known.iterations }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_supported_as_far_as_the_oldest_broker_supports_it() {
        let features = |supported: &[(&str, i16)], finalized: &[(&str, i16)], epoch| Features {
            supported: supported.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect(),
            finalized: finalized.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect(),
            epoch,
        };
        let of_brokers = [
            (1, features(&[("metadata.version", 27), ("share.version", 1)], &[("metadata.version", 20)], 7)),
            (2, features(&[("metadata.version", 25)], &[("metadata.version", 21)], 9)),
        ];
        let levels = levels(&of_brokers.into());
        let told: Vec<_> =
            levels.iter().map(|level| (level.name.as_str(), level.finalized, level.supported)).collect();
        assert_eq!(told, [("metadata.version", Some(21), 25), ("share.version", None, 0)]);
    }
}
