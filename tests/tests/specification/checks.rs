//! The ten checks that catch most of what goes wrong in servers of this API, each a test of its
//! name. Those that take minutes run on a clock moved by hand; check 3 stands with the other tests
//! of subscriptions, since what sleeps behind a socket does so by the clock of the machine. For
//! check 1 in the clients' own languages see `tests/clients`: `java/Scenario.java` (CBOR, HTTP/2),
//! `python/scenario.py` (JSON, HTTP/1.1) and `javascript/scenario.js` (JSON, HTTP/2).

mod fan_out;
mod in_process;
mod lineage;
mod round_trip;

#[test]
fn every_check_has_its_test() {
    let sources = [
        include_str!("checks/fan_out.rs"),
        include_str!("checks/in_process.rs"),
        include_str!("checks/lineage.rs"),
        include_str!("checks/round_trip.rs"),
        include_str!("../../../server/src/kinesis/tests/subscribing/ending.rs"),
    ];
    let names = sources.iter().flat_map(|source| source.split("fn check_").skip(1));
    let number = |name: &str| name.split('_').next().unwrap().parse::<u32>().unwrap();
    let mut found: Vec<_> = names.map(number).collect();
    found.sort_unstable();
    assert_eq!(found, (1..=10).collect::<Vec<_>>());
}
