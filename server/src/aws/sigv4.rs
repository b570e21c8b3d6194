//! The authentication front: what AWS checks of a Signature Version 4 request before it looks at
//! the key. Comparing the signature itself comes with access control and has its place here; how a
//! request is signed is in `signing`.
//!
//! Unconfirmed, and chosen here: an `Authorization` of another scheme counts as none; a second one
//! and an `X-Amz-Expires` outside its range are incomplete signatures with texts of our own; any word
//! of letters, digits, `-` and `_` is a valid region.

pub mod signing;

use std::time::UNIX_EPOCH;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, DATE, HeaderName};
use hyper::http::request::Parts;

use super::basic_date;
use super::exception::{Exception, Kind};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "kinesis";
const TERMINATOR: &str = "aws4_request";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// Longest time a signature in the query may be valid: a week.
const EXPIRES_SECONDS_MAX: u64 = 604_800;
/// Longest region a credential may name. Own bound, three times the longest of AWS.
const REGION_BYTES_MAX: usize = 64;

/// Who a request says it is; made by `authenticate` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    access_key: String,
    region: String,
}

impl Principal {
    /// Access key id of the credential.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Region of the credential scope.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// Checks the authentication of a request head at `now_seconds` (seconds since the epoch);
/// `skew_seconds` is how far its date may be off either way.
///
/// # Errors
///
/// The exceptions and texts of the service, in its order.
pub fn authenticate(
    head: &Parts,
    now_seconds: u64,
    skew_seconds: u64,
) -> Result<Principal, Exception> {
    let signature = Signature::find(head)?;
    let date = Date::parse(&signature.date)?;
    let age_seconds_max = signature.expires_seconds.unwrap_or(skew_seconds);
    date.check(now_seconds, age_seconds_max, skew_seconds)?;
    signature.check_signed_headers()?;
    if signature.algorithm != ALGORITHM {
        let message = format!("Unsupported AWS 'algorithm': '{}'", signature.algorithm);
        return Err(incomplete(message));
    }
    let credential = Credential::parse(&signature.credential)?;
    credential.check_scope(&date)?;
    verify(&signature, &credential)?;
    let [access_key, region] = [credential.access_key, credential.region].map(str::to_owned);
    Ok(Principal { access_key, region })
}

/// The place of the last checks: that the key is known, its session token is valid, and the
/// signature over the request is the one its secret gives. Until there is access control every key
/// and every signature is accepted, since local users sign with made-up keys.
#[expect(clippy::unnecessary_wraps, reason = "the place of checks to come")]
const fn verify(_: &Signature, _: &Credential<'_>) -> Result<(), Exception> {
    Ok(())
}

/// The parts of a signature as the request carries them, all present.
struct Signature {
    algorithm: String,
    credential: String,
    signed_headers: String,
    /// When it was made, meant to be in ISO 8601 basic format.
    date: String,
    /// How long it is valid, for one in the query that says so.
    expires_seconds: Option<u64>,
}

impl Signature {
    /// Finds it in the header or in the query, but not in both.
    fn find(head: &Parts) -> Result<Self, Exception> {
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let mut headers = head.headers.get_all(AUTHORIZATION).into_iter();
        match (headers.next(), query.get("X-Amz-Algorithm")) {
            (Some(_), Some(_)) => Err(Exception::new(
                Kind::InvalidSignature,
                "Found both 'X-Amz-Algorithm' as a query-string param \
                 and 'Authorization' as HTTP header.",
            )),
            (None, Some(algorithm)) => Self::of_query(&query, algorithm),
            (Some(_), None) if headers.next().is_some() => {
                Err(incomplete("Found more than one 'Authorization' as HTTP header."))
            }
            (Some(value), None) => {
                Self::of_header(&String::from_utf8_lossy(value.as_bytes()), &head.headers)
            }
            (None, None) => Err(missing()),
        }
    }

    fn of_header(header: &str, headers: &HeaderMap) -> Result<Self, Exception> {
        let mut words = header.split([',', ' ']).filter(|word| !word.is_empty());
        let algorithm =
            words.next().filter(|word| word.starts_with("AWS4-")).ok_or_else(missing)?;
        let (mut credential, mut signature, mut signed_headers) = ("", "", "");
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "Credential" => credential = value,
                "Signature" => signature = value,
                "SignedHeaders" => signed_headers = value,
                _ => {}
            }
        }
        let date = header_date(headers);

        let parts = [
            ("Credential", credential),
            ("Signature", signature),
            ("SignedHeaders", signed_headers),
        ];
        let absent = parts.iter().filter(|(_, value)| value.is_empty());
        let mut sentences: Vec<_> = absent
            .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
            .collect();
        if date.is_empty() {
            let sentence = "Authorization header requires existence of either \
                            a 'X-Amz-Date' or a 'Date' header.";
            sentences.push(sentence.to_owned());
        }
        if !sentences.is_empty() {
            sentences.push(format!("Authorization={header}"));
            return Err(incomplete(sentences.join(" ")));
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            credential: credential.to_owned(),
            signed_headers: signed_headers.to_owned(),
            date,
            expires_seconds: None,
        })
    }

    fn of_query(query: &Query, algorithm: &str) -> Result<Self, Exception> {
        let [credential, signature, signed_headers, date] =
            ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"]
                .map(|name| (name, query.get(name).unwrap_or_default()));
        let parts = [("X-Amz-Algorithm", algorithm), credential, signature, signed_headers, date];
        let absent = parts.iter().filter(|(_, value)| value.is_empty());
        let mut sentences: Vec<_> = absent
            .map(|(name, _)| format!("AWS query-string parameters must include '{name}'."))
            .collect();
        if !sentences.is_empty() {
            sentences.push("Re-examine the query-string parameters.".to_owned());
            return Err(incomplete(sentences.join(" ")));
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            credential: credential.1.to_owned(),
            signed_headers: signed_headers.1.to_owned(),
            date: date.1.to_owned(),
            expires_seconds: query.get("X-Amz-Expires").map(expires_seconds).transpose()?,
        })
    }

    fn check_signed_headers(&self) -> Result<(), Exception> {
        let is_host = |name: &str| {
            name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
        };
        if self.signed_headers.split(';').any(is_host) {
            return Ok(());
        }
        Err(Exception::new(
            Kind::InvalidSignature,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ))
    }
}

