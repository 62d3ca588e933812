//! The client over the embedded broker and over real Kafka.

mod consume;
mod faults;
mod produce;
mod produce_faults;
mod produce_outages;
mod read;
mod setup;
mod unreachable;
