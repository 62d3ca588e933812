//! The body of a request: the first two bytes choose API and version, the rest is checked and decoded.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| klamm_broker::fuzzing::request(bytes));
