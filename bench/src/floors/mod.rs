//! The floors a load stands on, measured in the same run and on the same cores: a hyper server that
//! reads requests and answers a constant, one that sends one static body, raw durable device writes
//! and reads, and the loopback.

pub(crate) mod answers;
pub(crate) mod constant_server;
pub(crate) mod device;
pub(crate) mod loopback;

use std::sync::Arc;

use crate::arguments::Load;
use crate::client::Failure;
use crate::drive::{Work, drive};
use crate::outcome::Outcome;
use crate::payload::Payloads;
use constant_server::ConstantServer;

/// The load's own writes against a server that reads them and answers a constant.
pub(crate) fn null_server(load: &Load) -> Result<Outcome, Failure> {
    let server = ConstantServer::start(&answers::put(load), load.encoding)?;
    let load = server.load(load);
    let payloads = Arc::new(Payloads::new(&load, &["bench".to_owned()]));
    drive(&load, &Work::Put(payloads))
}

/// As many answers of GetRecords of `bytes` as a server can send that has nothing else to do.
pub(crate) fn static_body(load: &Load, bytes: usize) -> Result<Outcome, Failure> {
    let records = (bytes / load.record_bytes.max(1)).max(1);
    let server = ConstantServer::start(&answers::get(load, records), load.encoding)?;
    let load = Load { batch: 1, ..server.load(load) };
    let payloads = Arc::new(Payloads::new(&load, &["bench".to_owned()]));
    drive(&load, &Work::Get(Arc::new(vec!["AAAA".to_owned()]), payloads))
}
