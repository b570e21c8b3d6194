//! `shard_iterator`: only what was sealed for this owner opens, and it opens to what was sealed.

use kinelog::seal::SealKey;
use kinelog::shard_iterator::{ShardIterator, ShardIteratorError};
use kinelog_engine::types::{Ordinal, ShardIndex, StreamId, Timestamp};

use crate::Seed;
use crate::choices::Choices;
use crate::samples::STORE;

const OWNER: &str = "123456789012/us-east-1";
const AGE_MS_MAX: u64 = 300_000;

/// The target: a text of anybody's; and fields that are sealed, then changed, or sealed by a
/// stranger.
pub fn run(data: &[u8]) {
    let key = SealKey::new(STORE);
    if let Ok(text) = std::str::from_utf8(data) {
        let opened = ShardIterator::open(text, &key, OWNER, Timestamp(u64::MAX));
        assert_eq!(opened, Err(ShardIteratorError::Invalid), "nobody sealed {text}");
    }
    check_sealed(&key, &mut Choices::new(data));
    check_content(&key, data);
}

fn check_sealed(key: &SealKey, choices: &mut Choices<'_>) {
    let iterator = ShardIterator {
        issued: Timestamp(choices.number()),
        stream: StreamId(choices.number()),
        shard: ShardIndex(u32::from(choices.short())),
        position: Ordinal(choices.number()),
        serial: u32::from(choices.short()),
        stream_name: choices.text().trim_end_matches('\0').to_owned(),
    };
    let (text, now) = (iterator.seal(key, OWNER), Timestamp(choices.number()));
    let expected = if iterator.issued > now {
        Err(ShardIteratorError::Invalid)
    } else if now.0 - iterator.issued.0 > AGE_MS_MAX {
        Err(ShardIteratorError::Expired { issued: iterator.issued })
    } else {
        Ok(iterator.clone())
    };
    let open = |text: &str, owner| ShardIterator::open(text, key, owner, now);
    assert_eq!(open(&text, OWNER), expected);
    assert_eq!(open(&format!("\"{text}\""), OWNER), expected);
    let stranger = choices.text();
    if stranger != OWNER {
        assert_eq!(open(&text, &stranger), Err(ShardIteratorError::Invalid));
    }
    let mut changed = text.clone().into_bytes();
    let at = usize::from(choices.short()) % changed.len();
    changed[at] = choices.byte();
    if let Ok(changed) = String::from_utf8(changed)
        && changed != text
    {
        assert_eq!(open(&changed, OWNER), Err(ShardIteratorError::Invalid), "{changed}");
    }
}

/// What stands under a right seal is still no iterator unless it has the form of one.
fn check_content(key: &SealKey, data: &[u8]) {
    let mut bytes = [&1_u64.to_be_bytes()[..], data].concat();
    bytes.extend(key.seal("shard iterator", OWNER, &bytes));
    let text = base64_simd::STANDARD.encode_to_string(&bytes);
    let opened = ShardIterator::open(&text, key, OWNER, Timestamp(u64::MAX));
    let is_whole = data.len() >= 33 && data.len().is_multiple_of(16) && data[0] == 2;
    assert!(opened == Err(ShardIteratorError::Invalid) || is_whole, "{opened:?}");
    if let Err(ShardIteratorError::Expired { issued }) = opened {
        assert_eq!(issued.0.to_be_bytes(), data[5..13]);
    }
}

/// Fields, and the content of an iterator.
pub fn seeds() -> Vec<Seed> {
    let mut fields = Vec::new();
    for number in [1_700_000_000_000_u64, 5] {
        fields.extend(number.to_le_bytes());
    }
    fields.extend([3, 0]);
    fields.extend(9_u64.to_le_bytes());
    fields.extend(b"\x07\x00\x06orders");
    fields.extend(1_700_000_100_000_u64.to_le_bytes());
    fields.extend(b"\x05other\x20\x00x");
    let mut content = vec![2];
    content.extend([0; 32]);
    content.extend(b"orders");
    content.resize(48, 0);
    vec![("fields", fields), ("content", content), ("text", b"AAAAAAAAAAEC".to_vec())]
}
