//! See `onefold_fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onefold_fuzzing::target("stream_id")(data));
