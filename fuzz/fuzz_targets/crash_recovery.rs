//! libFuzzer's entry to `kinelog_fuzz::crash_recovery`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| kinelog_fuzz::crash_recovery::run(data));
