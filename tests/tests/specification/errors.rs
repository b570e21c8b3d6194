//! The table of the service's error texts: a test for each of its rows, by number and by what it
//! states, which provokes it and compares HTTP status, type and text in both encodings.

mod consumers;
mod listing;
mod reading;
mod resharding;
mod settings;
mod streams;
mod writing;

use kinelog::kinesis::context;
use kinelog::throttle::Limits;
use kinelog_engine::types::Timestamp;
use serde_json::{Value as Json, json};

use crate::cbor::millis_as_seconds;
use crate::sequence_number::number;
use crate::service::{
    Answer, Encoding, NOW, Service, TRANSITION_MS, arn, policy, settings, shard_id,
};

const IN_USE: &str = "ResourceInUseException";
const INVALID: &str = "InvalidArgumentException";
const LIMIT: &str = "LimitExceededException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const THROUGHPUT: &str = "ProvisionedThroughputExceededException";
const VALIDATION: &str = "ValidationException";

/// Number of rows in the table.
const ROWS: u32 = 42;

#[test]
fn every_row_of_the_table_has_its_test() {
    let sources = [
        include_str!("errors/consumers.rs"),
        include_str!("errors/listing.rs"),
        include_str!("errors/reading.rs"),
        include_str!("errors/resharding.rs"),
        include_str!("errors/settings.rs"),
        include_str!("errors/streams.rs"),
        include_str!("errors/writing.rs"),
    ];
    let tests = sources.iter().flat_map(|source| source.split("#[test]\nfn e").skip(1));
    let row = |test: &str| test.split('_').next().unwrap().parse::<u32>().unwrap();
    let mut found: Vec<_> = tests.map(row).collect();
    found.sort_unstable();
    assert_eq!(found, (1..=ROWS).collect::<Vec<_>>());
}
