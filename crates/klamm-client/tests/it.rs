//! The client over the embedded broker and over real Kafka.

mod consume;
mod faults;
mod produce;
mod read;
mod setup;
mod unreachable;
