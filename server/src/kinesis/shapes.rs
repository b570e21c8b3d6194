//! Constraint rows that several operations share, and the patterns behind them.

use crate::aws::shape::{Member, Shape, Structure};

/// A member that may be absent.
pub(super) const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: false, shape }
}

/// A member that must be present.
pub(super) const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, sensitive: false, shape }
}

/// The same member with a value that messages never print.
pub(super) const fn sensitive(member: Member) -> Member {
    Member { sensitive: true, ..member }
}

const fn pattern(
    length: Option<(usize, usize)>,
    pattern: &'static str,
    holds: fn(&str) -> bool,
) -> Shape {
    Shape::Text { length, pattern: Some((pattern, holds)), one_of: None }
}

/// One of these words.
pub(super) const fn one_of(words: &'static [&'static str]) -> Shape {
    Shape::Text { length: None, pattern: None, one_of: Some(words) }
}

/// Text of bounded length.
pub(super) const fn text(shortest: usize, longest: usize) -> Shape {
    Shape::Text { length: Some((shortest, longest)), pattern: None, one_of: None }
}

/// Text without constraints.
pub(super) const ANY_TEXT: Shape = Shape::Text { length: None, pattern: None, one_of: None };

/// A number from `min` to `max`.
pub(super) const fn integer(min: i64, max: i64) -> Shape {
    Shape::Integer { min: Some(min), max: Some(max) }
}

/// Stream names and shard ids.
pub(super) const NAME: Shape = pattern(Some((1, 128)), "[a-zA-Z0-9_.-]+", is_name);
const ARN: Shape =
    pattern(Some((1, 2048)), r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", is_stream_arn);
const CONSUMER: Shape = pattern(
    Some((1, 2048)),
    r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+",
    is_consumer_arn,
);
/// Any resource.
const ANY_ARN: Shape = pattern(
    Some((1, 2048)),
    r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+",
    is_resource_arn,
);
const ID: Shape = pattern(Some((1, 24)), "[a-z0-9]{20}-[a-z0-9]{3}", is_stream_id);
/// A point of the hash key space.
pub(super) const HASH_KEY: Shape = pattern(None, r"0|([1-9]\d{0,38})", is_hash_key);
/// A sequence number on its way in.
pub(super) const SEQUENCE_NUMBER: Shape = pattern(None, r"0|([1-9]\d{0,128})", is_sequence_number);
/// The longest record of a stream, in KiB.
pub(super) const RECORD_KIB: Shape =
    integer(crate::limits::RECORD_KIB.0, crate::limits::RECORD_KIB.1);
/// Warm throughput, in MiB/s.
pub(super) const WARM_THROUGHPUT: Shape = Shape::Integer { min: Some(0), max: None };
/// Who chooses a record's shard.
pub(super) const DISTRIBUTION: Shape = one_of(&["AUTO", "USER_PARTITION_KEY"]);
/// `StreamModeDetails`.
pub(super) static MODE_DETAILS: Structure = Structure {
    name: "StreamModeDetails",
    members: &[required("StreamMode", one_of(&["PROVISIONED", "ON_DEMAND"]))],
};
/// A page token.
pub(super) const NEXT_TOKEN: Shape = text(1, 1_048_576);
/// Entries of a page.
pub(super) const PAGE_LIMIT: Shape = integer(1, 10_000);

/// `StreamName` where an ARN can stand in for it.
pub(super) const STREAM_NAME: Member = optional("StreamName", NAME);
/// `StreamARN`.
pub(super) const STREAM_ARN: Member = optional("StreamARN", ARN);
/// `StreamARN` where nothing can stand in for it.
pub(super) const STREAM_ARN_REQUIRED: Member = required("StreamARN", ARN);
/// `ConsumerName` where an ARN can stand in for it.
pub(super) const CONSUMER_NAME: Member = optional("ConsumerName", NAME);
/// `ConsumerARN` where nothing can stand in for it.
pub(super) const CONSUMER_ARN_REQUIRED: Member = required("ConsumerARN", CONSUMER);
/// `ConsumerARN` where stream and name can stand in for it.
pub(super) const CONSUMER_ARN: Member = optional("ConsumerARN", CONSUMER);
/// `ResourceARN`.
pub(super) const RESOURCE_ARN: Member = required("ResourceARN", ANY_ARN);
/// `StreamId`: checked and then ignored.
pub(super) const STREAM_ID: Member = optional("StreamId", ID);
/// `DryRun`.
pub(super) const DRY_RUN: Member = optional("DryRun", Shape::Boolean);
/// `Data` of a record.
pub(super) const DATA: Member =
    sensitive(required("Data", Shape::Blob { max: crate::limits::RECORD_DATA_BYTES_MAX }));
/// `PartitionKey` of a record; whether it is required depends on the stream.
pub(super) const PARTITION_KEY: Member = sensitive(optional("PartitionKey", text(1, 256)));
/// `ExplicitHashKey` of a record.
pub(super) const EXPLICIT_HASH_KEY: Member = optional("ExplicitHashKey", HASH_KEY);

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_stream_id(text: &str) -> bool {
    let plain =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(stream, check)| {
        stream.len() == 20 && check.len() == 3 && plain(stream) && plain(check)
    })
}

