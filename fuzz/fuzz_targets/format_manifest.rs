//! libFuzzer's entry to `kinelog_fuzz::format_manifest`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| kinelog_fuzz::format_manifest::run(data));
