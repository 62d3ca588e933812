//! Contracts for library users who have no spec.

use crate::{
    Acks, Consistency, ConsumerContract, Delivery, Durability, Order, ProducerPromise, Profile, Retention,
    Survive, TopicContract, TopicPromise,
};

/// Kafka's default of `max.message.bytes`: 1 MiB and the 12 bytes of a log entry's header.
const MAX_MESSAGE_BYTES: u64 = 1_048_588;
const DAY_MS: u64 = 86_400_000;

impl TopicContract {
    /// A topic that loses nothing and goes on with any one broker down: three copies, two of them in sync before a
    /// write is acknowledged (`2b + 1` copies and a floor of `b + 1` survive `b` brokers).
    ///
    /// ```
    /// use klamm_contract::TopicContract;
    /// let contract = TopicContract::strong("orders.events");
    /// assert_eq!(contract.layer_topic.min_insync_replicas, 2);
    /// ```
    pub fn strong(topic: impl Into<String>) -> Self {
        TopicContract {
            topic: topic.into(),
            profile: Profile::Prod,
            durability: Durability {
                consistency: Consistency::Strong,
                survive: Survive { brokers: 1, racks: 0 },
            },
            order: Order::PerKey,
            key: None,
            layer_topic: TopicPromise {
                partitions: 6,
                replication_factor: 3,
                min_insync_replicas: 2,
                unclean_leader_election: false,
                max_message_bytes: MAX_MESSAGE_BYTES,
                retention: Retention::Time { ms: 7 * DAY_MS },
            },
            layer_producer: ProducerPromise::durable(),
        }
    }

    /// A topic whose newest records may be lost in a failure: it goes on with any one broker down and takes writes as
    /// long as one copy is left.
    pub fn eventual(topic: impl Into<String>) -> Self {
        let mut contract = TopicContract::strong(topic);
        contract.durability.consistency = Consistency::Eventual;
        contract.layer_topic.replication_factor = 2;
        contract.layer_topic.min_insync_replicas = 1;
        contract
    }

    /// The same under the dev profile: one copy on one broker is enough. What is asked stays in `durability`.
    #[must_use]
    pub fn dev(mut self) -> Self {
        self.profile = Profile::Dev;
        self.layer_topic.replication_factor = 1;
        self.layer_topic.min_insync_replicas = 1;
        self
    }

    /// The same with `partitions` partitions.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.layer_topic.partitions = partitions;
        self
    }
}

impl ProducerPromise {
    /// Everything acknowledged by the whole in-sync set, in order, for as long as a failover may take. Kafka 4's own
    /// defaults (KIP-679, KIP-91, KIP-1030), said aloud, with lz4.
    pub fn durable() -> Self {
        ProducerPromise {
            acks: Acks::All,
            idempotence: true,
            max_in_flight: 5,
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 30_000,
            linger_ms: 5,
            batch_bytes: 16_384,
            compression: "lz4".to_owned(),
            max_request_bytes: 1_048_576,
        }
    }
}

impl ConsumerContract {
    /// A group that commits what is finished, and reads what no transaction has aborted.
    pub fn at_least_once(
        group: impl Into<String>,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        ConsumerContract {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            delivery: Delivery::AtLeastOnce,
            max_poll_interval_ms: 300_000,
            session_timeout_ms: 45_000,
            max_poll_records: 500,
            read_committed: true,
        }
    }
}
