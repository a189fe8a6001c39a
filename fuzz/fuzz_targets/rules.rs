#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauspost_protocol::fuzz::run("rules", data));
