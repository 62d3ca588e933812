//! Contracts of service orders: made by klamm from plan 0b56033abea8ce61fae9a7dba69234ad; change the spec and export again.

use klamm::contract::{
    Acks, Consistency, ConsumerContract, Delivery, Durability, Order, ProducerPromise, Profile, Retention, Survive,
    TopicContract, TopicPromise,
};

/// Topic orders.events: any 1 broker of 3 down: writes go on and no acknowledged record is lost.
pub fn topic_orders_events() -> TopicContract {
    TopicContract {
        topic: "orders.events".to_owned(),
        profile: Profile::Prod,
        durability: Durability {
            consistency: Consistency::Strong,
            survive: Survive { brokers: 1, racks: 0 },
        },
        order: Order::PerKey,
        key: Some("order_id".to_owned()),
        layer_topic: TopicPromise {
            partitions: 12,
            replication_factor: 3,
            min_insync_replicas: 2,
            unclean_leader_election: false,
            max_message_bytes: 1048588,
            retention: Retention::Time { ms: 604800000 },
        },
        layer_producer: ProducerPromise {
            acks: Acks::All,
            idempotence: true,
            max_in_flight: 5,
            delivery_timeout_ms: 120000,
            request_timeout_ms: 30000,
            linger_ms: 5,
            batch_bytes: 32768,
            compression: "lz4".to_owned(),
            max_request_bytes: 1048576,
        },
    }
}

/// Group order-view: reads orders.events.
pub fn group_order_view() -> ConsumerContract {
    ConsumerContract {
        group: "order-view".to_owned(),
        topics: ["orders.events"].map(str::to_owned).to_vec(),
        delivery: Delivery::AtLeastOnce,
        max_poll_interval_ms: 300000,
        session_timeout_ms: 45000,
        max_poll_records: 500,
        read_committed: true,
    }
}
