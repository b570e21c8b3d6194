//! libFuzzer's entry to `kinelog_fuzz::recovery_floor`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| kinelog_fuzz::recovery_floor::run(data));
