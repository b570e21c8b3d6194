//! What `--from` says.

use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::client::Position;

/// Where the output starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// What comes from now on.
    Latest,
    /// The oldest record.
    Horizon,
    /// A time.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
}

impl Start {
    /// The position, as seen at `now`.
    pub(super) fn position(&self, now: Timestamp) -> Position {
        match self {
            Self::Latest => Position::Latest,
            Self::Horizon => Position::Horizon,
            Self::At(time) => Position::At(*time),
            Self::Ago(time) => {
                // Before the epoch there is nothing.
                let start = now.checked_sub(*time).unwrap_or_default();
                Position::At(start.max(Timestamp::UNIX_EPOCH))
            }
        }
    }
}

impl FromStr for Start {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a position is `latest`, `horizon`, a time such as \
                            2026-01-31T12:00:00Z, or how long ago, such as -15m";
        match text {
            "latest" => return Ok(Self::Latest),
            "horizon" => return Ok(Self::Horizon),
            _ => {}
        }
        if let Some(ago) = text.strip_prefix('-') {
            let span: Span = ago.parse().map_err(|_| FORM)?;
            let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| FORM)?;
            return if time.is_negative() { Err(FORM) } else { Ok(Self::Ago(time)) };
        }
        let time: Timestamp = text.parse().map_err(|_| FORM)?;
        if time < Timestamp::UNIX_EPOCH { Err(FORM) } else { Ok(Self::At(time)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_words_times_or_ages() {
        let noon: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let before = |text: &str| Position::At(text.parse().unwrap());
        for (text, expected) in [
            ("latest", Position::Latest),
            ("horizon", Position::Horizon),
            ("2026-01-31T11:00:00.5+01:00", before("2026-01-31T10:00:00.5Z")),
            ("-15m", before("2026-01-31T11:45:00Z")),
            ("-90 seconds", before("2026-01-31T11:58:30Z")),
            ("-1h30m", before("2026-01-31T10:30:00Z")),
            ("-2d", before("2026-01-29T12:00:00Z")),
            ("-1w", before("2026-01-24T12:00:00Z")),
            ("-99999d", Position::At(Timestamp::UNIX_EPOCH)),
        ] {
            assert_eq!(text.parse::<Start>().unwrap().position(noon), expected, "{text}");
        }
    }

    #[test]
    fn other_words_are_told_what_would_be_right() {
        for text in
            ["", "oldest", "15m", "-", "-15", "--15m", "-1y", "2026-01-31", "1960-01-01T00:00:00Z"]
        {
            let refused = text.parse::<Start>().unwrap_err();
            assert!(refused.starts_with("a position is `latest`"), "{text}");
        }
    }
}
