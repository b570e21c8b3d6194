//! Sequence numbers as those of AWS were decoded, written down once more: 47 digits of hexadecimal,
//! printed in decimal.

/// A sequence number of version 2, laid out as AWS lays it out.
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
fn numbers_are_laid_out_as_those_of_aws() {
    let drawn = "49646437577130777162115407028967465143858078037781250322";
    assert_eq!(number(1_700_000_000, 17, 0, 1_700_000_000), drawn);
    let drawn = "49646437577108476416916876405831974054683509694096474114";
    assert_eq!(number(1_700_000_000, 0, 5, 1_700_000_100), drawn);
}

/// What a number holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) created_seconds: u64,
    pub(crate) index: u64,
    pub(crate) counter: u64,
    pub(crate) seconds: u64,
}

/// Takes a number apart; all that is fixed in it is checked.
pub(crate) fn fields(text: &str) -> Fields {
    assert_eq!(text.len(), 56, "{text}");
    let mut digits: Vec<_> = text.chars().map(|digit| digit.to_digit(10).unwrap()).collect();
    let mut hex = String::new();
    while digits.iter().any(|digit| *digit > 0) {
        let mut rest = 0;
        for digit in &mut digits {
            rest = rest * 10 + *digit;
            *digit = rest / 16;
            rest %= 16;
        }
        hex.insert(0, char::from_digit(rest, 16).unwrap());
    }
    assert_eq!(hex.len(), 47, "{text}");
    let field = |from: usize, to: usize| u64::from_str_radix(&hex[from..=to], 16).unwrap();
    let fixed = [field(0, 0), field(27, 28), field(46, 46)];
    assert_eq!(fixed, [2, 0, 2], "mark, gap and version of {text}");
    let (index, counter) = (field(38, 45), field(11, 26));
    assert_eq!(field(10, 10), index & 15, "the low bits of the shard in {text}");
    assert!(counter < 1 << 63, "{text}");
    Fields { created_seconds: field(1, 9), index, counter, seconds: field(29, 37) }
}

#[test]
fn real_numbers_are_taken_apart() {
    let start = "49646437577130777162115407028967465143858078037781250322";
    let expected =
        Fields { created_seconds: 1_700_000_000, index: 17, counter: 0, seconds: 1_700_000_000 };
    assert_eq!(fields(start), expected);
    let end = "49646437577119626789516141717395488358902386617969803266";
    let expected =
        Fields { index: 0, counter: i64::MAX as u64, seconds: 1_700_003_600, ..expected };
    assert_eq!(fields(end), expected);
    // From AWS itself, of 2025-12-03 18:48:54, 18:49:58, and 2019-03-26 02:51:52, 02:52:15.
    let real = fields("49669554613075263284170738169223374761157254194237800450");
    assert_eq!((real.created_seconds, real.seconds), (1_764_787_734, 1_764_787_798));
    let real = fields("49594189147623985939251953501666965394405037144469929986");
    assert_eq!((real.created_seconds, real.seconds), (1_553_568_712, 1_553_568_735));
    assert_eq!((real.counter, real.index), (195, 0));
}