/// The date of a request signed in the header; empty if there is none. A `Date` header may have the
/// form of HTTP, which becomes basic format here.
fn header_date(headers: &HeaderMap) -> String {
    let text = |name| {
        let value = headers.get(name).filter(|value| !value.is_empty())?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    text(AMZ_DATE).unwrap_or_else(|| {
        let date = text(DATE).unwrap_or_default();
        let time = httpdate::parse_http_date(&date).ok();
        let since_epoch = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since_epoch.map_or(date, |since| basic_date::format(since.as_secs()))
    })
}

fn expires_seconds(text: &str) -> Result<u64, Exception> {
    let seconds = text.parse().ok().filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| {
        incomplete(format!("'X-Amz-Expires' must be between 1 and {EXPIRES_SECONDS_MAX} seconds."))
    })
}

/// The date of a request, which is in ISO 8601 basic format.
struct Date<'a> {
    basic: &'a str,
    /// Since the epoch.
    seconds: u64,
}

impl<'a> Date<'a> {
    fn parse(basic: &'a str) -> Result<Self, Exception> {
        let seconds = basic_date::parse(basic).ok_or_else(|| {
            incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{basic}'. \
                 See http://en.wikipedia.org/wiki/ISO_8601"
            ))
        })?;
        Ok(Self { basic, seconds })
    }

    /// Checks that it is neither too old nor in the future.
    fn check(&self, now: u64, age_max: u64, skew: u64) -> Result<(), Exception> {
        let (earliest, latest) = (now.saturating_sub(age_max), now.saturating_add(skew));
        if (earliest..=latest).contains(&self.seconds) {
            return Ok(());
        }
        let (date, now_basic) = (self.basic, basic_date::format(now));
        let message = if self.seconds < earliest {
            let (earliest, minutes) = (basic_date::format(earliest), age_max / 60);
            format!(
                "Signature expired: {date} is now earlier than {earliest} \
                 ({now_basic} - {minutes} min.)"
            )
        } else {
            let (latest, minutes) = (basic_date::format(latest), skew / 60);
            format!(
                "Signature not yet current: {date} is still later than {latest} \
                 ({now_basic} + {minutes} min.)"
            )
        };
        Err(Exception::new(Kind::InvalidSignature, message))
    }
}

/// A credential with its scope, taken apart.
struct Credential<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Credential<'a> {
    fn parse(text: &'a str) -> Result<Self, Exception> {
        let mut elements = text.split('/');
        let mut next = || elements.next();
        let five = [next(), next(), next(), next(), next()];
        match (five, next()) {
            (
                [Some(access_key), Some(date), Some(region), Some(service), Some(terminator)],
                None,
            ) => Ok(Self { access_key, date, region, service, terminator }),
            _ => Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, \
                 e.g. keyid/date/region/service/term, got '{text}'"
            ))),
        }
    }

    fn check_scope(&self, date: &Date<'_>) -> Result<(), Exception> {
        let Self { region, terminator, .. } = self;
        let mut sentences = Vec::new();
        if !is_region(region) {
            sentences
                .push(format!("Credential should be scoped to a valid region, not '{region}'."));
        }
        if self.service != SERVICE {
            sentences.push(format!("Credential should be scoped to correct service: '{SERVICE}'."));
        }
        if *terminator != TERMINATOR {
            sentences.push(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', \
                 not '{terminator}'."
            ));
        }
        let day = date.basic.split('T').next().unwrap_or_default();
        if self.date != day {
            sentences.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{}' != '{day}', from '{}'.",
                self.date, date.basic
            ));
        }
        if sentences.is_empty() {
            return Ok(());
        }
        Err(Exception::new(Kind::InvalidSignature, sentences.join(" ")))
    }
}

fn is_region(text: &str) -> bool {
    let is_plausible = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plausible)
}

/// The parameters of a query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Self {
        let parameters = query.split('&').map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (percent_decoded(name), percent_decoded(value))
        });
        Self(parameters.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Text with its `%XX` replaced by the bytes they tell; what is not of that form stays.
fn percent_decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let escaped = piece.split_at_checked(2).and_then(|(digits, rest)| {
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
            Some((byte, rest))
        });
        let (byte, rest) = escaped.unwrap_or((b'%', piece));
        decoded.push(byte);
        decoded.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn missing() -> Exception {
    Exception::new(Kind::MissingAuthenticationToken, "Missing Authentication Token")
}

fn incomplete(message: impl Into<std::borrow::Cow<'static, str>>) -> Exception {
    Exception::new(Kind::IncompleteSignature, message)
}

#[cfg(test)]
mod tests;
