//! Per-shard token buckets.

/// How strictly the service's rates are enforced: `aws`, `off`, or a factor on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    thousandths: Option<u32>,
}

impl std::str::FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "aws" => Ok(Self { thousandths: Some(1000) }),
            "off" => Ok(Self { thousandths: None }),
            _ => Err("no".to_owned()),
        }
    }
}

impl std::fmt::Display for Limits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.thousandths.is_some() { "aws" } else { "off" })
    }
}
