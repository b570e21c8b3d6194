//! Base64 of request blobs, with the service's words for what is wrong.

use super::exception::{Exception, Kind};

/// Decodes padded base64 of the standard alphabet.
///
/// # Errors
///
/// `SerializationException` naming what is wrong: the length, the first bad character, or bits that
/// the padding leaves over.
pub fn decode(text: &str) -> Result<Vec<u8>, Exception> {
    base64_simd::STANDARD.decode_to_vec(text).map_err(|_| {
        let message = format!("'{text}' can not be converted to a Blob: {}", complaint(text));
        Exception::new(Kind::Serialization, message)
    })
}

/// Whether `text` decodes.
pub fn is_sound(text: &[u8]) -> bool {
    base64_simd::STANDARD.check(text).is_ok()
}

/// How many bytes sound text decodes to.
pub fn decoded_bytes(text: &[u8]) -> usize {
    let pads = text.iter().rev().take_while(|byte| **byte == b'=').count();
    text.len() / 4 * 3 - pads
}

/// What is wrong with text that did not decode.
fn complaint(text: &str) -> String {
    let length = text.encode_utf16().count();
    if !length.is_multiple_of(4) {
        return format!(
            "Base64 encoded length is expected a multiple of 4 bytes but found: {length}"
        );
    }
    match first_invalid(text) {
        Some(character) => format!("Invalid Base64 character: '{character}'"),
        None => "Invalid last non-pad Base64 character dectected".to_owned(),
    }
}

/// The first character outside the alphabet, or the first pad that something else follows.
fn first_invalid(text: &str) -> Option<char> {
    let following = text.chars().skip(1).map(Some).chain([None]);
    text.chars().zip(following).find_map(|(character, next)| {
        let is_valid = match character {
            '=' => matches!(next, None | Some('=')),
            '+' | '/' => true,
            other => other.is_ascii_alphanumeric(),
        };
        (!is_valid).then_some(character)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        let exception = decode(text).unwrap_err();
        assert_eq!(exception.kind, Kind::Serialization);
        exception.message.unwrap().into_owned()
    }

    #[test]
    fn padded_text_decodes() {
        assert_eq!(decode("").unwrap(), b"");
        assert_eq!(decode("/w==").unwrap(), [0xff]);
        assert_eq!(decode("aGk=").unwrap(), b"hi");
        assert_eq!(decode("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
    }

    #[test]
    fn length_is_checked_first() {
        let found = "can not be converted to a Blob: \
                     Base64 encoded length is expected a multiple of 4 bytes but found:";
        assert_eq!(refusal("="), format!("'=' {found} 1"));
        assert_eq!(refusal("aGk"), format!("'aGk' {found} 3"));
        assert_eq!(refusal("\u{1f600}"), format!("'\u{1f600}' {found} 2"));
    }

    #[test]
    fn first_bad_character_is_named() {
        let named = "can not be converted to a Blob: Invalid Base64 character:";
        assert_eq!(refusal("aG*="), format!("'aG*=' {named} '*'"));
        assert_eq!(refusal("a-_b"), format!("'a-_b' {named} '-'"));
        assert_eq!(refusal("a=bc"), format!("'a=bc' {named} '='"));
        assert_eq!(refusal("aGk=aGk="), format!("'aGk=aGk=' {named} '='"));
        assert_eq!(refusal("abc\n"), format!("'abc\n' {named} '\n'"));
    }

    #[test]
    fn bits_left_over_by_padding_are_refused() {
        let words = "can not be converted to a Blob: \
                     Invalid last non-pad Base64 character dectected";
        assert_eq!(refusal("/x=="), format!("'/x==' {words}"));
        assert_eq!(refusal("aGl="), format!("'aGl=' {words}"));
        assert_eq!(refusal("===="), format!("'====' {words}"));
    }

    proptest! {
        #[test]
        fn encoded_bytes_decode_to_themselves(bytes: Vec<u8>) {
            let text = base64_simd::STANDARD.encode_to_string(&bytes);
            prop_assert_eq!(decode(&text).unwrap(), bytes);
        }

        #[test]
        fn only_the_one_encoding_of_bytes_decodes(text in "[A-Za-z+/]{0,6}={0,3}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(base64_simd::STANDARD.encode_to_string(bytes), text);
            }
        }

        #[test]
        fn what_is_checked_is_what_decodes(text in "[A-Za-z+/]{0,48}[A-Za-z+/=.]{0,6}") {
            let decoded = decode(&text);
            prop_assert_eq!(is_sound(text.as_bytes()), decoded.is_ok());
            if let Ok(decoded) = decoded {
                prop_assert_eq!(decoded_bytes(text.as_bytes()), decoded.len());
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            prop_assert_eq!(is_sound(text.as_bytes()), decode(&text).is_ok());
        }
    }
}
