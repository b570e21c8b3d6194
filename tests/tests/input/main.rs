//! Whatever comes in: no bytes of a client harm the server, its other clients or its store.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod barrage;
mod bombs;
mod floods;
mod malformed;
mod names;
mod smuggling;

use std::path::Path;

use kinelog_tests::Server;
use kinelog_tests::raw::{self, Connection};

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "s";

/// A server without limits and with an active stream.
fn start(directory: &Path) -> Server {
    let flags = ["--limits", "off", "--transition-ms", "1"];
    let server = Server::start(BINARY, &directory.join("data"), &flags);
    raw::create_stream(&mut Connection::open(server.address()), STREAM, 1);
    server
}

/// Stores a record as a good client does.
#[track_caller]
fn store(connection: &mut Connection, data: &str) {
    connection.ok("PutRecord", raw::record(STREAM, "key", data));
}

/// Data of all records of the stream.
fn stored(server: &Server) -> Vec<String> {
    raw::records(&mut Connection::open(server.address()), STREAM, 0)
}
