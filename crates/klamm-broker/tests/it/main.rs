//! The broker as a client sees it: the protocol over TCP.

mod client;
mod docs;
mod fuzz;
mod producer;

/// Named so that the stages of the build can tell these tests from those that need a real Kafka.
mod on_embedded {
    mod admin;
    mod configs;
    mod connections;
    mod consumer_groups;
    mod faults;
    mod groups;
    mod kills;
    mod produce_and_fetch;
    mod restart;
    mod security;
    mod topics;
    mod transactions;
}
