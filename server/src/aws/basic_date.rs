//! ISO 8601 "basic format" in UTC, such as `20151210T015939Z`, to and from seconds since the epoch.

/// Days from the first of March of year 0 to the first of January 1970.
const EPOCH_DAYS: u64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;
const DAY_SECONDS: u64 = 86_400;
/// Last second that four digits of a year can tell.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads a date of 1970 or later; nothing if `text` has another form or tells no existing second.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let number = |digits: Option<&str>| {
        let digits = digits?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse::<u64>().ok() } else { None }
    };
    let [year, month, day] =
        [number(date.get(..4))?, number(date.get(4..6))?, number(date.get(6..))?];
    let [hour, minute, second] =
        [number(time.get(..2))?, number(time.get(2..4))?, number(time.get(4..))?];
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = (days_to(year, month) + day).checked_sub(EPOCH_DAYS + 1)?;
    let seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    // A day its month does not have would come out as another date.
    (format(seconds) == text).then_some(seconds)
}

/// Writes a date; what is past the year 9999 as its end.
pub fn format(seconds: u64) -> String {
    let seconds = seconds.min(LAST_SECOND);
    let days = seconds / DAY_SECONDS + EPOCH_DAYS;
    let (mut year, mut day) = (days / ERA_DAYS * 400, days % ERA_DAYS);
    // Years run from March here, so that a leap day is the last of its year.
    let years = (day - day / 1460 + day / 36_524 - day / (ERA_DAYS - 1)) / 365;
    day -= days_of_years(years);
    year += years;
    let months = (day * 5 + 2) / 153;
    day -= days_of_months(months);
    let (year, month) = if months < 10 { (year, months + 3) } else { (year + 1, months - 9) };
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z", day + 1)
}

/// Days from the first of March of year 0 to the first of `month` of `year`; 0 for what is earlier.
fn days_to(year: u64, month: u64) -> u64 {
    let months = (year * 12 + month).saturating_sub(3);
    days_of_years(months / 12) + days_of_months(months % 12)
}

/// Days of so many years from March.
fn days_of_years(years: u64) -> u64 {
    years * 365 + years / 4 - years / 100 + years / 400
}

/// Days of so many months from March, at most 11.
fn days_of_months(months: u64) -> u64 {
    (months * 153 + 2) / 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates_are_known() {
        for (text, seconds) in [
            ("19700101T000000Z", 0),
            ("20151210T015939Z", 1_449_712_779),
            ("20000229T235959Z", 951_868_799),
            ("20240229T120000Z", 1_709_208_000),
            ("21000301T000000Z", 4_107_542_400),
            ("99991231T235959Z", LAST_SECOND),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(format(seconds), text);
        }
    }

    #[test]
    fn other_forms_and_dates_that_do_not_exist_are_refused() {
        for text in [
            "",
            "20151210T015939",
            "20151210 015939Z",
            "2015-12-10T01:59:39Z",
            "20151210T0159399Z",
            "20151310T015939Z",
            "20151200T015939Z",
            "20150229T015939Z",
            "21000229T015939Z",
            "20151210T245939Z",
            "20151210T016039Z",
            "20151210T015960Z",
            "2015+210T015939Z",
            "19691231T235959Z",
            "\u{e9}\u{e9}\u{e9}\u{e9}T015939Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_is_told_and_read(seconds in 0..=LAST_SECOND) {
            prop_assert_eq!(parse(&format(seconds)), Some(seconds));
        }

        #[test]
        fn the_next_day_is_told_later(seconds in 0..LAST_SECOND - DAY_SECONDS) {
            prop_assert!(format(seconds) < format(seconds + DAY_SECONDS));
        }

        #[test]
        fn dates_agree_with_the_http_form(seconds in 0..LAST_SECOND) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let http = httpdate::fmt_http_date(time);
            let basic = format(seconds);
            prop_assert_eq!(&http[5..7], &basic[6..8]);
            prop_assert_eq!(&http[12..16], &basic[..4]);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = parse(&text);
        }
    }
}
