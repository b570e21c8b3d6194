//! Numbers, sizes and times as people read them.

use std::time::Duration;

/// `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// `3.4 MB`, with three digits that count.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(number: u64) -> String {
    amount(number as f64)
}

/// The same of a fraction of bytes.
pub(super) fn amount(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return match unit {
                "B" => format!("{value:.0} B"),
                _ if value < 9.995 => format!("{value:.2} {unit}"),
                _ if value < 99.95 => format!("{value:.1} {unit}"),
                _ => format!("{value:.0} {unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// So much in that time, for each second.
#[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
pub(super) fn per_second(number: u64, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64().max(0.001)
}

/// `1,234` for each second, and `0.5` where that is less than ten.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
pub(super) fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// A time in seconds with one digit after the point.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn sizes_have_three_digits_and_a_unit() {
        let shown = [0, 999, 1_000, 12_340, 999_499, 999_500, 3_456_789_000].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "12.3 kB", "999 kB", "1.00 MB", "3.46 GB"]);
        assert_eq!(bytes(5_000_000_000_000), "5.0 TB");
    }

    #[test]
    fn rates_are_short() {
        assert_eq!([0.0, 0.25, 9.9, 10.4, 1_234.5].map(rate), ["0", "0.2", "9.9", "10", "1,235"]);
        assert!((per_second(500, Duration::from_millis(250)) - 2000.0).abs() < 1e-9);
    }
}
