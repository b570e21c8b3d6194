//! libFuzzer's entry to the target that the variable `FUZZ_TARGET` names. One program for all: what
//! takes long is building the server with counters.
#![no_main]

use std::sync::LazyLock;

use kinelog_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.expect("FUZZ_TARGET names one of the targets")
});

libfuzzer_sys::fuzz_target!(init: { LazyLock::force(&TARGET); }, |data: &[u8]| (TARGET.run)(data));