/// A text of the form `arn:aws.*:kinesis:.*`, and what tells in one step what a place in it can be;
/// so that long texts are looked through once.
struct ArnText<'a> {
    text: &'a str,
    /// Where the first `:kinesis:` ends.
    region_at: usize,
    /// What stands before a place up to this one, `.*` matches.
    line_end: usize,
    /// What stands behind a place from this one on, `\S*` matches.
    solid_from: usize,
}

impl<'a> ArnText<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        const HEAD: &str = "arn:aws";
        const SERVICE: &str = ":kinesis:";
        let service_at = HEAD.len() + text.strip_prefix(HEAD)?.find(SERVICE)?;
        let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r');
        Some(Self {
            text,
            region_at: service_at + SERVICE.len(),
            line_end: text.find(LINE_ENDS).unwrap_or(text.len()),
            solid_from: text.bytes().rposition(is_space).map_or(0, |at| at + 1),
        })
    }

    /// Whether `:` and twelve digits stand right before `at`.
    fn has_account_before(&self, at: usize) -> bool {
        let account = self.text.as_bytes()[self.region_at..at].last_chunk::<13>();
        account.is_some_and(|account| account[0] == b':' && is_digits(&account[1..]))
    }

    /// Whether `.*` matches all before `at`, and `\S+` all from `name_at` on.
    fn is_parted(&self, at: usize, name_at: usize) -> bool {
        at <= self.line_end && self.solid_from <= name_at && name_at < self.text.len()
    }
}

/// Matches `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, at any of its `:stream/`.
fn is_stream_arn(text: &str) -> bool {
    ArnText::parse(text).is_some_and(|arn| {
        text[arn.region_at..].match_indices(":stream/").any(|(at, kind)| {
            let at = arn.region_at + at;
            arn.has_account_before(at) && arn.is_parted(at, at + kind.len())
        })
    })
}

/// Matches `arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+`, behind the first account.
fn is_resource_arn(text: &str) -> bool {
    let found = ArnText::parse(text).and_then(|arn| {
        let colons = text[arn.region_at..].match_indices(':');
        let mut accounts = colons.map(|(at, _)| arn.region_at + at);
        let kinds_at = accounts.find(|&at| arn.has_account_before(at))? + 1;
        Some((arn, kinds_at))
    });
    found.is_some_and(|(arn, kinds_at)| {
        ["stream/", "channel/", "queue/"].iter().any(|kind| {
            text[kinds_at..]
                .match_indices(kind)
                .any(|(at, kind)| arn.is_parted(kinds_at + at, kinds_at + at + kind.len()))
        })
    })
}

/// Matches the pattern of `CONSUMER`. Neither name can hold a slash, so the last one of each word
/// is the one that counts.
fn is_consumer_arn(text: &str) -> bool {
    let parts = || {
        let (stream, consumer) = text.rsplit_once("/consumer/")?;
        let (head, stream) = stream.rsplit_once("stream/")?;
        let (consumer, number) = consumer.split_once(':')?;
        let (_, account) = head.strip_prefix("arn:aws")?.split_once(":kinesis:")?;
        let is_account = |text: &str| {
            text.len() > 12 && text.as_bytes()[12] == b':' && is_digits(&text.as_bytes()[..12])
        };
        let has_account = account.match_indices(':').any(|(at, _)| is_account(&account[at + 1..]));
        Some(
            is_name(stream)
                && is_name(consumer)
                && is_digits(number.as_bytes())
                && has_account
                && !head.contains(LINE_ENDS),
        )
    };
    parts().unwrap_or(false)
}

