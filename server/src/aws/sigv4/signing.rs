//! Signing a request by Signature Version 4, as clients do it.
//!
//! Source: AWS General Reference, Signature Version 4 signing process; the tests are its vectors.
//! Paths are taken as they are written, dots and double slashes included, which is right for all
//! paths this program sends.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use super::{ALGORITHM, AMZ_DATE, TERMINATOR};
use crate::aws::basic_date;

const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// Who signs. Its secrets are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// Comes with keys that expire.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Credentials");
        shown.field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Signs requests to one service in one region.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Who signs.
    pub credentials: Credentials,
    /// Where its signatures hold.
    pub region: String,
    /// For what, such as `kinesis`.
    pub service: &'static str,
}

impl Signer {
    /// Signs the head of a request that is complete but for its signature: all headers it has, of
    /// which `host` must be one. Adds the date, the session token and the authorization.
    ///
    /// # Errors
    ///
    /// When the credentials or the region hold what no header can carry.
    pub fn sign(
        &self,
        head: &mut Parts,
        body_hash: &BodyHash,
        now_seconds: u64,
    ) -> Result<(), InvalidHeaderValue> {
        let date = basic_date::format(now_seconds);
        head.headers.insert(AMZ_DATE, HeaderValue::from_str(&date)?);
        if let Some(token) = &self.credentials.session_token {
            head.headers.insert(SECURITY_TOKEN, secret_value(token)?);
        }
        let (day, region, service) =
            (date.get(..8).unwrap_or_default(), &self.region, self.service);
        let scope = format!("{day}/{region}/{service}/{TERMINATOR}");
        let (names, canonical) = canonical_request(head, body_hash);
        let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&hash(canonical.as_bytes())));
        let signature = hex(&hmac(&self.key(day), to_sign.as_bytes()));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.credentials.access_key
        );
        head.headers.insert(AUTHORIZATION, secret_value(&authorization)?);
        Ok(())
    }

    /// The key for the signatures of one day.
    fn key(&self, day: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.credentials.secret_key);
        let key = hmac(secret.as_bytes(), day.as_bytes());
        [&self.region, self.service, TERMINATOR]
            .iter()
            .fold(key, |key, part| hmac(&key, part.as_bytes()))
    }
}

/// Hash of a body, as `Signer::sign` wants it.
pub fn hash(body: &[u8]) -> BodyHash {
    Sha256::digest(body).into()
}

/// The names of the headers it covers, and what the signature covers.
fn canonical_request(head: &Parts, body_hash: &BodyHash) -> (String, String) {
    let mut headers = BTreeMap::<&str, Vec<String>>::new();
    for (name, value) in &head.headers {
        let words = String::from_utf8_lossy(value.as_bytes());
        let words: Vec<_> = words.split_ascii_whitespace().collect();
        headers.entry(name.as_str()).or_default().push(words.join(" "));
    }
    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let lines = headers.iter().map(|(name, values)| format!("{name}:{}\n", values.join(",")));
    let lines = lines.collect::<Vec<_>>().concat();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        head.method,
        encoded_path(head.uri.path()),
        canonical_query(head.uri.query().unwrap_or_default()),
        hex(body_hash)
    );
    (names, canonical)
}

/// The parameters by name, then by value, each with its equals sign.
fn canonical_query(query: &str) -> String {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut pairs: Vec<_> = parameters.map(|it| it.split_once('=').unwrap_or((it, ""))).collect();
    pairs.sort_unstable();
    let parameters = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    parameters.collect::<Vec<_>>().join("&")
}

/// What is percent-encoded already is encoded once more, as all services but S3 want it.
fn encoded_path(path: &str) -> String {
    path.replace('%', "%25")
}

fn secret_value(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    /// 2015-08-30 12:36:00 UTC.
    const NOW: u64 = 1_440_938_160;
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn signer(session_token: Option<&str>) -> Signer {
        Signer {
            credentials: Credentials {
                access_key: "AKIDEXAMPLE".to_owned(),
                secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                session_token: session_token.map(str::to_owned),
            },
            region: "us-east-1".to_owned(),
            service: "service",
        }
    }

    fn signed(signer: &Signer, request: hyper::http::request::Builder, body: &str) -> Parts {
        let request = request.header("host", "example.amazonaws.com").body(()).unwrap();
        let mut head = request.into_parts().0;
        signer.sign(&mut head, &hash(body.as_bytes()), NOW).unwrap();
        head
    }

    fn authorization(head: &Parts) -> &str {
        head.headers[AUTHORIZATION].to_str().unwrap()
    }

    /// Names follow those of the suite AWS publishes.
    #[test]
    fn published_requests_get_their_published_signatures() {
        let get = |path| Request::get(path);
        let post = || Request::post("/");
        let form = "application/x-www-form-urlencoded";
        for (name, request, body, signed_headers, signature) in [
            (
                "get-vanilla",
                get("/"),
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                get("/?Param2=value2&Param1=value1"),
                "",
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-header-key-duplicate",
                get("/")
                    .header("My-Header1", "value2")
                    .header("My-Header1", "value2")
                    .header("My-Header1", "value1"),
                "",
                "host;my-header1;x-amz-date",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
            (
                "get-header-value-trim",
                get("/").header("My-Header1", " value1").header("My-Header2", " \"a   b   c\""),
                "",
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "post-vanilla",
                post(),
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                post().header("Content-Type", form),
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let head = signed(&signer(None), request, body);
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={signed_headers}, Signature={signature}"
            );
            assert_eq!(authorization(&head), expected, "{name}");
            assert_eq!(head.headers["x-amz-date"], "20150830T123600Z");
            assert!(!head.headers.contains_key("x-amz-security-token"));
        }
    }

    #[test]
    fn parameters_are_signed_by_name_and_then_by_value() {
        for (query, canonical) in [
            ("", ""),
            ("b=1&a=2&a=1", "a=1&a=2&b=1"),
            // As whole texts these two would stand the other way round.
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("b&a", "a=&b="),
        ] {
            assert_eq!(canonical_query(query), canonical);
        }
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let head = signed(&signer(Some(TOKEN)), Request::post("/"), "");
        assert_eq!(head.headers["x-amz-security-token"], TOKEN);
        let expected = "SignedHeaders=host;x-amz-date;x-amz-security-token, \
                        Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert!(authorization(&head).ends_with(expected), "{}", authorization(&head));
    }

    #[test]
    fn the_key_of_a_day_is_the_published_one() {
        let signer = Signer { service: "iam", ..signer(None) };
        let published = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex(&signer.key("20150830")), published);
    }

    #[test]
    fn what_is_signed_here_is_accepted_there() {
        let signer = Signer { service: "kinesis", ..signer(None) };
        let head = signed(&signer, Request::post("/"), "{}");
        let principal = super::super::authenticate(&head, NOW, 0).unwrap();
        assert_eq!((principal.access_key(), principal.region()), ("AKIDEXAMPLE", "us-east-1"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let shown = format!("{:?}", signer(Some("token")));
        assert!(shown.contains("AKIDEXAMPLE"), "{shown}");
        assert!(!shown.contains("wJalr") && !shown.contains("token"), "{shown}");
        let head = signed(&signer(Some("token")), Request::post("/"), "");
        assert!(!format!("{head:?}").contains("token,"), "{head:?}");
    }

    #[test]
    fn credentials_that_fit_no_header_are_refused() {
        let signer = signer(Some("a\nb"));
        let mut head = Request::post("/").body(()).unwrap().into_parts().0;
        assert!(signer.sign(&mut head, &hash(b""), NOW).is_err());
    }
}
