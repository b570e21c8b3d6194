//! Records on standard output.

use std::io;
use std::str;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::client::answers::Record;

/// Records of one shard that were read together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) shard: Arc<str>,
    pub(super) records: Vec<Record>,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Their data.
    Data,
    /// Their data in base64.
    Base64,
    /// All of them.
    Json,
}

/// How printing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// There was no more.
    Everything,
    /// No more was wanted.
    Enough,
}

/// Prints.
#[derive(Debug)]
pub(super) struct Printer<W> {
    form: Form,
    end: u8,
    left: Option<u64>,
    output: W,
}

impl<W: AsyncWrite + Unpin> Printer<W> {
    /// Ends each record with `end`, and all after `count` records.
    pub(super) const fn new(form: Form, end: u8, count: Option<u64>, output: W) -> Self {
        Self { form, end, left: count, output }
    }

    /// Prints until there are no more batches or the count is reached. What came together is written
    /// together and never held back.
    pub(super) async fn print(mut self, mut batches: mpsc::Receiver<Batch>) -> io::Result<Printed> {
        let mut text = Vec::new();
        while self.left != Some(0) {
            let Some(batch) = batches.recv().await else { return Ok(Printed::Everything) };
            let wanted = self.left.map_or(usize::MAX, |left| left.try_into().unwrap_or(usize::MAX));
            let records = batch.records.iter().take(wanted);
            self.left = self.left.map(|left| left - records.len() as u64);
            text.clear();
            for record in records {
                self.add(&mut text, &batch.shard, record)?;
            }
            self.output.write_all(&text).await?;
            self.output.flush().await?;
        }
        Ok(Printed::Enough)
    }

    fn add(&self, text: &mut Vec<u8>, shard: &str, record: &Record) -> io::Result<()> {
        match self.form {
            Form::Data => text.extend_from_slice(&record.data),
            Form::Base64 => base64_simd::STANDARD.encode_append(&record.data, text),
            Form::Json => serde_json::to_writer(&mut *text, &Line::of(shard, record))?,
        }
        text.push(self.end);
        Ok(())
    }
}

/// A record as an object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    shard: &'a str,
    sequence_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Data<'a> {
    #[serde(rename = "data")]
    Text(&'a str),
    #[serde(rename = "base64")]
    Binary(String),
}

impl<'a> Line<'a> {
    fn of(shard: &'a str, record: &'a Record) -> Self {
        let data = str::from_utf8(&record.data).map_or_else(
            |_| Data::Binary(base64_simd::STANDARD.encode_to_string(&record.data)),
            Data::Text,
        );
        Self {
            shard,
            sequence_number: &record.sequence_number,
            key: record.partition_key.as_deref(),
            time: record.approximate_arrival_timestamp.and_then(time),
            data,
        }
    }
}

/// `2026-01-31T12:00:00.123Z` of seconds.
#[expect(clippy::cast_possible_truncation, reason = "what is out of range is no time")]
fn time(seconds: f64) -> Option<String> {
    let time = Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()?;
    Some(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8], key: Option<&str>) -> Record {
        Record {
            sequence_number: "49".to_owned(),
            approximate_arrival_timestamp: key.map(|_| 1_733_245_678.1),
            partition_key: key.map(str::to_owned),
            data: data.to_vec(),
        }
    }

    async fn printed(form: Form, end: u8, count: Option<u64>) -> (String, Printed) {
        let (sender, batches) = mpsc::channel(4);
        for records in [vec![record(b"a\n\"", Some("k"))], vec![], vec![record(b"\xff", None); 2]] {
            sender.send(Batch { shard: "shardId-000000000007".into(), records }).await.unwrap();
        }
        drop(sender);
        let mut output = Vec::new();
        let printed = Printer::new(form, end, count, &mut output).print(batches).await.unwrap();
        (String::from_utf8_lossy(&output).into_owned(), printed)
    }

    #[tokio::test]
    async fn data_is_printed_byte_for_byte() {
        let (output, end) = printed(Form::Data, b'\n', None).await;
        assert_eq!((output.as_str(), end), ("a\n\"\n\u{fffd}\n\u{fffd}\n", Printed::Everything));
        assert_eq!(printed(Form::Data, 0, None).await.0, "a\n\"\0\u{fffd}\0\u{fffd}\0");
        assert_eq!(printed(Form::Base64, b'\n', None).await.0, "YQoi\n/w==\n/w==\n");
    }

    #[tokio::test]
    async fn objects_hold_text_as_text_and_other_data_as_base64() {
        let (output, _) = printed(Form::Json, b'\n', None).await;
        let other = r#"{"shard":"shardId-000000000007","sequenceNumber":"49","base64":"/w=="}"#;
        let expected = [
            concat!(
                r#"{"shard":"shardId-000000000007","sequenceNumber":"49","key":"k","#,
                r#""time":"2024-12-03T17:07:58.100Z","data":"a\n\""}"#,
            ),
            other,
            other,
        ];
        assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_count_is_kept_to_within_a_batch() {
        for (count, lines, end) in [
            (0, 0, Printed::Enough),
            (1, 1, Printed::Enough),
            (2, 2, Printed::Enough),
            (4, 3, Printed::Everything),
        ] {
            let (output, printed) = printed(Form::Base64, b'\n', Some(count)).await;
            assert_eq!((output.lines().count(), printed), (lines, end), "{count}");
        }
    }
}
