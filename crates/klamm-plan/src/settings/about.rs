//! What goes wrong without a setting, and since when it is as it is: one line a setting, whatever its value.

use klamm_contract::Layer;

/// What goes wrong otherwise, and the versions of Kafka that it holds for (empty: all that are planned for).
pub(super) fn about(layer: Layer, name: &str) -> (&'static str, &'static str) {
    let table = match layer {
        Layer::Producer => PRODUCER,
        Layer::Consumer => CONSUMER,
        Layer::Topic => TOPIC,
        Layer::Broker | Layer::Controller => BROKER,
        Layer::Streams => STREAMS,
        Layer::Mirror => MIRROR,
    };
    let row = table.iter().find(|(known, ..)| *known == name);
    row.map_or(("", ""), |(_, otherwise, since)| (*otherwise, *since))
}

type Row = (&'static str, &'static str, &'static str);

const PRODUCER: &[Row] = &[
    ("acks", "a record that only the leader had is gone with the leader", "default since 3.0"),
    (
        "enable.idempotence",
        "a retry after a lost answer stores the record twice, or behind later ones",
        "default since 3.0",
    ),
    ("max.in.flight.requests.per.connection", "above 5 the client refuses to be idempotent", ""),
    ("retries", "a failover of seconds becomes an error in the program", ""),
    ("delivery.timeout.ms", "records are given up during a failover that would have ended well", ""),
    ("request.timeout.ms", "a slow answer is taken for none, and sent again", ""),
    (
        "linger.ms",
        "a request for each record: brokers are busy with requests instead of bytes",
        "5 since 4.0, 0 before",
    ),
    ("batch.size", "batches are cut short at the peak, compress worse, and requests multiply", ""),
    ("compression.type", "several times the network, the disk and the page cache", ""),
    ("max.request.size", "the largest record is refused by its own producer", ""),
];

const CONSUMER: &[Row] = &[
    ("group.id", "there is nowhere to keep offsets", ""),
    (
        "enable.auto.commit",
        "offsets of records that nobody has finished are committed: a crash skips them",
        "",
    ),
    ("auto.offset.reset", "with latest, what was written before the first commit is skipped", ""),
    ("isolation.level", "results of transactions that were taken back are worked on", ""),
    ("max.poll.records", "a poll takes longer to work off than the group waits for the next one", ""),
    ("max.poll.interval.ms", "slow work makes the group move partitions, and the work is done twice", ""),
    (
        "session.timeout.ms",
        "a pause of the garbage collector moves partitions, or a dead member holds them",
        "45 s since 3.0",
    ),
    ("group.instance.id", "each deployment moves all partitions twice", ""),
    (
        "partition.assignment.strategy",
        "every rebalance stops all members (eager), not only those that give something up",
        "",
    ),
    ("group.protocol", "a rebalance waits for the slowest member", "4.0"),
];

const TOPIC: &[Row] = &[
    ("partitions", "too few: no room for more consumers; more of them later move keys", ""),
    ("replication.factor", "a broker that is gone takes the data with it", ""),
    (
        "min.insync.replicas",
        "acks=all can mean one copy, which is lost with its broker",
        "clears eligible leader replicas when changed (4.1)",
    ),
    (
        "unclean.leader.election.enable",
        "an outdated copy leads, and what it lacks is gone without a word",
        "",
    ),
    ("cleanup.policy", "records go that were to stay, or stay that were to go", ""),
    ("retention.ms", "records go before their readers came, or disks fill", ""),
    ("retention.bytes", "one limit hides behind the other", ""),
    (
        "segment.ms",
        "an hour of retention can mean seven days and an hour: the open segment is never deleted",
        "",
    ),
    ("segment.bytes", "retention is as coarse as the segments are large", "at least 1 MiB since 4.0"),
    ("min.cleanable.dirty.ratio", "the cleaner runs all the time, or the log is mostly old values", ""),
    ("max.message.bytes", "the largest record is refused by the broker after the producer took it", ""),
    ("message.timestamp.type", "retention and windows follow clocks that are not yours", ""),
];

const BROKER: &[Row] = &[
    ("auto.create.topics.enable", "a misspelt name becomes a topic that nobody planned", ""),
    ("replica.lag.time.max.ms", "a slow copy holds writes up, or leaves the set at each pause", ""),
    ("broker.rack", "all copies can be in the rack that burns", ""),
    ("default.replication.factor", "a topic that somebody makes by hand has one copy", ""),
    (
        "min.insync.replicas",
        "a topic that somebody makes by hand has a floor of one",
        "a dynamic default with eligible leader replicas (4.1)",
    ),
    (
        "unclean.leader.election.enable",
        "an outdated copy leads, and what it lacks is gone without a word",
        "",
    ),
    ("num.partitions", "a topic that somebody makes by hand cannot be shared by consumers", ""),
    ("offsets.topic.replication.factor", "committed offsets are gone with one broker: groups start over", ""),
    ("offsets.retention.minutes", "a group that was away longer starts over", ""),
    ("transaction.state.log.replication.factor", "transactions stop with one broker", ""),
    ("transaction.state.log.min.isr", "the outcome of a transaction can be lost", ""),
    ("share.coordinator.state.topic.replication.factor", "share groups stop with one broker", "4.1"),
    ("share.coordinator.state.topic.min.isr", "what a share group has finished can be lost", "4.1"),
    (
        "message.max.bytes",
        "a topic's larger limit is copied by replicas, other topics refuse large records by surprise",
        "",
    ),
    (
        "num.recovery.threads.per.data.dir",
        "a broker that crashed takes hours to read its segments on start",
        "2 since 4.0, 1 before",
    ),
    ("num.replica.fetchers", "a broker that comes back takes long to catch up: one thread a source", ""),
    ("controlled.shutdown.enable", "each restart is an election under load", ""),
    ("auto.leader.rebalance.enable", "after a restart one broker leads nothing and the others too much", ""),
];

const STREAMS: &[Row] = &[
    ("application.id", "two applications share state and offsets", ""),
    ("processing.guarantee", "a crash counts records twice", ""),
    ("num.standby.replicas", "a lost instance is down until its state is read again", ""),
    ("state.dir", "the state is under /tmp: gone at the next boot, and read again from the brokers", ""),
    ("replication.factor", "changelogs have one copy: the state is gone with a broker", ""),
    ("topic.min.insync.replicas", "changelogs acknowledge on one copy", ""),
    ("num.stream.threads", "cores are idle, or wait for each other", ""),
    ("commit.interval.ms", "results are held back, or commits cost more than the work", ""),
    ("statestore.cache.max.bytes", "each update goes downstream by itself", "3.4"),
    ("acceptable.recovery.lag", "a task moves to an instance that has most of its state to read", ""),
    ("group.protocol", "the clients assign tasks", "4.2"),
];

const MIRROR: &[Row] = &[
    (
        "replication.factor",
        "mirrored topics have two copies (the default): one broker down and one lost lose data",
        "",
    ),
    (
        "sync.group.offsets.enabled",
        "groups start over on the second cluster (the default does not move offsets)",
        "",
    ),
    ("sync.group.offsets.interval.seconds", "groups repeat a minute of records", ""),
    ("emit.checkpoints.interval.seconds", "translated offsets are a minute old", ""),
    ("offset.lag.max", "up to 100 records of each partition are repeated", ""),
    ("refresh.topics.interval.seconds", "a new topic is not mirrored for ten minutes", ""),
    ("sync.topic.configs.enabled", "a changed retention stays on one side", ""),
    ("tasks.max", "one task mirrors all partitions", ""),
    ("consumer.auto.offset.reset", "what was written before the mirror is not mirrored", ""),
    ("producer.acks", "a mirrored record can be lost with one broker of the second cluster", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_there_once() {
        for table in [PRODUCER, CONSUMER, TOPIC, BROKER, STREAMS, MIRROR] {
            let mut names: Vec<&str> = table.iter().map(|(name, ..)| *name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
