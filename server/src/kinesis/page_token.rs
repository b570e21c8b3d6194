//! `NextToken`: where a listing goes on, sealed, good for `NEXT_TOKEN_AGE_MS_MAX`, and for the
//! operation and the account it was issued to only.

use kinelog_engine::types::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Call;
use super::unconfirmed;
use crate::aws::exception::Exception;
use crate::limits::NEXT_TOKEN_AGE_MS_MAX;
use crate::seal::SEAL_BYTES;
use crate::shard_iterator::decode_base64;

/// The token for `content`: base64 of the time of issue, the content as JSON, and the seal.
pub(super) fn issue(call: &Call<'_>, operation: &str, content: &impl Serialize) -> String {
    let mut bytes = call.now.0.to_be_bytes().to_vec();
    serde_json::to_writer(&mut bytes, content).expect("page positions have a JSON form");
    let seal = call.context.seal_key().seal(operation, &call.namespace, &bytes);
    bytes.extend_from_slice(&seal);
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Takes back what `issue` handed out.
///
/// # Errors
///
/// `InvalidArgumentException`, or `ExpiredNextTokenException`.
pub(super) fn redeem<T: DeserializeOwned>(
    call: &Call<'_>,
    operation: &str,
    token: &str,
) -> Result<T, Exception> {
    let (issued, content) =
        open(call, operation, token).ok_or_else(unconfirmed::invalid_next_token)?;
    if call.now.since(issued) > NEXT_TOKEN_AGE_MS_MAX {
        return Err(unconfirmed::expired_next_token(NEXT_TOKEN_AGE_MS_MAX));
    }
    Ok(content)
}

fn open<T: DeserializeOwned>(
    call: &Call<'_>,
    operation: &str,
    token: &str,
) -> Option<(Timestamp, T)> {
    let bytes = decode_base64(token)?;
    let (sealed, seal) = bytes.split_last_chunk::<SEAL_BYTES>()?;
    if !call.context.seal_key().verify(operation, &call.namespace, sealed, seal) {
        return None;
    }
    let (issued, content) = sealed.split_first_chunk()?;
    Some((Timestamp(u64::from_be_bytes(*issued)), serde_json::from_slice(content).ok()?))
}
