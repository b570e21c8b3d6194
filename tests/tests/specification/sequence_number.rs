//! Sequence numbers as the reference draws them, written down once more: 47 digits of hexadecimal,
//! printed in decimal.

/// A sequence number of version 2, laid out as the reference draws it.
pub(crate) fn number(created_seconds: u64, index: u64, counter: u64, seconds: u64) -> String {
    let hex =
        format!("2{created_seconds:09x}{:x}{counter:016x}00{seconds:09x}{index:08x}2", index & 15);
    decimal(&hex)
}

/// The decimal digits of a number of any size in hexadecimal.
fn decimal(hex: &str) -> String {
    let mut digits = vec![0_u32];
    for nibble in hex.chars().map(|digit| digit.to_digit(16).unwrap()) {
        let mut carry = nibble;
        for digit in &mut digits {
            carry += *digit * 16;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(u32::to_string).collect()
}

#[test]
fn numbers_are_laid_out_as_the_reference_draws_them() {
    let drawn = "49646437577130777162115407028967465143858078037781250322";
    assert_eq!(number(1_700_000_000, 17, 0, 1_700_000_000), drawn);
    let drawn = "49646437577108476416916876405831974054683509694096474114";
    assert_eq!(number(1_700_000_000, 0, 5, 1_700_000_100), drawn);
}
