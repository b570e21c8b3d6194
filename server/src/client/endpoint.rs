//! Where calls go: a URL, or `aws` for the service itself.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Scheme;

/// Ends of the names of hosts that belong to AWS.
const AWS_DOMAINS: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// Where calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
}

/// What somebody who names an endpoint may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointName {
    /// The service itself, in whatever region.
    Aws,
    /// Any other.
    Url(Endpoint),
}

impl FromStr for EndpointName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "aws" { Ok(Self::Aws) } else { text.parse().map(Self::Url) }
    }
}

impl Endpoint {
    /// That of AWS in a region.
    ///
    /// # Errors
    ///
    /// What is wrong with the region.
    pub fn aws(region: &str) -> Result<Self, &'static str> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = format!("https://kinesis.{region}.{domain}");
        url.parse().map_err(|_| "a region is a word such as eu-west-1")
    }

    /// URL of every call.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Value of the `Host` header.
    pub fn host_header(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Name or address of the host.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// True if connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// True if it belongs to AWS, which knows its keys.
    pub fn is_aws(&self) -> bool {
        AWS_DOMAINS.iter().any(|domain| self.host().ends_with(domain))
    }

    /// The region in the name of a host of AWS: `kinesis.R.amazonaws.com`, or with words before.
    pub fn region(&self) -> Option<&str> {
        if !self.is_aws() {
            return None;
        }
        let mut labels = self.host().split('.');
        labels.find(|label| {
            matches!(*label, "kinesis" | "kinesis-fips") || label.ends_with("-kinesis")
        })?;
        labels.next()
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "an endpoint is a URL such as http://127.0.0.1:4567, or `aws`";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let is_http = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !is_http || has_user || uri.query().is_some() || uri.host().is_none_or(str::is_empty) {
            return Err(FORM);
        }
        Ok(Self { uri })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn urls_are_endpoints_and_other_words_are_not() {
        let local = endpoint("http://127.0.0.1:4567");
        assert_eq!((local.host_header(), local.host()), ("127.0.0.1:4567", "127.0.0.1"));
        assert!(!local.is_encrypted() && !local.is_aws());
        assert_eq!(local.to_string(), "http://127.0.0.1:4567");
        assert!(endpoint("https://[::1]:1/").is_encrypted());
        for text in ["", "127.0.0.1:4567", "ftp://a", "http://", "http://u@a", "http://a/?b", "AWS"]
        {
            let refused = text.parse::<EndpointName>().unwrap_err();
            assert!(refused.contains("a URL such as http://127.0.0.1:4567"), "{text}");
        }
        assert_eq!("aws".parse(), Ok(EndpointName::Aws));
    }

    #[test]
    fn the_service_itself_has_an_endpoint_in_each_region() {
        let url = |region| Endpoint::aws(region).unwrap().to_string();
        assert_eq!(url("eu-west-1"), "https://kinesis.eu-west-1.amazonaws.com");
        assert_eq!(url("cn-north-1"), "https://kinesis.cn-north-1.amazonaws.com.cn");
        assert!(Endpoint::aws("eu west").is_err());
    }

    #[test]
    fn hosts_of_aws_tell_their_region() {
        for (url, region) in [
            ("https://kinesis.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("https://kinesis-fips.us-east-2.amazonaws.com", Some("us-east-2")),
            ("https://kinesis.us-west-2.api.aws", Some("us-west-2")),
            ("https://kinesis.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("https://123456789012.data-kinesis.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("https://vpce-1.kinesis.eu-west-1.vpce.amazonaws.com", Some("eu-west-1")),
            ("http://localhost:4567", None),
            ("http://kinesis.eu-west-1.example.com", None),
        ] {
            assert_eq!(endpoint(url).region(), region, "{url}");
        }
    }
}