/// What `.` does not match.
const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

fn is_digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn is_number(text: &str, digits_max: usize) -> bool {
    text == "0"
        || (text.len() <= digits_max
            && !text.is_empty()
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_hash_key(text: &str) -> bool {
    is_number(text, 39)
}

fn is_sequence_number(text: &str) -> bool {
    is_number(text, 129)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(is_name("a") && is_name("A-z_0.9"));
        assert!(!is_name("") && !is_name("a b") && !is_name("a/b") && !is_name("\u{fc}"));
    }

    #[test]
    fn stream_arns_match_their_pattern() {
        for text in [
            "arn:aws:kinesis:us-east-1:123456789012:stream/a",
            "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a/consumer/b:1",
            "arn:aws:x:kinesis:a:b:123456789012:stream/a",
            "arn:aws:kinesis:r:1:stream/x:123456789012:stream/a",
        ] {
            assert!(is_stream_arn(text), "{text}");
        }
        for text in [
            "",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis:us-east-1:12345678901:stream/a",
            "arn:aws:kinesis:us-east-1:12345678901x:stream/a",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
            "arn:aws:kinesis:us-east-1:123456789012:queue/a",
            "arn:aws:sqs:us-east-1:123456789012:stream/a",
            "arn:aws:kinesis:123456789012:stream/a",
            "xarn:aws:kinesis:us-east-1:123456789012:stream/a",
        ] {
            assert!(!is_stream_arn(text), "{text}");
        }
    }

    #[test]
    fn consumer_arns_match_their_pattern() {
        for text in [
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1",
            "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s.-_/consumer/c.-_:17",
            "arn:aws:kinesis:r:123456789012:x/stream/s/consumer/c:0",
        ] {
            assert!(is_consumer_arn(text), "{text}");
        }
        for text in [
            "",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:x",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/:1",
            "arn:aws:kinesis:us-east-1:123456789012:stream//consumer/c:1",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/t/consumer/c:1",
            "arn:aws:kinesis:us-east-1:12345678901:stream/s/consumer/c:1",
            "arn:aws:kinesis:us-east-1:\u{fc}2345678901:stream/s/consumer/c:1",
            "arn:aws:sqs:us-east-1:123456789012:stream/s/consumer/c:1",
            "arn:aws\n:kinesis:us-east-1:123456789012:stream/s/consumer/c:1",
            "xarn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1",
        ] {
            assert!(!is_consumer_arn(text), "{text}");
        }
    }

    #[test]
    fn resource_arns_match_their_pattern() {
        for text in [
            "arn:aws:kinesis:us-east-1:123456789012:stream/a",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/b:1",
            "arn:aws:kinesis:us-east-1:123456789012:queue/a",
            "arn:aws:kinesis:us-east-1:123456789012:channel/a",
            "arn:aws:kinesis:us-east-1:123456789012:any thing/stream/a",
            "arn:aws:kinesis:us-east-1:123456789012:stream/b c/stream/a",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a\u{2028}b",
        ] {
            assert!(is_resource_arn(text), "{text}");
        }
        for text in [
            "",
            "arn:aws:kinesis:us-east-1:123456789012:table/a",
            "arn:aws:kinesis:us-east-1:123456789012:queue/",
            "arn:aws:kinesis:us-east-1:123456789012:queue/a b",
            "arn:aws:kinesis:us-east-1:12345678901:queue/a",
            "arn:aws:sqs:us-east-1:123456789012:queue/a",
            "arn:aws:kinesis:us-east-1:123456789012:\nqueue/a",
        ] {
            assert!(!is_resource_arn(text), "{text}");
        }
    }

    #[test]
    fn numbers_have_no_leading_zeros_and_bounded_length() {
        assert!(is_hash_key("0") && is_hash_key(&"9".repeat(39)));
        assert!(!is_hash_key("") && !is_hash_key("01") && !is_hash_key(&"9".repeat(40)));
        assert!(!is_hash_key("-1") && !is_hash_key("1a"));
        assert!(is_sequence_number(&"9".repeat(129)) && !is_sequence_number(&"9".repeat(130)));
    }

    #[test]
    fn stream_ids_have_their_form() {
        assert!(is_stream_id("abcdefghij0123456789-a0z"));
        assert!(
            !is_stream_id("abcdefghij0123456789a0z") && !is_stream_id("ABCDEFGHIJ0123456789-a0z")
        );
    }
}
