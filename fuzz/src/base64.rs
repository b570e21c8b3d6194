//! `aws::base64`: agrees with a decoder that goes bit by bit, and names the right fault.

use kinelog::aws::base64;

use crate::Seed;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The target: a text, and the same bytes encoded.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match (base64::decode(&text), decode(text.as_bytes())) {
        (Ok(found), Some(expected)) => assert_eq!(found, expected),
        (Err(refused), None) => {
            let message = refused.message.unwrap_or_default();
            let is_about_length = message.contains("is expected a multiple of 4");
            let units = text.encode_utf16().count();
            assert_eq!(is_about_length, !units.is_multiple_of(4), "{message}");
        }
        (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
    }
    let found = base64::decode(&encode(data));
    assert_eq!(found.as_deref(), Ok(data));
}

fn encode(data: &[u8]) -> String {
    let mut text = String::new();
    for piece in data.chunks(3) {
        let bits = (0..3)
            .fold(0_u32, |bits, at| bits << 8 | u32::from(piece.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Whole groups of four, padding at the end only, and no bits beyond the last byte.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let pads = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if !text.len().is_multiple_of(4) || pads > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for byte in &text[..text.len() - pads] {
        let digit = ALPHABET.iter().position(|letter| letter == byte)?;
        bits.extend((0..6).rev().map(|bit| digit >> bit & 1 == 1));
    }
    let over = bits.split_off(bits.len() / 8 * 8);
    if over.contains(&true) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits.chunks(8).map(byte).collect())
}

/// Texts of each length of padding, and texts with each fault.
pub fn seeds() -> Vec<Seed> {
    let texts = [
        ("two-pads", "/w=="),
        ("one-pad", "aGk="),
        ("no-pad", "+/+/"),
        ("letter", "aG*="),
        ("length", "aGk"),
        ("bits", "/x=="),
        ("pad-inside", "aGk=aGk="),
    ];
    texts.map(|(name, text)| (name, text.into())).to_vec()
}
