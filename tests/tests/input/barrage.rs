//! Every malformed request of `malformed`, each beside a good client.

use std::collections::BTreeMap;

use kinelog_tests::raw::Connection;

use super::malformed::{self, Bad};
use super::{start, store, stored};

/// Sends one, on a connection of its own; what was wrong about what came of it.
fn send(address: std::net::SocketAddr, bad: &Bad) -> Result<(), String> {
    let mut connection = Connection::open(address);
    connection.send(&bad.bytes);
    if !bad.whole {
        connection.finish();
    }
    match connection.answer() {
        Some(answer) if !(400..500).contains(&answer.status) => {
            return Err(format!("is answered {}", answer.status));
        }
        None if bad.whole => return Err("gets no answer".to_owned()),
        Some(_) | None => {}
    }
    if bad.ends {
        connection.finish();
        let rest = connection.rest();
        if !rest.is_empty() {
            let rest = String::from_utf8_lossy(&rest).into_owned();
            return Err(format!("is followed by another answer: {rest}"));
        }
    }
    Ok(())
}

#[test]
fn barrage() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let mut good = Connection::open(server.address());
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wanted = Vec::new();
    let mut faults = Vec::new();
    for (number, bad) in malformed::all().iter().enumerate() {
        *groups.entry(bad.group).or_default() += 1;
        if let Err(fault) = send(server.address(), bad) {
            faults.push(format!("{} {} {fault}", bad.group, bad.name));
        }
        let data = format!("good {number}");
        store(&mut good, &data);
        wanted.push(data);
    }
    eprintln!("{} malformed requests: {groups:?}", wanted.len());
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
    assert!(wanted.len() >= 500 && groups.len() == 11, "{groups:?}");
    let found = stored(&server);
    let strange: Vec<_> = found.iter().filter(|data| !data.starts_with("good")).collect();
    assert!(strange.is_empty(), "stored: {strange:?}");
    assert_eq!(found, wanted);
    drop(good);
    // One process has seen it all.
    store(&mut Connection::open(server.address()), "good and last");
}
