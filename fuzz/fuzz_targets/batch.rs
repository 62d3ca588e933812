//! A record batch, checked as a produce request's.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| klamm_broker::fuzzing::batch(bytes));
