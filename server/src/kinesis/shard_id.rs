//! Shard ids: `shardId-` and twelve digits on the way out, nearly anything on the way in.

use std::fmt;

use kinelog_engine::types::ShardIndex;

/// A shard's number in its stream; prints as the service writes shard ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShardId(pub(super) ShardIndex);

impl ShardId {
    /// Reads what follows the first `-`, or all of a text without one: digits up to 2147483647.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.split_once('-').map_or(text, |(_, digits)| digits);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        let index = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        (index <= i32::MAX.unsigned_abs()).then_some(Self(ShardIndex(index)))
    }

    /// As it prints, without allocation.
    pub(super) fn text(self) -> [u8; 20] {
        let mut text = *b"shardId-000000000000";
        let (_, places) = text.split_at_mut(8);
        let mut rest = self.0.0;
        for place in places.iter_mut().rev() {
            *place += u8::try_from(rest % 10).expect("a digit fits any number");
            rest /= 10;
        }
        text
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("shard ids are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ids_print_with_twelve_digits() {
        assert_eq!(ShardId(ShardIndex(5)).to_string(), "shardId-000000000005");
        assert_eq!(ShardId(ShardIndex(2_147_483_647)).to_string(), "shardId-002147483647");
        assert_eq!(ShardId(ShardIndex(u32::MAX)).to_string(), "shardId-004294967295");
    }

    #[test]
    fn lenient_shard_ids_address_shards() {
        for (text, index) in [
            ("shardId-000000000005", 5),
            ("0", 0),
            ("shard-1", 1),
            ("whatever-00000002", 2),
            ("-3", 3),
            ("2147483647", 2_147_483_647),
            ("00000000000000000000000000000007", 7),
        ] {
            assert_eq!(ShardId::parse(text), Some(ShardId(ShardIndex(index))), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_shard_ids() {
        for text in
            ["", "shardId", "shardId-", "a-b-1", "shard_1", "2147483648", "shardId-1x", "+1"]
        {
            assert_eq!(ShardId::parse(text), None, "{text}");
        }
    }
}
