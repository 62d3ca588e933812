//! A whole frame, with its header, of any API and version, to a broker's handlers.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    klamm_broker::fuzzing::frame(bytes).expect("a broker to send frames to");
});
