//! Writing: closed loop, or at a fixed rate.

use std::sync::Arc;

use bytes::Bytes;

use crate::arguments::{Encoding, Load};
use crate::client::{Client, Failure};
use crate::drive::{Place, Work, drive};
use crate::latency::Call;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::peers;
use crate::setup::Session;

/// Writes to streams of its own and deletes them.
pub(crate) fn run(load: &Load) -> Result<Outcome, Failure> {
    if let Some(other) = peers::Store::of(&load.endpoint) {
        return other.put(load);
    }
    let session = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, session.streams()));
    let outcome = drive(load, &Work::Put(payloads))?;
    session.close()?;
    Ok(outcome)
}

/// The same, and reads everything back; tells how many records there were.
pub(crate) fn verified(load: &Load) -> Result<(Outcome, u64), Failure> {
    let mut session = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, session.streams()));
    let outcome = drive(load, &Work::Put(Arc::clone(&payloads)))?;
    let read = session.verify(&payloads)?;
    // A call that got no answer may still have stored its records.
    let least = outcome.all_records;
    if read < least {
        return Err(format!("{least} records were acknowledged, {read} were read").into());
    }
    session.close()?;
    Ok((outcome, read))
}

/// Writes `load.fill_mb` megabytes.
pub(crate) fn fill(load: &Load, payloads: &Arc<Payloads>) -> Result<Outcome, Failure> {
    let calls = (load.fill_mb << 20) / (payloads.record_bytes * payloads.batch) + 1;
    drive(&Load { rate: None, ..load.clone() }, &Work::Fill(Arc::clone(payloads), calls))
}

/// A connection that writes.
pub(crate) struct PutLane {
    client: Client,
    encoding: Encoding,
    payloads: Arc<Payloads>,
    place: Place,
    /// Calls of all lanes, if they are counted.
    calls: Option<usize>,
}

impl PutLane {
    pub(crate) fn new(
        client: Client,
        load: &Load,
        payloads: &Arc<Payloads>,
        place: Place,
        calls: Option<usize>,
    ) -> Self {
        Self { client, encoding: load.encoding, payloads: Arc::clone(payloads), place, calls }
    }

    pub(crate) async fn call(&mut self, turn: usize) -> Result<Option<Call>, Failure> {
        let number = self.place.call(turn);
        if self.calls.is_some_and(|calls| number >= calls) {
            return Ok(None);
        }
        let payloads = &self.payloads;
        let body = &payloads.bodies[number % payloads.bodies.len()];
        let sent = self.client.send_again(payloads.target(), body.bytes.clone(), body.hash);
        let answer = sent.await?;
        let batch = payloads.batch as u64;
        if !answer.status.is_success() {
            return Ok(Some(Call { failed_records: batch, ..Call::default() }));
        }
        let failed = if batch == 1 { 0 } else { failed_records(&answer.body, self.encoding)? };
        let records = batch - failed.min(batch);
        let bytes = records * payloads.record_bytes as u64;
        Ok(Some(Call { success: true, records, failed_records: failed, bytes }))
    }
}

/// `FailedRecordCount` of a PutRecords answer, found without parsing all of it.
fn failed_records(body: &Bytes, encoding: Encoding) -> Result<u64, Failure> {
    const NAME: &[u8] = b"FailedRecordCount";
    let Some(at) = memchr::memmem::find(body, NAME) else {
        // An answer may leave out a count of zero.
        return Ok(0);
    };
    let rest = &body[at + NAME.len()..];
    match encoding {
        Encoding::Json => {
            let digits: String = rest
                .iter()
                .skip_while(|byte| !byte.is_ascii_digit())
                .take_while(|byte| byte.is_ascii_digit())
                .map(|&byte| char::from(byte))
                .collect();
            Ok(digits.parse()?)
        }
        Encoding::Cbor => Ok(minicbor::Decoder::new(rest).u64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_records_are_counted() {
        let body = Bytes::from_static(br#"{"FailedRecordCount": 12, "Records": []}"#);
        assert_eq!(failed_records(&body, Encoding::Json).unwrap(), 12);
        let body = Bytes::from_static(b"\xa1\x71FailedRecordCount\x07");
        assert_eq!(failed_records(&body, Encoding::Cbor).unwrap(), 7);
        assert_eq!(failed_records(&Bytes::from_static(b"{}"), Encoding::Json).unwrap(), 0);
    }
}
