//! A GetRecords answer seen just closely enough to go on: counting by search keeps the generator
//! light. `put --verify` compares every byte instead.

use memchr::memmem;

use crate::arguments::Encoding;
use crate::client::Failure;

/// What an answer holds.
pub(crate) struct Read {
    /// Number of records.
    pub(crate) records: u64,
    /// The next iterator; `None` at the end of a closed shard.
    pub(crate) next: Option<String>,
}

/// Scans an answer's body.
pub(crate) fn scan(body: &[u8], encoding: Encoding) -> Result<Read, Failure> {
    let next = match encoding {
        Encoding::Json => {
            let name = b"\"NextShardIterator\":\"";
            memmem::rfind(body, name).map(|at| {
                let text = &body[at + name.len()..];
                let end = memchr::memchr(b'"', text).unwrap_or(text.len());
                String::from_utf8_lossy(&text[..end]).into_owned()
            })
        }
        Encoding::Cbor => match memmem::rfind(body, b"NextShardIterator") {
            Some(at) => {
                let value = &body[at + "NextShardIterator".len()..];
                Some(minicbor::Decoder::new(value).str()?.to_owned())
            }
            None => None,
        },
    };
    let name: &[u8] = match encoding {
        Encoding::Json => b"\"SequenceNumber\":",
        Encoding::Cbor => b"SequenceNumber",
    };
    Ok(Read { records: memmem::find_iter(body, name).count() as u64, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_iterator_are_found() {
        let body = br#"{"Records":[{"SequenceNumber":"1"},{"SequenceNumber":"2"}],"NextShardIterator":"AB=="}"#;
        let read = scan(body, Encoding::Json).unwrap();
        assert_eq!((read.records, read.next.as_deref()), (2, Some("AB==")));
    }

    #[test]
    fn the_end_of_a_shard_has_no_iterator() {
        let read = scan(br#"{"Records":[]}"#, Encoding::Json).unwrap();
        assert_eq!((read.records, read.next), (0, None));
    }
}
