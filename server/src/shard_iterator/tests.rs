//! Sealing and opening iterators.

use kinelog_engine::types::StoreId;
use proptest::prelude::*;

use super::*;

const OWNER: &str = "123456789012/us-east-1";
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn key() -> SealKey {
    SealKey::new(StoreId(1))
}

fn iterator(name: &str) -> ShardIterator {
    ShardIterator {
        issued: NOW,
        stream: StreamId(3),
        stream_name: name.to_owned(),
        shard: ShardIndex(17),
        position: Ordinal(42),
        serial: 7,
    }
}

fn open(text: &str, now: Timestamp) -> Result<ShardIterator, ShardIteratorError> {
    ShardIterator::open(text, &key(), OWNER, now)
}

fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[test]
fn iterators_have_the_service_form() {
    for length in 1..=128 {
        let text = iterator(&"n".repeat(length)).seal(&key(), OWNER);
        let bytes = base64_simd::STANDARD.decode_to_vec(&text).unwrap();
        assert_eq!(bytes[..8], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((bytes.len() - 8) % 16, 0);
        assert!(text.len() <= 512);
    }
}

#[test]
fn an_iterator_can_be_used_again_until_it_is_300_seconds_old() {
    let text = iterator("orders").seal(&key(), OWNER);
    for age_ms in [0, 1, 299_999, 300_000] {
        assert_eq!(open(&text, Timestamp(NOW.0 + age_ms)), Ok(iterator("orders")));
    }
    let expired = Err(ShardIteratorError::Expired { issued: NOW });
    assert_eq!(open(&text, Timestamp(NOW.0 + 300_001)), expired);
}

#[test]
fn an_iterator_of_the_future_is_invalid() {
    let text = iterator("orders").seal(&key(), OWNER);
    assert_eq!(open(&text, Timestamp(NOW.0 - 1)), Err(ShardIteratorError::Invalid));
}

#[test]
fn a_quoted_iterator_is_accepted() {
    let text = iterator("orders").seal(&key(), OWNER);
    assert_eq!(open(&format!("\"{text}\""), NOW), Ok(iterator("orders")));
    for half in [format!("\"{text}"), format!("{text}\""), format!("\"\"{text}\"\"")] {
        assert_eq!(open(&half, NOW), Err(ShardIteratorError::Invalid));
    }
}

#[test]
fn an_iterator_belongs_to_its_owner_and_its_store() {
    let text = iterator("orders").seal(&key(), OWNER);
    let stranger = ShardIterator::open(&text, &key(), "123456789012/us-east-2", NOW);
    assert_eq!(stranger, Err(ShardIteratorError::Invalid));
    let elsewhere = ShardIterator::open(&text, &SealKey::new(StoreId(2)), OWNER, NOW);
    assert_eq!(elsewhere, Err(ShardIteratorError::Invalid));
}

#[test]
fn a_seal_for_another_purpose_is_refused() {
    let text = iterator("orders").seal(&key(), OWNER);
    let bytes = base64_simd::STANDARD.decode_to_vec(&text).unwrap();
    let (content, _) = bytes.split_at(bytes.len() - SEAL_BYTES);
    let other = [content, &key().seal("another purpose", OWNER, content)].concat();
    assert_eq!(open(&encode(&other), NOW), Err(ShardIteratorError::Invalid));
}

#[test]
fn no_changed_bit_and_no_missing_byte_passes() {
    let text = iterator("orders").seal(&key(), OWNER);
    let bytes = base64_simd::STANDARD.decode_to_vec(&text).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&encode(&changed), NOW), Err(ShardIteratorError::Invalid), "bit {bit}");
    }
    for length in 0..bytes.len() {
        let cut = encode(&bytes[..length]);
        assert_eq!(open(&cut, NOW), Err(ShardIteratorError::Invalid), "{length} bytes");
    }
}

#[test]
fn only_canonical_base64_is_taken() {
    assert_eq!(decode_base64("AAE="), Some(vec![0, 1]));
    for text in ["AAE", "AAF=", "AA E=", "AAE=\n", "AAE==", "_-==", "====", "A"] {
        assert_eq!(decode_base64(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn iterators_survive_their_text(
        name in "[a-zA-Z0-9_.-]{1,128}",
        (stream, shard, position, serial) in any::<(u64, u32, u64, u32)>(),
        age in 0..=SHARD_ITERATOR_AGE_MS_MAX,
    ) {
        let iterator = ShardIterator {
            issued: Timestamp(NOW.0 - age),
            stream: StreamId(stream),
            stream_name: name,
            shard: ShardIndex(shard),
            position: Ordinal(position),
            serial,
        };
        prop_assert_eq!(open(&iterator.seal(&key(), OWNER), NOW), Ok(iterator));
    }

    #[test]
    fn no_text_panics(text in ".{0,600}") {
        prop_assert_eq!(open(&text, NOW), Err(ShardIteratorError::Invalid));
    }
}
