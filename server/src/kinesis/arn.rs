//! Amazon resource names of streams.

use std::fmt;

/// The parts of a stream's ARN that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamArn<'a> {
    /// Region.
    pub(super) region: &'a str,
    /// Account, 12 digits.
    pub(super) account: &'a str,
    /// Stream name.
    pub(super) name: &'a str,
}

impl<'a> StreamArn<'a> {
    /// Takes apart a text that matches `shapes::STREAM_ARN`. A text that matches it in an odd way
    /// gives parts that no stream has.
    pub(super) fn parse(text: &'a str) -> Self {
        let (head, name) = text.split_once(":stream/").unwrap_or((text, ""));
        let (head, account) = head.rsplit_once(':').unwrap_or((head, ""));
        let mut parts = head.splitn(4, ':');
        let (stated, region) = (parts.nth(1), parts.nth(1).unwrap_or(""));
        let region = if stated == Some(partition(region)) { region } else { "" };
        Self { region, account, name }
    }
}

impl fmt::Display for StreamArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, name } = self;
        let partition = partition(region);
        write!(f, "arn:{partition}:kinesis:{region}:{account}:stream/{name}")
    }
}

/// The partition a region belongs to, by the region's prefix.
fn partition(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    let known = PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix));
    known.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_arns_print_and_parse() {
        for (text, region) in [
            ("arn:aws:kinesis:us-east-1:123456789012:stream/orders", "us-east-1"),
            ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders", "cn-north-1"),
            ("arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/orders", "us-gov-west-1"),
            ("arn:aws-iso-b:kinesis:us-isob-east-1:123456789012:stream/orders", "us-isob-east-1"),
            ("arn:aws-eusc:kinesis:eusc-de-east-1:123456789012:stream/orders", "eusc-de-east-1"),
        ] {
            let arn = StreamArn { region, account: "123456789012", name: "orders" };
            assert_eq!(StreamArn::parse(text), arn);
            assert_eq!(arn.to_string(), text);
        }
    }

    #[test]
    fn an_odd_arn_names_no_region_of_ours() {
        let arn = StreamArn::parse("arn:aws:kinesis:a:b:123456789012:stream/x/consumer/y");
        assert_eq!(arn, StreamArn { region: "a:b", account: "123456789012", name: "x/consumer/y" });
        let arn = StreamArn::parse("arn:aws:kinesis:cn-north-1:123456789012:stream/x");
        assert_eq!(arn, StreamArn { region: "", account: "123456789012", name: "x" });
    }
}
