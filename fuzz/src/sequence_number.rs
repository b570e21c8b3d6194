//! `types::SequenceNumber`: what is read is written the same, and numbers sort as they are read.

use kinelog_engine::types::{ParsedSequenceNumber, SequenceNumber};

use crate::Seed;

/// The target: two texts, with a line break between them.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    if let (Some(a), Some(b)) = (read(one), read(other)) {
        let by_digits = one.len().cmp(&other.len()).then_with(|| one.cmp(other));
        let fields = |it: &SequenceNumber| {
            let shard = it.shard.0;
            (it.shard_created_seconds, shard & 15, it.counter, it.seconds, shard)
        };
        assert_eq!(by_digits, fields(&a).cmp(&fields(&b)), "{one} {other}");
        assert_eq!(by_digits, a.cmp(&b), "{one} {other}");
        assert_eq!(by_digits.is_eq(), a == b, "a number has one text");
    }
}

fn read(text: &str) -> Option<SequenceNumber> {
    let parsed = SequenceNumber::parse(text);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(is_number || parsed.is_err(), "{text:?} is no number");
    let Ok(ParsedSequenceNumber::V2(number)) = parsed else { return None };
    assert_eq!(number.to_string(), text, "each number has one text");
    Some(number)
}

/// Numbers as the service gives them, and numbers of older forms.
pub fn seeds() -> Vec<Seed> {
    let ours = "49668888888888888888888888888888888888888888888888888842";
    let texts = [
        ("two", format!("{ours}\n49590338271490256608559692538361571095921575989136588898")),
        ("zero", "0\n1".to_owned()),
        ("old", "21269319989652663814458848515492872193\n12345678901234567890".to_owned()),
        ("long", "9".repeat(200)),
    ];
    texts.map(|(name, text)| (name, text.into())).to_vec()
}
