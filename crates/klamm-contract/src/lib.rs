//! What a topic promises across producer, topic and broker, and whether given layers keep it.
//!
//! A [`TopicContract`] is derived by the planner, installed by `apply`, demanded by the durable producer before its
//! first send, and proved by the tests. This crate is tiny and pure so that a client can link it without the planner.

mod builder;
pub mod facts;
mod keep;
mod placement;
mod topic;

pub use keep::{Breach, keeps};
pub use placement::{Loss, Unit, worst_loss};
pub use topic::{
    Acks, Consistency, ConsumerContract, Delivery, Durability, Layer, Order, ProducerPromise, Profile,
    Retention, Survive, TopicContract, TopicPromise,
};
