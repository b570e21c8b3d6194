//! The parsers of `put` over bytes in memory, for fuzz targets.

use super::input::{Framing, Source};
use super::keys::KeyPath;

/// The records of an input, until it ends or one is refused.
///
/// # Errors
///
/// Why a record is refused, with those before it.
pub async fn records(
    input: Vec<u8>,
    is_base64: bool,
    ends_with_null: bool,
) -> Result<Vec<Vec<u8>>, (Vec<Vec<u8>>, String)> {
    let framing = Framing { is_base64, ends_with_null };
    let mut source: Source = Box::new(std::io::Cursor::new(input));
    let mut records = Vec::new();
    loop {
        match framing.next(&mut source).await {
            Ok(Some(Ok(record))) => records.push(record),
            Ok(Some(Err(reason))) => return Err((records, reason)),
            Ok(None) => return Ok(records),
            Err(error) => return Err((records, error.to_string())),
        }
    }
}

/// The partition key at `path` of a record.
///
/// # Errors
///
/// Why there is none.
pub fn key_of(path: &str, record: &[u8]) -> Result<String, String> {
    path.parse::<KeyPath>()?.of(record)
}
