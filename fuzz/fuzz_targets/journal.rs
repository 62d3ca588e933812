//! The bytes of a journal, opened and replayed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    klamm_broker::fuzzing::journal(bytes).expect("room for a temporary file");
});
