//! What `StartStreamEncryption` and `StopStreamEncryption` share. New records are written under the
//! key once the stream is ACTIVE again; each keeps what it was written under for life.

use bytes::Bytes;

use super::attributes::{Attributes, NextEncryption};
use super::context::Call;
use super::rolling_day::RollingDay;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Member;
use crate::limits::{CALLS_PER_SECOND, ENCRYPTION_CHANGES_PER_DAY};

/// The members of both inputs.
pub(super) const MEMBERS: &[Member] = &[
    shapes::STREAM_NAME,
    shapes::required("EncryptionType", shapes::one_of(&["NONE", "KMS"])),
    shapes::required("KeyId", shapes::text(1, 2048)),
    shapes::STREAM_ARN,
    shapes::STREAM_ID,
];

/// What an operation does to the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// New records are written under the key of the call.
    Start,
    /// New records are written under no key, whatever key the call names.
    Stop,
}

impl Change {
    const fn operation(self) -> &'static str {
        match self {
            Self::Start => "StartStreamEncryption",
            Self::Stop => "StopStreamEncryption",
        }
    }

    const fn earlier(self, attributes: &mut Attributes) -> &mut RollingDay {
        match self {
            Self::Start => &mut attributes.encryption_starts,
            Self::Stop => &mut attributes.encryption_stops,
        }
    }
}

/// Answers a call of either operation.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn change(
    call: &Call<'_>,
    input: &Input<'_>,
    change: Change,
) -> Result<Bytes, Exception> {
    let named = StreamRef::parse(call, input)?;
    if input.text("EncryptionType") != Some("KMS") {
        return Err(unconfirmed::encryption_type_none());
    }
    let key = input.text("KeyId").unwrap_or_default();
    named.admit(call, change.operation(), CALLS_PER_SECOND)?;
    let updated = lifecycle::update(call, &named, |stream, attributes| {
        if !names_key(key) {
            return Err(unconfirmed::key_not_found(key));
        }
        let most = ENCRYPTION_CHANGES_PER_DAY;
        let is_limited = !call.context.settings().limits.is_off();
        if is_limited && !change.earlier(attributes).admit(call.now, most) {
            let (operation, stream) = (change.operation(), &stream.key.name);
            return Err(unconfirmed::too_many_encryption_changes(
                operation,
                stream,
                call.account,
                most,
            ));
        }
        let key = (change == Change::Start).then(|| key.to_owned());
        attributes.next_encryption = Some(NextEncryption { key });
        Ok(Vec::new())
    });
    updated.await?;
    Ok(Bytes::new())
}

/// Whether a key can have this name: a key id, an alias, or the ARN of either. Which keys there are
/// is for the key service to know.
fn names_key(name: &str) -> bool {
    if !name.starts_with("arn:") {
        return is_key_id(name) || is_alias(name);
    }
    let mut parts = name.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    partition.starts_with("aws")
        && service == "kms"
        && !region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (resource.strip_prefix("key/").is_some_and(is_key_id) || is_alias(resource))
}

/// A UUID, or `mrk-` and 32 hex digits for a key of several regions.
fn is_key_id(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if let Some(digits) = text.strip_prefix("mrk-") {
        return is_hex(digits, 32);
    }
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    text.split('-').all(|part| lengths.next().is_some_and(|digits| is_hex(part, digits)))
        && lengths.next().is_none()
}

fn is_alias(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    text.strip_prefix("alias/").is_some_and(|name| !name.is_empty() && name.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::names_key;

    #[test]
    fn keys_have_four_kinds_of_names() {
        for name in [
            "12345678-1234-1234-1234-1234567890ab",
            "mrk-1234567890abcdef1234567890abcdef",
            "alias/aws/kinesis",
            "alias/My_Key-1",
            "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-1234567890ab",
            "arn:aws-cn:kms:cn-north-1:123456789012:alias/MyAliasName",
        ] {
            assert!(names_key(name), "{name}");
        }
        for name in [
            "n/a",
            "12345678-1234-1234-1234-1234567890a",
            "12345678-1234-1234-1234-1234567890ag",
            "12345678-1234-1234-1234567890ab",
            "12345678-1234-1234-1234-1234567890ab-",
            "mrk-1234567890abcdef",
            "alias/",
            "alias/a b",
            "aws/kinesis",
            "arn:aws:kms:us-east-1:123456789012:key/MyKey",
            "arn:aws:kms:us-east-1:12345678901:alias/a",
            "arn:aws:kms::123456789012:alias/a",
            "arn:aws:s3:us-east-1:123456789012:alias/a",
        ] {
            assert!(!names_key(name), "{name}");
        }
    }
}
