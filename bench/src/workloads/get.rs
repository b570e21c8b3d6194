//! Reading with GetRecords: what the server still holds in memory, again and again.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::put;
use super::scan::scan;
use crate::arguments::{Encoding, Load};
use crate::client::{Client, Failure};
use crate::drive::{Place, Work, drive};
use crate::latency::Call;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::setup::Session;

/// Fills streams, then reads all of them in turns until the time is up.
pub(crate) fn run(load: &Load) -> Result<Outcome, Failure> {
    let mut session = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, session.streams()));
    put::fill(load, &payloads)?;
    let iterators = session.iterators()?;
    let outcome = drive(load, &Work::Get(Arc::new(iterators), payloads))?;
    session.close()?;
    Ok(outcome)
}

/// A connection that reads its share of the shards.
pub(crate) struct GetLane {
    client: Client,
    encoding: Encoding,
    payloads: Arc<Payloads>,
    /// Where each shard is read from first.
    first: Vec<String>,
    /// Where each goes on; nothing at the end of what is read once.
    next: Vec<Option<String>>,
    endless: bool,
}

impl GetLane {
    /// Reads each of its shards to the end, once.
    pub(crate) fn new(
        client: Client,
        encoding: Encoding,
        iterators: &[String],
        payloads: &Arc<Payloads>,
        place: Place,
    ) -> Self {
        // Lanes beyond the number of shards share some.
        let first: Vec<_> = iterators
            .iter()
            .skip(place.number % iterators.len().max(1))
            .step_by(place.lanes)
            .cloned()
            .collect();
        let is_extra = place.number >= iterators.len();
        let next = first.iter().map(|it| (!is_extra).then(|| it.clone())).collect();
        let payloads = Arc::clone(payloads);
        Self { client, encoding, payloads, first, next, endless: false }
    }

    /// Begins anew at each end.
    pub(crate) fn endless(mut self) -> Self {
        self.next = self.first.iter().cloned().map(Some).collect();
        self.endless = true;
        self
    }

    pub(crate) async fn call(&mut self, turn: usize) -> Result<Option<Call>, Failure> {
        let shards = self.next.len();
        let later = (0..shards).map(|n| (turn + n) % shards);
        let Some(own) = later.into_iter().find(|own| self.next[*own].is_some()) else {
            return Ok(None);
        };
        let iterator = self.next[own].take().unwrap_or_default();
        let body = request(&iterator, self.encoding);
        let answer = self.client.call("Kinesis_20131202.GetRecords", body).await?;
        if !answer.status.is_success() {
            self.next[own] = Some(iterator);
            return Ok(Some(Call::default()));
        }
        let read = scan(&answer.body, self.encoding)?;
        self.next[own] = match read.next {
            Some(next) if read.records > 0 => Some(next),
            _ if self.endless => Some(self.first[own].clone()),
            _ => None,
        };
        let bytes = read.records * self.payloads.record_bytes as u64;
        Ok(Some(Call { success: true, records: read.records, failed_records: 0, bytes }))
    }
}

fn request(iterator: &str, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Json => json!({"ShardIterator": iterator}).to_string().into(),
        Encoding::Cbor => {
            let mut out = minicbor::Encoder::new(Vec::new());
            out.map(1)
                .and_then(|out| out.str("ShardIterator"))
                .and_then(|out| out.str(iterator))
                .expect("writing to memory does not fail");
            out.into_writer().into()
        }
    }
}
