//! The binary, run as people run it, over the embedded broker and over real Kafka.

mod access;
mod apply;
mod audit;
mod bad_input;
mod embedded;
mod exports;
mod faults;
mod generated;
mod harness;
mod journal;
mod maintenance;
mod measuring;
mod pages;
mod readme;
mod repartition;
mod secured;
mod services;
mod testing_page;
mod up;
mod versions;
